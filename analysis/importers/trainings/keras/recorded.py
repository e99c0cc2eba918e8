"""What `batchscale.Recorder` wrote beside a `fit`: a line of settings, then windows, epochs and memory as they came.

Of one training come a run with its curve, one with its throughput and one with its peak memory. A training that was
killed has no line that ends it; what it wrote until then is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from .....benchmarks.errors import RecordError
from ....columns import MEMORY
from ...detection import Sample
from ...imported_run import COLUMNS, Found, ImportedRun, label, number, Options, TEXTS, whole
from ...sources import json_value, Sources
from ...text.cells import cell_value
from ...text.each_file import read_each
from ..curve import Curve, Told, training_run

QUESTION = "How do these trainings go, and how fast?"
HINT = "a file that batchscale.Recorder wrote, or its folder `recordings`"
MARK = "batchscale_recording"
OWN = ("run_id", "status", "kind", "phase")
MOST_WINDOWS = 200_000
ENDS_EARLY = "the recording has no end: its process was killed, or it is still training"
GAP = ("Train values are Keras' means over each epoch, while the weights move; a generalization gap from them is not "
       "one at equal weights.")
# Columns that only a training has; the timing and the memory beside it are of its settings alone.
OF_THE_CURVE = ("base_learning_rate", "seed", "rule", "epochs", "train_examples", "reference_batch")
# Throughputs that are alike in these are launches of one point.
ALIKE = ("kind", "experiment", "dataset", "model", "optimizer", "placement", "precision", "global_batch")


@dataclass
class Recording:
    """The lines of one file."""

    name: str
    columns: dict[str, Any]
    environment: dict[str, str]
    curve: Curve
    windows: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    train_seconds: list[float] = field(default_factory=list)
    ended: bool = False


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins as a recording."""
    return sample.first_line.lstrip().startswith("{") and sample.holds(f'"{MARK}"')


def read(sources: Sources, options: Options) -> Found:
    """Return each recording as up to three runs: the training, its throughput and its memory.

    Raises RecordError for a file whose first line is none of a recording, and for settings that no column can hold.
    """
    told = Told()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        found = _recording(sources, path)
        where = str(path.relative_to(sources.path)) if sources.is_folder() else ""
        yield from _runs(found, told, options, where)
    paths = sources.below(".jsonl") if sources.is_folder() else [sources.path]
    runs = _counted(read_each(sources, paths, runs_of, HINT))
    return Found(tuple(runs), QUESTION, (GAP, *told.notes()))


def _counted(runs: Iterable[ImportedRun]) -> Iterator[ImportedRun]:
    """With the number of each launch among those of its configuration."""
    launches: dict[tuple[object, ...], int] = {}
    for run in runs:
        key = tuple(run.columns.get(name) for name in ALIKE)
        launches[key] = launches.get(key, -1) + 1
        yield replace(run, columns={"launch": launches[key], **run.columns})


def _recording(sources: Sources, path: Path) -> Recording:
    where = sources.named(path)
    lines = sources.lines(path, HINT)
    head = _line(next(lines, ""), where)
    if head is None or MARK not in head or not isinstance(head.get("columns"), Mapping):
        raise RecordError(f"{where} does not begin as a recording; give {HINT}.")
    columns = {name: _cell(name, value, where) for name, value in head["columns"].items()
               if name in COLUMNS and name not in OWN and isinstance(value, (str, int, float))}
    given = head.get("environment")
    environment = {label(name): label(value) for name, value in given.items() if isinstance(value, str)} if (
        isinstance(given, Mapping)) else {}
    found = Recording(label(head.get("run")) or path.stem, columns, environment, Curve(where))
    for text in lines:
        if (line := _line(text, where)) is not None:  # of a process that was killed the last one may be torn
            _take(found, line)
    return found


def _line(text: str, where: str) -> Mapping[str, Any] | None:
    try:
        value = json_value(text)
    except RecordError:
        return None
    return value if isinstance(value, Mapping) else None


def _cell(name: str, value: object, where: str) -> Any:
    return cell_value(name, value if isinstance(value, str) and name in TEXTS else f"{value}", where)


