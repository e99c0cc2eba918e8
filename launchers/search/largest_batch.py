"""`batchscale search largest-batch PLAN`: the largest batch per replica that fits in memory, found by trying.

Every trial is a run of its own in a fresh rank group, kept like any run, so that an interrupted search goes on where it
stopped. This is the only planner that decides while runs go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import psutil
from msgspec import structs

from ...benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, BatchscaleError, EnvironmentUnusable, PlanError
from ...benchmarks.planning import selection
from ...benchmarks.planning.plan import Plan
from ...benchmarks.records import identity, searches
from ...benchmarks.records.failures import ending
from ...benchmarks.records.run_folder import Run
from ...benchmarks.records.searches import Answer, Trial
from ...benchmarks.records.store import Store
from ...benchmarks.runs.run_config import RunConfig
from ..local import study
from ..local.display import announcement
from ..local.machine_lock import machine_to_itself
from ..local.schedule import stages
from ..local.supervisor import work
from ..local.worker import Limits, unfinished
from ..machine.cores import usable_cores
from ..machine.gpus import gpu_names, gpu_words
from . import starting_batch
from .bisection import Bounds, Found, recommended, verified

# What differs between the runs of an experiment and takes no memory in a step.
SAME_MEMORY = ("rule", "trial", "stops_after", "earlier_batches", "noise_batches", "launch", "scaling",
               "base_learning_rate", "epochs", "reference_batch", "warmup_epochs", "decay", "decay_epochs",
               "decay_factor", "decay_power", "warmup_steps", "windows", "window_seconds")
UNITS = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
EXAMPLE_LIMIT = "4GiB"
FIRST_BATCH = 32

Attempt = Callable[[RunConfig], Trial]


class TrialFailed(BatchscaleError):
    """A trial ended in an error that is no want of memory, so that nothing is known of the memory."""

    exit_code = EXIT_RUNS_FAILED


@dataclass(frozen=True)
class Options:
    """start: the first batch per replica; 0: the memory law's, or else 32.

    verify_steps: training steps of the run that verifies the batch found.
    """

    results: Path = Path("results")
    only: str = ""
    start: int = 0
    most: int = 2**20
    multiple: int = 1
    resolution: float = 1 / 16
    margin: float = 0.05
    verify_steps: int = 30
    memory_limit_bytes: int = 0
    retry: bool = False
    launcher: str = "auto"

    def __post_init__(self) -> None:
        for name in ("start", "most", "multiple", "verify_steps"):
            if not (name != "start") <= getattr(self, name) <= 2**31:
                raise PlanError(f"--{name.replace('_', '-')} {getattr(self, name)} must be a whole number up to 2^31.")
        if self.multiple > self.most:
            raise PlanError(f"--multiple {self.multiple} is larger than --most {self.most}; nothing could be tried.")
        for name in ("margin", "resolution"):
            if not 0 <= getattr(self, name) < 1:
                raise PlanError(f"--{name} {getattr(self, name)} must be at least 0 and below 1, such as 0.05.")

    @property
    def bounds(self) -> Bounds:
        """Return the search's bounds for a placement."""
        return Bounds(self.start, self.most, self.multiple, self.resolution)


def byte_size(text: str) -> int:
    """Bytes of 4GiB, 512MiB, 8GB or a plain number; "" is 0, no limit. Raises PlanError.

    >>> byte_size("4GiB"), byte_size("1.5 kb"), byte_size("")
    (4294967296, 1500, 0)
    """
    plain = text.strip().lower()
    digits = plain.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = UNITS.get(plain[len(digits):].strip() or "b")
    try:
        value = float(digits or 0) * (unit or -1)
    except ValueError:
        value = -1.0
    if not (0 < value < 2**60 or not plain):
        raise PlanError(f"--memory-limit {text!r} is no size; write for example {EXAMPLE_LIMIT}, 512MiB or 8GB.")
    return int(value)


