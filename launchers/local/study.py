"""`batchscale run PLAN` on this machine: plan, describe, then one stage after another until nothing is left to do."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from ...benchmarks.errors import (EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED, EnvironmentUnusable,
                                  PlanError)
from ...benchmarks.planning import selection
from ...benchmarks.planning.expansion import expand, Expansion, TrainExamples
from ...benchmarks.planning.keys import setting_count, setting_seconds
from ...benchmarks.planning.plan import Plan
from ...benchmarks.records import identity
from ...benchmarks.records.json_files import read_json, write_json
from ...benchmarks.records.manifest import working_directory
from ...benchmarks.records.run_folder import FINAL, Run
from ...benchmarks.records.store import Store
from ...benchmarks.runs.run_config import RunConfig
from ...benchmarks.text import counted
from ..machine import checks, inherited
from ..machine.cores import usable_cores
from ..machine.gpus import gpu_names, gpu_words
from .describe import Describer
from .machine_lock import machine_to_itself
from .display import announcement
from .display.progress import Progress
from .looks import rounds
from .looks.budget import parsed
from .schedule import expected_wall_seconds, in_turns, Stage, stages
from .supervisor import Alike, in_turn, StandBy
from .worker import Limits, unfinished

MOST_PASSES = 4
MOST_BARREN_PASSES = 2


@dataclass(frozen=True)
class Options:
    """Place and extent of one command's runs; never what a run is."""

    results: Path = Path("results")
    only: str = ""
    budget_seconds: float = float("inf")
    retry: bool = False
    launcher: str = "auto"
    continue_edited: bool = False
    budget: str = ""


def describer(plan: Plan) -> Describer:
    """Return the process that says what the plan's data and models are, as a context."""
    return Describer(plan.source, setting_seconds(plan.settings, "watchdog_seconds"))


def expansion_here(plan: Plan, train_examples: TrainExamples) -> Expansion:
    """Return the plan's runs on this machine; what it lacks is in `skipped`. Raises PlanError, DataError."""
    return expand(plan, train_examples, unavailable_here(plan))


def unavailable_here(plan: Plan) -> dict[str, str]:
    """Return why strategies and replica counts of the plan cannot be had here, by name."""
    reasons = {name: reason for name, reason in checks.strategies_available().items() if reason}
    gpus, cores = len(gpu_names()), len(usable_cores())
    for experiment in plan.experiments:
        for nodes in experiment["nodes"]:
            if nodes > 1:
                reasons[f"{nodes} nodes"] = "this machine is one node; use `batchscale run --on slurm` on a cluster"
        for replicas in experiment["replicas"]:
            need = replicas * experiment["cores_per_replica"]
            if gpus and replicas > gpus:
                reasons[f"{replicas} replicas"] = f"this machine has {counted(gpus, 'GPU')}"
            elif not gpus and need > cores:
                each = experiment["cores_per_replica"]
                reasons[f"{replicas} replicas of {each} cores"] = (f"{need} cores are needed and this process may use "
                                                                   f"{cores}")
    return reasons


