"""MLPerf training logs: lines of results, as `lines` reads them, with any other text between them.

A run goes from run_start to run_stop. What it took is the epoch_num, or the samples_count, of its last eval_accuracy
before a run_stop whose status is success (MLCommons' reference convergence checker reads the same); any other run never
passed the target. Round 0.5 counts epochs from 0 where its train_epoch begins there, may end without a status, and
never says the batch of all devices together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..imported_run import as_number, LARGEST, Found, ImportedRun, label, number, Options, whole
from ..registry import CONVERGENCE
from ..sources import Sources
from ..text.each_file import believed
from .lines import event_of, MARKS, Reading, TOKEN
from .units import amounts, EPOCHS, Unit, unit_of_log

QUESTION = "How much training, and how long, does the target take at each batch size?"
HINT = "an MLPerf training log, such as result_0.txt, or a folder of them"
# Ranks of one run say that it starts within this time; later, another attempt does.
SAME_START_MS = 60_000.0
# Relative; logs of one benchmark drop different remainders of an epoch.
SAME_SIZE = 0.01
MOST_EVALUATIONS_OF_A_RUN = 100_000
MOST_SETTINGS = 500
# Benchmarks whose eval_accuracy is a fraction of right predictions; others log a loss, an error rate or a mean average
# precision under the same key.
ACCURACIES = ("resnet", "bert")
BATCH = "global_batch"
AMOUNTS = {"epoch_num": "epoch", "samples_count": "examples"}


@dataclass
class Log:
    """One run so far. settings: the last value of each key; evaluations: (epochs or samples, metric, time in ms).
    unit: of the epochs or samples; first_epoch: of those that round 0.5 numbers, NaN before any."""

    where: str
    settings: dict[str, Any]
    start_ms: float = math.nan
    stop_ms: float = math.nan
    status: str = ""
    counted: str = ""
    unit: Unit = Unit(EPOCHS, EPOCHS)
    evaluations: list[tuple[float, float, float]] = field(default_factory=list)
    first_epoch: float = math.nan


def recognizes(sample: Sample) -> bool:
    """Return whether a file has lines of MLPerf, of whatever round."""
    return any(map(sample.holds, MARKS))


def read(sources: Sources, options: Options) -> Found:
    """Return the runs of a log or of a folder of logs, each with what it took to the target where it succeeded.

    Raises RecordError for logs that hold no run, and for logs that mean different things by the same name.
    """
    paths = sources.below(".txt", ".log", ".out") if sources.is_folder() else [sources.path]
    seen = Reading()
    logs, odd = believed(sources, paths, lambda path: _checked_logs(sources, path, seen))
    if odd and not logs:
        raise RecordError(f"{odd}.")
    if not logs:
        raise RecordError(f"{sources.named(sources.path)} has no {TOKEN} line with the key run_start; give {HINT}.")
    notes = [f"{seen.damaged:,} MLPerf lines are no whole JSON and were left out."] if seen.damaged else []
    for log in logs:
        if BATCH in options.settings:
            log.settings.setdefault("global_batch_size", options.settings[BATCH])
    logs, left = _with_batch(logs)
    units, unsure = _count_units(logs)
    sizes, doubts = _sizes(logs, options.train_examples)
    size = options.train_examples
    return Found(tuple(_named_runs(logs, sizes)), QUESTION, (*notes, *left, *unsure, *doubts), {
        "units": units, "train_examples": sizes, "train_examples_from": "the command line" if size else
        "the log's train_samples"})


def _checked_logs(sources: Sources, path: Path, seen: Reading) -> Iterator[Log]:
    """The runs of a file, once the batch of each that says one is known to be one."""
    for log in _logs(sources, path, seen):
        if log.settings.get("global_batch_size") is not None:
            _batch(log)
        yield log


def _logs(sources: Sources, path: Path, seen: Reading) -> Iterator[Log]:
    """The runs of a file. What stands behind its last run_stop is about those that have not said it themselves."""
    found, settings = [], dict[str, Any]()
    log: Log | None = None
    for line in sources.lines(path, HINT):
        event = event_of(line, seen)
        if event is None:
            continue
        key, value = event["key"], event.get("value")
        if key == "run_start":
            if log is not None and abs(_time_ms(event) - log.start_ms) > SAME_START_MS:
                found.append(log)  # an attempt that never ended
                log = None
            if log is None:  # every rank may say so
                log, settings = Log(sources.named(path), settings, _time_ms(event)), dict(settings)
        elif key == "run_stop" and log is not None:
            found.append(_stopped(log, event))
            log = None
        elif key in ("eval_accuracy", "eval_error") and log is not None:
            _evaluate(log, event)
        elif key == "train_epoch" and log is not None and math.isnan(log.first_epoch):
            log.first_epoch = _figure(value)
        elif len(settings) < MOST_SETTINGS and isinstance(value, (str, int, float, bool)):
            settings[key] = value
            if log is not None:
                log.settings[key] = value
    found += [log] if log is not None else []
    for each in found:
        for key, value in settings.items():
            if len(found) == 1 or key.startswith("submission_"):
                each.settings.setdefault(key, value)
    yield from found


def _time_ms(event: Mapping[str, Any]) -> float:
    """When the event was, by a clock in milliseconds or, in a few logs, in seconds; NaN without either."""
    at = _figure(event.get("time_ms"))
    return at if math.isfinite(at) else 1000 * _figure(event.get("time_s"))


def _figure(value: object) -> float:
    """A number, also one that is written as text; NaN for anything else."""
    if isinstance(value, str):
        read = as_number(value.strip())
        return math.nan if read is None else read
    return number(value)


def _evaluate(log: Log, event: Mapping[str, Any]) -> None:
    about = event.get("metadata")
    about = about if isinstance(about, Mapping) else {}
    counted = next((name for name in AMOUNTS if name in about), "")
    amount = _figure(about.get(counted))
    if "benchmark" in event:
        log.settings["submission_benchmark"] = event["benchmark"]
        amount += 1 - log.first_epoch if log.first_epoch in (0, 1) else 0
    if not counted or not 0 <= amount <= LARGEST:
        raise RecordError(f"{log.where}: an {event['key']} says neither epoch_num nor samples_count, so how much "
                          "training it follows is not known.")
    if log.counted and log.counted != counted:
        raise RecordError(f"{log.where} counts epochs at some evaluations and samples at others.")
    log.counted = counted
    if log.evaluations and log.evaluations[-1][0] == amount:  # another rank, or another metric at the same place
        return
    if len(log.evaluations) >= MOST_EVALUATIONS_OF_A_RUN:
        raise RecordError(f"{log.where} has more than {MOST_EVALUATIONS_OF_A_RUN:,} evaluations in one run.")
    log.evaluations.append((amount, _figure(event.get("value")), _time_ms(event)))


def _stopped(log: Log, event: Mapping[str, Any]) -> Log:
    about = event.get("metadata")
    log.stop_ms = _time_ms(event)
    log.status = label(about.get("status")) if isinstance(about, Mapping) else ""
    target = _figure(log.settings.get("eval_target"))
    if "benchmark" in event and not log.status and log.evaluations and math.isfinite(target):
        log.status = "success" if log.evaluations[-1][1] >= target else "aborted"
    return log


def _with_batch(logs: Sequence[Log]) -> tuple[list[Log], list[str]]:
    """The logs that say their batch, and a sentence on the others; all of them where none does, for its error."""
    known = [log for log in logs if log.settings.get("global_batch_size") is not None]
    others = list(dict.fromkeys(log.where for log in logs if log.settings.get("global_batch_size") is None))
    if not known or not others:
        return list(logs), []
    more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
    return known, [f"{others[0]}{more} left out: no global_batch_size is said there."]


def _count_units(logs: Sequence[Log]) -> tuple[dict[str, str], list[str]]:
    """Give each log the unit of its benchmark; return their names by benchmark, and what is to be known of them."""
    names, doubts = dict[str, str](), dict[str, None]()
    for benchmark in dict.fromkeys(map(_benchmark, logs)):
        own = [log for log in logs if _benchmark(log) == benchmark]
        most = max((amount for log in own for amount, _, _ in log.evaluations), default=0.0)
        for log in own:
            log.unit, doubt = unit_of_log(benchmark, log.counted != "samples_count", most, min(map(_batch, own)))
            names[benchmark] = log.unit.name
            doubts |= {doubt: None} if doubt and log.counted else {}
    return names, list(doubts)


def _named_runs(logs: Sequence[Log], sizes: Mapping[str, int | None]) -> Iterator[ImportedRun]:
    """Runs with the same benchmark, batch, platform and hyperparameters are one reference point."""
    settings: dict[str, list[str]] = {}
    launches: dict[str, int] = {}
    counted: dict[str, str] = {}
    for log in logs:
        benchmark, platform = _benchmark(log), label(log.settings.get("submission_platform"))
        batch = _batch(log)
        if log.counted and counted.setdefault(benchmark, log.counted) != log.counted:
            raise RecordError(f"{log.where} counts {log.counted}, and another log of {benchmark} something else.")
        point = ", ".join(part for part in (benchmark, f"batch {batch:,}", platform) if part)
        chosen = json.dumps({key: value for key, value in sorted(log.settings.items()) if "opt_" in key})
        known = settings.setdefault(point, [])
        if chosen not in known:
            known.append(chosen)
        if known.index(chosen):
            point += f", setting {known.index(chosen) + 1}"
        launches[point] = launches.get(point, -1) + 1
        yield _run(log, benchmark, batch, point, launches[point], sizes[benchmark])


def _batch(log: Log) -> int:
    given = log.settings.get("global_batch_size")
    if given is None and "input_batch_size" in log.settings:
        said = label(str(log.settings["input_batch_size"]))[:40]
        raise RecordError(f"{log.where} says input_batch_size={said}, which is of one device in some logs of round 0.5 "
                          "and of all in others; give that of all: --set global_batch=2048.")
    figure = _figure(given)
    return whole(figure if math.isfinite(figure) else given, f"{log.where}: global_batch_size")


def _sizes(logs: Sequence[Log], size: int | None) -> tuple[dict[str, int | None], list[str]]:
    """Examples of an epoch by benchmark, None where no log says it or logs contradict each other; and what is to be
    known of the latter."""
    found, doubts = dict[str, int | None](), []
    for name in dict.fromkeys(map(_benchmark, logs)):
        own = [log for log in logs if _benchmark(log) == name]
        known = [(_figure(log.settings.get("train_samples")), _batch(log)) for log in own]
        told = [(samples, batch) for samples, batch in known if 1 <= samples <= LARGEST]
        found[name] = size or (int(told[0][0]) if told else None)
        if size or not told or _alike([samples for samples, _ in told]):
            continue
        found[name] = None
        products = [samples * batch for samples, batch in told]
        steps = (f" Times the batch they are {products[0]:,.0f} everywhere, so they seem to be steps: give "
                 f"--train-examples {products[0]:.0f}.") if _alike(products) else " Give --train-examples."
        doubts.append(f"{name}: logs contradict each other about train_samples "
                      f"({', '.join(f'{samples:,.0f}' for samples in sorted({samples for samples, _ in told})[:5])}), "
                      f"so the examples of an epoch, and steps, are not known.{steps}")
    return found, doubts


def _alike(values: Sequence[float]) -> bool:
    return max(values) <= (1 + SAME_SIZE) * min(values)


def _benchmark(log: Log) -> str:
    return label(log.settings.get("submission_benchmark")) or "not named"


def _run(log: Log, benchmark: str, batch: int, point: str, launch: int, size: int | None) -> ImportedRun:
    """`size`: examples of an epoch."""
    amount = log.evaluations[-1][0] if log.status == "success" and log.evaluations else math.nan
    examples_each = None if size is None else float(size)
    epochs, examples = _amounts(amount, log.unit, examples_each)
    seconds = (log.stop_ms - log.start_ms) / 1000
    rates = [_figure(value) for key, value in log.settings.items() if key.endswith("opt_base_learning_rate")]
    momenta = [_figure(value) for key, value in log.settings.items() if key.endswith("opt_momentum")]
    known = {"epochs_to_target": epochs, "examples_to_target": examples, "steps_to_target": examples / batch,
             "train_examples": math.nan if examples_each is None else examples_each,
             "total_seconds": seconds if seconds > 0 else math.nan,
             "seconds_to_target": seconds if seconds > 0 and amount > 0 else math.nan,
             "base_learning_rate": rates[0] if rates else math.nan, "momentum": momenta[0] if momenta else math.nan,
             "seed": _figure(log.settings.get("seed"))}
    columns = {"run_id": f"{point}-{launch + 1:03d}", "status": "completed" if log.status else "failed",
               "experiment": benchmark, "model": benchmark, "kind": CONVERGENCE, "global_batch": batch,
               "optimizer": label(log.settings.get("opt_name")), "launch": launch, "reference_point": point,
               "flags": "" if amount > 0 else f"never passed the target ({log.status or 'no run_stop'})",
               **{key: value for key, value in known.items() if math.isfinite(value) and abs(value) <= LARGEST}}
    return ImportedRun(columns, _curve(log, benchmark, batch, examples_each), environment={
        "devices": label(log.settings.get("submission_platform"))}, words={
            **{key: value if not isinstance(value, str) else label(value) for key, value in log.settings.items()},
            "status": log.status})


def _amounts(amount: float, unit: Unit, size: float | None) -> tuple[float, float]:
    """Epochs and examples; NaN for what does not follow from the other."""
    epochs, examples = amounts(amount, unit, size)
    return number(epochs), number(examples)


def _curve(log: Log, benchmark: str, batch: int, size: float | None) -> dict[str, list[float]]:
    each = [_amounts(amount, log.unit, size) for amount, _, _ in log.evaluations]
    curve = {"epoch": [epochs for epochs, _ in each], "examples": [examples for _, examples in each],
             "global_batch": [float(batch)] * len(each),
             "elapsed_seconds": [(at - log.start_ms) / 1000 for _, _, at in log.evaluations]}
    if benchmark in ACCURACIES:
        curve["validation_accuracy"] = [value if 0 <= value <= 1 else math.nan for _, value, _ in log.evaluations]
    return curve