def run(plan: Plan, options: Options) -> int:
    """Search for every placement of the plan's experiments. Returns the exit code; the command may be repeated."""
    targets = targets_here(plan, options)
    for like in targets:
        check_limit(like, len(gpu_names()))
    store, expansion, workloads = study.check(plan, study.Options(options.results))
    folder = store.folder
    for line in announcement.chosen(plan, folder):
        _say(line)
    with machine_to_itself(_say), study.stopping_on_sigterm():
        study.keep(store, expansion.runs, workloads, study.facts(plan, expansion))
        for like in identity.named(targets, workloads):
            place = searches.folder(folder, like)
            begin = options.start or starting_batch.by_memory_law(folder, like) or FIRST_BATCH
            trials = RealTrials(Store(place), workloads, options, plan.source or plan.name)
            _say(sentence(search(like, replace(options, start=begin), trials, place)))
    _say(f"kept in {folder / searches.FOLDER}; the report shows it: batchscale report {folder}")
    return EXIT_OK


def _say(text: str) -> None:
    print(text, flush=True)


def targets_here(plan: Plan, options: Options) -> list[RunConfig]:
    """Return one configuration for each workload and placement of the plan that this machine can run. Raises PlanError.
    """
    wanted, found = selection.parse(options.only), dict[str, RunConfig]()
    with study.describer(plan) as asked:
        expansion = study.expansion_here(plan, asked.train_examples)
    defaults: dict[str, Any] = {f.name: f.default for f in fields(RunConfig) if f.name in SAME_MEMORY}
    for config in expansion.runs:
        if config.experiment != "drift_guard" and wanted(config):
            at_once = config.replicas * config.accumulation
            like = replace(config, **defaults, kind="memory", seed=0, global_batch=at_once,
                           memory_limit_bytes=options.memory_limit_bytes)
            found.setdefault(replace(like, experiment="any").digest, like)
    if not found:
        left_out = "; ".join(f"{s.what}: {s.reason}" for s in expansion.skipped)
        raise PlanError(f"--only {options.only!r} selects no run of {plan.name!r} here. {left_out}".strip())
    return list(found.values())


def check_limit(like: RunConfig, gpus: int) -> None:
    """Raise PlanError for a CPU without a memory limit, as it has no memory of its own to run out of, or with one that
    the machine's free memory does not hold for every rank."""
    if gpus:
        return
    available, processes = psutil.virtual_memory().available, like.ranks
    if not like.memory_limit_bytes:
        raise PlanError("without a GPU, memory ends only where the machine's does; give --memory-limit, the data a "
                        f"rank's process may have, such as {EXAMPLE_LIMIT} ({available / 2**30:.1f} GiB are free).")
    if like.memory_limit_bytes * processes > available:
        raise PlanError(f"--memory-limit: {processes} x {like.memory_limit_bytes / 2**30:.1f} GiB for {like.strategy} "
                        f"x{like.replicas} is more than the {available / 2**30:.1f} GiB available here; at most "
                        f"{available / processes / 2**30:.1f}GiB each.")


def search(like: RunConfig, options: Options, attempt: Attempt, place: Path) -> Answer:
    """Return the largest batch per replica, verified; keep the answer so far after every trial. Raises TrialFailed."""
    answer = Answer(like.experiment, like.model, like.optimizer, like.precision, like.strategy_name, like.replicas,
                    like.accumulation, like.memory_limit_bytes, options.start, options.most, options.multiple,
                    options.resolution, options.margin, fingerprint=like.fingerprint)
    tried: dict[tuple[int, int], Trial] = {}

    def fits(batch: int, steps: int) -> bool:
        nonlocal answer
        if (batch, steps) not in tried:
            trial = attempt(replace(like, global_batch=batch * like.replicas * like.accumulation, memory_steps=steps))
            tried[batch, steps] = trial
            answer = structs.replace(answer, trials=tuple(tried.values()))
            searches.write(place, answer)
        return tried[batch, steps].fits

    found = verified(lambda batch: fits(batch, like.memory_steps), lambda batch: fits(batch, options.verify_steps),
                     options.bounds)
    answer = _answered(answer, found)
    searches.write(place, answer)
    return answer


