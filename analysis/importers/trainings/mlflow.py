"""MLflow's tracking stores: the folder mlruns with EXPERIMENT/RUN/{meta.yaml, params, metrics}, and mlflow.db (SQLite).

A metric's file has a line "milliseconds value step" for each value. Tags, users and artifact places are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..text.each_file import read_each
from ..imported_run import as_number, Found, ImportedRun, label, MOST_EVALUATIONS, Options
from ..sources import Sources
from ..text.yaml_text import yaml_words
from .curve import Curve, QUESTION, Told, training_run
from .mlflow_database import database_runs, MAGIC

HINT = "MLflow's folder mlruns, a run in it, or mlflow.db"
META, PARAMS, METRICS = "meta.yaml", "params", "metrics"
MOST_PARAMS = 1_000
# How a run ended, in the file store's numbers and in the database's words.
FAILED = {4: "failed", 5: "failed", "FAILED": "failed", "KILLED": "failed"}
DELETED = "deleted"


@dataclass(frozen=True)
class Tracked:
    """One run as MLflow tracks it. values: by metric, (step, seconds since 1970, value). steps may all be 0."""

    name: str
    experiment: str
    where: str
    status: object = ""
    seconds: float = math.nan
    params: dict[str, str] = field(default_factory=dict)
    values: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)


def recognizes(sample: Sample) -> bool:
    """Return whether a file is a database with MLflow's tables, or a folder holds runs' meta.yaml and metrics."""
    if not sample.is_folder:
        return sample.holds(MAGIC, "latest_metrics")
    return sample.has(META) and any(METRICS in Path(name).parts[:-1] for name in sample.names)


def read(sources: Sources, options: Options) -> Found:
    """Return each run that is not deleted, with its parameters as params.NAME.

    Raises RecordError for a database that cannot be read and where no run is left.
    """
    told = Told()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        tracked = [_of_folder(sources, path)] if sources.is_folder() else [
            Tracked(*run) for run in database_runs(sources, path, HINT)]
        for one in tracked:
            yield _run(one, told, options.metrics)
    paths = [path for path in sources.below(META) if (path.parent / METRICS).is_dir()] if sources.is_folder() else [
        sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(told.notes()))


def _of_folder(sources: Sources, meta: Path) -> Tracked:
    about, folder = yaml_words(sources, meta, HINT), meta.parent
    if about.get("lifecycle_stage") == DELETED:
        raise RecordError(f"{sources.named(meta)} is of a deleted run.")
    params = {path.name: label(sources.content(path, HINT, 2 ** 16).decode("utf-8", "replace"))
              for path in _files(folder / PARAMS)[:MOST_PARAMS]}
    values = {path.relative_to(folder / METRICS).as_posix(): list(_values(sources, path))
              for path in _files(folder / METRICS)}
    times = [as_number(str(about.get(name, ""))) for name in ("start_time", "end_time")]
    seconds = (times[1] - times[0]) / 1000 if times[0] is not None and times[1] is not None else math.nan
    return Tracked(label(about.get("run_name")) or folder.name, folder.parent.name,
                   str(folder.relative_to(sources.path)), about.get("status"), seconds, params, values)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _values(sources: Sources, path: Path) -> Iterator[tuple[float, float, float]]:
    for count, line in enumerate(sources.lines(path, HINT)):
        parts = line.split()
        at, step = (as_number(parts[index]) if len(parts) > index else 0.0 for index in (0, 2))
        if not parts:
            continue
        if len(parts) < 2 or at is None or step is None or count > MOST_EVALUATIONS:
            raise RecordError(f"{sources.named(path)}, line {count + 1}: expected \"milliseconds value step\".")
        value = as_number(parts[1], 3.5e38)
        yield step, at / 1000, math.nan if value is None else value


def _run(one: Tracked, told: Told, given: Mapping[str, str]) -> ImportedRun:
    words = {f"params.{name}": value for name, value in one.params.items()}
    failed = {"status": FAILED[one.status], "flags": "MLflow says that it failed"} if (
        isinstance(one.status, (int, str)) and one.status in FAILED) else {}
    known: dict[str, Any] = {"total_seconds": one.seconds} if one.seconds >= 0 else {}
    rate = next((found for name, text in one.params.items() if name.lower().rsplit(".", 1)[-1] in (
        "lr", "learning_rate") and (found := as_number(text)) is not None and found >= 0), None)
    known |= {"base_learning_rate": rate} if rate is not None else {}
    run = training_run(_curve(one), one.name, told, given, {**known, **failed}, words, one.where)
    return run


def _curve(one: Tracked) -> Curve:
    """Values of one step stand in one row. A metric that was logged without steps has 0 everywhere: its values follow
    one another."""
    rows: dict[float, dict[str, float]] = {}
    times: dict[float, float] = {}
    for name, values in one.values.items():
        for index, (step, at, value) in enumerate(_numbered(values)):
            rows.setdefault(step, {})[name] = value
            times[step] = max(times.get(step, at), at)
    curve = Curve(one.where)
    begin = min(times.values(), default=math.nan)
    for step in sorted(rows):
        curve.add((step, math.nan, times[step] - begin), rows[step])
    if not curve.rows:
        raise RecordError(f"{one.name} has no metrics.")
    return curve


def _numbered(values: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    if len(values) > 1 and not any(step for step, _, _ in values):
        return [(float(index), at, value) for index, (_, at, value) in enumerate(values)]
    return [(step, at, value) for step, at, value in values if step >= 0]