def keep(store: Store, configs: list[RunConfig], workloads: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write what was checked; the first thing that is written at all. Raises PlanError, RecordError."""
    writable(store.folder)
    write_json(store.folder / "workloads.json", workloads)
    store.prepare(configs, facts)


def check(plan: Plan, options: Options) -> tuple[Store, Expansion, dict[str, Any]]:
    """Check everything, and describe the workloads; nothing is written and no rank starts. Raises BatchscaleError."""
    announcement.say_checking()
    store = Store(options.results / plan.name)
    with describer(plan) as asked:
        expansion = listed(plan, options.only, asked.train_examples)
        workloads = described(asked, store, expansion, options)
    return store, expansion, workloads


def described(asked: Describer, store: Store, expansion: Expansion, options: Options) -> dict[str, Any]:
    """Return the workloads; name the expansion's runs by what they train, and say what was edited."""
    workloads = asked.describe(expansion.runs, store)
    workloads, edits = identity.settled(store, workloads, expansion.runs, options.continue_edited)
    expansion.runs = identity.named(expansion.runs, workloads)
    if edits:
        print(identity.sentence(edits, store, options.continue_edited), flush=True)
    return workloads


def listed(plan: Plan, only: str, train_examples: TrainExamples) -> Expansion:
    """Return the plan's runs here. Raises EnvironmentUnusable, PlanError where there is none, or none selected."""
    wanted = selection.parse(only)
    expansion = expansion_here(plan, train_examples)
    if not expansion.runs:
        raise EnvironmentUnusable(f"no run of plan {plan.name!r} can be done here: "
                                  f"{announcement.reasons(expansion.skipped)}. `batchscale doctor` says what mends it.")
    if not any(wanted(config) for config in expansion.runs):
        raise PlanError(f"--only {only!r} selects none of the {counted(len(expansion.runs), 'run')} of {plan.name!r}.")
    return expansion


def facts(plan: Plan, expansion: Expansion) -> dict[str, Any]:
    """Return what plan.json says beside the list of runs."""
    skipped = [{"experiment": s.experiment, "what": s.what, "reason": s.reason} for s in expansion.skipped]
    stand_ins = [{"asked": one.asked, "stand_in": one.stand_in, "used": one.used} for one in plan.stand_ins]
    return {"name": plan.name, "source": plan.source, "words": list(plan.words), "folder": working_directory(),
            "text": plan.text, "sets": list(plan.sets), "stand_ins": stand_ins,
            "settings": dict(plan.settings), "skipped": skipped, "written": time.time()}


def writable(folder: Path) -> None:
    """Raise PlanError unless files can be made in `folder`, which is made where it is absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PlanError(f"cannot write in {folder}: {error.strerror}; choose another folder with --results.") from None


def run(plan: Plan, options: Options) -> int:
    """Do what of the plan is not done. Returns the exit code; every command may be repeated."""
    store, expansion, workloads = check(plan, options)
    for line in announcement.chosen(plan, store.folder):
        print(line, flush=True)
    until = time.time() + options.budget_seconds
    alone = machine_to_itself(lambda text: print(text, flush=True)) if options.budget_seconds else nullcontext()
    # Without a budget nothing is started, so nobody is disturbed and nothing is waited for.
    with alone, StandBy(rounds.is_sequential(plan)) as stand_by:
        return rounds.rounds(plan, store, expansion.runs,
                             lambda runs, back: keep(store, runs, workloads,
                                                     {**facts(plan, expansion), "held_back": back}),
                             lambda: do(store, expansion, replace(options, budget_seconds=until - time.time()),
                                        stand_by),
                             lambda text: print(text, flush=True), parsed(options.budget, plan))


def do(store: Store, expansion: Expansion, options: Options, stand_by: StandBy) -> int:
    """Do the runs that are written and not done; return the exit code."""
    until = time.time() + options.budget_seconds
    limits = Limits(store.folder, options.only, until, stand_by.began if options.retry else 0.0, options.launcher,
                    setting_seconds(store.manifest.settings, "watchdog_seconds"),
                    setting_count(store.manifest.settings, "runs_per_gpu"))
    wanted = selection.parse(options.only)
    runs = [run for run in store.runs() if wanted(run.config)]
    expected = expected_wall_seconds([run.config for run in runs], usable_cores(),
                                     gpu_words(), read_json(store.folder / "workloads.json") or {})
    with stopping_on_sigterm(), Progress(runs, lambda run: unfinished(run, limits), expected) as progress:
        for line in introduction(store.manifest.name, runs, expected, expansion):
            progress.say(line)
        try:
            usable = passes(runs, limits, progress, stand_by)
        finally:
            progress.update()
        if lost := all_lost(runs):
            progress.say(lost)
    return exit_code(runs, usable) or (EXIT_RUNS_FAILED if lost else EXIT_OK)


def introduction(name: str, runs: Sequence[Run], expected: Mapping[str, float], expansion: Expansion) -> list[str]:
    """Return what is said before the first run: the plan, its size and time, what is left out, what to know."""
    configs = [run.config for run in runs]
    staged = stages(configs, usable_cores(), gpu_words())
    return [announcement.header(name, len(runs), len(staged), sum(expected.values())),
            *announcement.left_out(expansion.skipped), *inherited.sentences(os.environ),
            *announcement.remarks(configs, announcement.MOST_REMARKS)]


def passes(runs: Sequence[Run], limits: Limits, progress: Progress, stand_by: StandBy) -> bool:
    """Work through the stages; again for runs whose worker was lost, and after others' live runs have ended.

    False where nothing that is left can be begun here: the same command would not get further.
    """
    barren, hopeless = 0, set[str]()
    for _ in range(MOST_PASSES):
        todo = [run for run in runs if unfinished(run, limits) and run.config.shape not in hopeless]
        if not todo:
            return not hopeless
        begun, begins = _attempts(todo), False
        for group in in_turns(stages([run.config for run in todo], usable_cores(), gpu_words())):
            if time.time() >= limits.until:
                progress.say("the budget is spent; run the same command again to go on")
                return True
            for shape, problem in _work(group, todo, limits, progress, stand_by):
                begins |= not problem
                hopeless |= {shape} if isinstance(problem, Alike) else set()
        barren = 0 if begins or _attempts(todo) > begun else barren + 1
        if barren == MOST_BARREN_PASSES:
            return False
        while any(run.status() == "running" for run in todo) and time.time() < limits.until:
            progress.say_once("waiting for runs that another process is doing")
            time.sleep(1.0)
    return True


def _work(group: Sequence[Stage], todo: Sequence[Run], limits: Limits, progress: Progress,
          stand_by: StandBy) -> list[tuple[str, str]]:
    """Each stage's shape and why it was given up; empty where it was not."""
    work = [(stage, [run for run in todo if run.config.shape == stage.shape]) for stage in group]
    problems = []
    with closing(in_turn(work, limits, progress.update, stand_by, progress.say)) as ended:
        for stage, problem in zip(group, ended):
            problems.append((stage.shape, problem))
            if problem:
                progress.say_once(f"{stage.shape}: {problem}")
    return problems


def _attempts(runs: Sequence[Run]) -> int:
    return sum(len(run.attempts()) for run in runs)


def exit_code(runs: Sequence[Run], usable: bool = True) -> int:
    """Return the exit code that the runs' statuses amount to. `usable`: whether what is left could be begun here."""
    statuses = [run.status() for run in runs]
    if any(status not in FINAL for status in statuses):
        return EXIT_INCOMPLETE if usable else EXIT_ENVIRONMENT
    return EXIT_RUNS_FAILED if any(status in ("invalid", "failed", "unreadable") for status in statuses) else EXIT_OK


def all_lost(runs: Sequence[Run]) -> str:
    """Return, where not one accuracy run of those that are done came through, what became of them and what to do; else
    "". A single arm that diverges is a result; nothing but such arms is none."""
    counts = Counter(run.status() for run in runs if run.config.kind == "accuracy")
    if not counts or set(counts) - {"diverged", "out_of_memory"}:
        return ""
    fixes = {"diverged": "lower learning_rate", "out_of_memory": "lower the batches"}
    said = " and ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
    return (f"no accuracy run came through: of {counted(counts.total(), 'run')} {said}; "
            f"{' and '.join(fixes[status] for status in counts)}, and start again.")


class Terminated(KeyboardInterrupt):
    """SIGTERM came; handled as Ctrl-C is, with an exit code of its own."""


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Let SIGTERM raise Terminated meanwhile, so that whoever has started workers stops them."""
    def handler(number: int, frame: FrameType | None) -> None:
        raise Terminated
    previous = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