def _answered(answer: Answer, found: Found) -> Answer:
    return structs.replace(answer, largest_batch=found.largest, fails_batch=found.fails,
                           recommended_batch=recommended(found.largest, answer.margin, answer.multiple))


def sentence(answer: Answer) -> str:
    """Return the answer in a sentence for a person."""
    who = f"{answer.experiment} ({answer.optimizer} on {answer.model}, {answer.strategy} x{answer.replicas})"
    limit = f" in {answer.memory_limit_bytes / 2**30:.2f} GiB" if answer.memory_limit_bytes else ""
    if not answer.largest_batch:
        return f"{who}: not even a batch of {answer.multiple} per replica fits{limit}."
    above = (f"{answer.fails_batch:,} does not" if answer.fails_batch else
             f"the most that was asked for: --most {answer.most} did not reach the limit")
    return (f"{who}: {answer.largest_batch:,} per replica fit{limit}, verified by a longer run; {above}. Recommended, "
            f"with {answer.margin:.0%} kept free: {answer.recommended_batch:,} per replica, global batch "
            f"{answer.recommended_global_batch:,}.")


@dataclass
class RealTrials:
    """Trials by real rank groups, each started afresh; what was tried before is read, not tried again."""

    store: Store
    workloads: dict[str, Any]
    options: Options
    source: str
    asked: float = field(default_factory=time.time)

    def __call__(self, config: RunConfig) -> Trial:
        """Raises TrialFailed for an error that is no want of memory, EnvironmentUnusable where no rank can start."""
        run = self._listed(config)
        known = not unfinished(run, self._limits())
        self._finish(run)
        trial = _outcome(run)
        again = " (kept from before)" if known else ""
        _say(f"  {config.replica_batch:,} per replica, {config.memory_steps} steps: {trial.status}{again}")
        return trial

    def _limits(self) -> Limits:
        return Limits(self.store.folder, retry_before=self.asked if self.options.retry else 0.0,
                      launcher=self.options.launcher)

    def _listed(self, config: RunConfig) -> Run:
        """The run's folder; the store's plan lists it from now on."""
        before = [run.config for run in self._runs() if run.run_id != config.run_id]
        facts = {"name": self.store.folder.name, "source": self.source, "text": "", "settings": {}, "skipped": []}
        study.keep(self.store, [*before, config], self.workloads, facts)
        return self.store.run(config.run_id)

    def _runs(self) -> Sequence[Run]:
        return self.store.runs() if (self.store.folder / "plan.json").exists() else ()

    def _finish(self, run: Run) -> None:
        """Until the run has ended; a run that is lost is begun again, to the third time."""
        limits = self._limits()
        while unfinished(run, limits):
            if run.status() == "running":
                time.sleep(1.0)
                continue
            (stage,) = stages([run.config], usable_cores(), gpu_words())
            if problem := work(stage, limits, [run], lambda: None):
                raise EnvironmentUnusable(problem)


def _outcome(run: Run) -> Trial:
    record, status, config = run.record(), run.status(), run.config
    if record is not None:
        memory = record["memory"]
        peak = memory.get("device_peak_bytes") or memory.get("peak_bytes")
        return Trial(config.replica_batch, config.memory_steps, run.run_id, status, peak_bytes=peak)
    found = ending(run.attempts()[-1])
    if status != "out_of_memory":
        logs = found.logs or run.folder.parent / "logs"
        raise TrialFailed(f"the trial at {config.replica_batch:,} per replica ended as {status}, {found.where}: "
                          f"{found.message}. That is no want of memory; mend it and give --retry. Logs: {logs}.")
    return Trial(config.replica_batch, config.memory_steps, run.run_id, status, found.message)