def _take(found: Recording, line: Mapping[str, Any]) -> None:
    window, epoch, memory = line.get("window"), line.get("epoch"), line.get("memory")
    if isinstance(window, Mapping) and len(found.windows) < MOST_WINDOWS:
        steps, start, seconds = (number(window.get(name)) for name in ("steps", "start_step", "seconds"))
        if 1 <= steps < 2**53 and 0 <= start < 2**53 and 0 < seconds < 1e12:
            found.windows.append({"rank": 0, "phase": 0, "start_step": int(start), "steps": int(steps),
                                  "seconds": seconds, "steady": bool(found.windows)})
    if isinstance(epoch, Mapping):
        metrics = epoch.get("metrics")
        values = {str(name): math.nan if value is None else number(value) for name, value in metrics.items()} if (
            isinstance(metrics, Mapping)) else {}
        step, count, seconds = (number(epoch.get(name)) for name in ("step", "epoch", "elapsed_seconds"))
        found.curve.add((step, count, seconds), {**values, "learning_rate": number(epoch.get("learning_rate"))})
        found.train_seconds.append(number(epoch.get("train_seconds")))
    if isinstance(memory, Mapping):
        found.memory |= {name: int(memory[name]) for name in MEMORY if isinstance(memory.get(name), int)
                         and 0 < memory[name] < 2**63}
    found.ended = found.ended or bool(line.get("end"))


def _runs(found: Recording, told: Told, options: Options, where: str) -> Iterator[ImportedRun]:
    flags = {} if found.ended else {"flags": ENDS_EARLY}
    if found.curve.rows:
        time = {"train_seconds": found.train_seconds[-1]} if found.train_seconds[-1] > 0 else {}
        run = training_run(found.curve, found.name, told, options.metrics,
                           {**found.columns, **time, **_peak_rate(found), **_gap(found)}, where=where)
        columns = {**run.columns, **flags} if flags and run.columns["status"] == "completed" else run.columns
        whole_curve = len(list(run.evaluations.get("step", ()))) == len(found.train_seconds)
        trained = {"train_seconds": found.train_seconds} if whole_curve else {}
        yield ImportedRun(columns, {**run.evaluations, **trained}, (), found.environment, run.words, where)
    settings = {name: value for name, value in found.columns.items() if name not in OF_THE_CURVE}
    steady = [window["seconds"] / window["steps"] for window in found.windows if window["steady"]] or [
        window["seconds"] / window["steps"] for window in found.windows]
    if steady and settings.get("global_batch"):
        batch = whole(settings["global_batch"], f"{found.curve.where}: global_batch")
        yield ImportedRun({"replicas": 1, **settings, **flags, "run_id": f"{found.name} (throughput)",
                           "kind": "throughput", "status": "completed", "step_seconds": median(steady),
                           "examples_per_second": batch / median(steady)}, {}, tuple(found.windows),
                          found.environment, where=where)
    if found.memory.get("peak_bytes") and settings.get("replica_batch"):
        yield ImportedRun({**settings, **flags, **found.memory, "run_id": f"{found.name} (memory)", "kind": "memory",
                           "status": "completed"}, {}, (), found.environment, where=where)


def _peak_rate(found: Recording) -> dict[str, float]:
    """The highest rate at the end of an epoch, which is that after a warm-up."""
    rates = [rate for rate in found.curve.rates.values() if 0 < rate < math.inf]
    return {"peak_learning_rate": max(rates)} if rates else {}


def _gap(found: Recording) -> dict[str, float]:
    """Train minus validation at the last epoch, as far as both are there."""
    def last(name: str) -> float:
        values: Mapping[int, float] = found.curve.values.get(name, {})
        return values[max(values)] if values else math.nan
    accuracy = next((name for name in ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy",
                                       "binary_accuracy") if name in found.curve.values), "accuracy")
    gaps = {"generalization_gap": last(accuracy) - last(f"val_{accuracy}"), "loss_gap": last("val_loss") - last("loss")}
    return {name: value for name, value in gaps.items() if math.isfinite(value)}
