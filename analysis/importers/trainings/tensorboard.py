"""TensorBoard's log folders: each folder with event files is a run, and train and validation beside each other are one.

Keras writes an epoch's metrics as epoch_loss at step = epoch, counted from 0, the validation's into a folder of its
own; other tools write a tag such as Loss/train at a training step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import Found, ImportedRun, MOST_EVALUATIONS, Options
from ..sources import Sources
from .curve import Curve, QUESTION, Told, training_run
from .event_file import scalars
from .names import PARTS, RATES

HINT = "a folder of TensorBoard's event files, or one of them"
MARK = ".tfevents."
OF_EPOCH = "epoch_"
# Keras' own, of single batches or against steps of the evaluation.
BATCHES = ("batch_", "evaluation_")


def recognizes(sample: Sample) -> bool:
    """Return whether a file or a file below a folder has the name of an event file."""
    return any(MARK in Path(name).name for name in sample.names or [str(sample.path)])


def read(sources: Sources, options: Options) -> Found:
    """Return the runs of event files; notes name the tags that were not read and the files that end too early.

    Raises RecordError where no scalar is left.
    """
    told = Told()
    groups = _groups(sources)

    def runs_of(first: Path) -> Iterator[ImportedRun]:
        files = groups[first]
        curve = _curve(sources, files)
        if not curve.rows:
            raise RecordError(f"{sources.named(first)} holds no scalar; give {HINT}.")
        name, where = run_name(sources, first, [part for part in first.parts if part.lower() in PARTS])
        yield training_run(curve, name, told, options.metrics, where=where)
    runs = read_each(sources, list(groups), runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(told.notes()))


def _groups(sources: Sources) -> dict[Path, list[tuple[str, Path]]]:
    """The event files of each run with the part that their folder names, by the run's first file."""
    if not sources.is_folder():
        return {sources.path: [(_part(sources.path.absolute()), sources.path)]}
    runs: dict[Path, list[tuple[str, Path]]] = {}
    for path in sources.below(""):
        if MARK in path.name:
            part = _part(path) if path.parent != sources.path else ""
            runs.setdefault(path.parent.parent if part else path.parent, []).append((part, path))
    return {files[0][1]: files for files in runs.values()}


def _part(path: Path) -> str:
    """train or validation, where the folder is called so."""
    return path.parent.name if PARTS.get(path.parent.name.lower(), "") else ""


def _curve(sources: Sources, files: Sequence[tuple[str, Path]]) -> Curve:
    """The values of all files by where they stand; one that is there again, as after a restart, replaces the first."""
    rows: dict[tuple[float, float], dict[str, float]] = {}
    times: dict[tuple[float, float], float] = {}
    count = 0
    for part, path in files:
        for tag, step, wall, value in scalars(sources, path, HINT):
            if tag.startswith(BATCHES):
                continue
            count += 1
            if count > MOST_EVALUATIONS:
                raise RecordError(f"{sources.named(path)} holds more than {MOST_EVALUATIONS:,} scalars.")
            bare = tag.removeprefix(OF_EPOCH)
            place = (math.nan, step + 1.0) if bare != tag else (float(step), math.nan)
            key = (-1.0, place[1]) if bare != tag else (place[0], -1.0)
            times[key] = max(times.get(key, wall), wall)
            rows.setdefault(key, {})[bare if bare in RATES or not part else f"{part}/{bare}"] = value
    return _ordered(rows, times, sources.named(files[0][1]))


def _ordered(rows: Mapping[tuple[float, float], Mapping[str, float]], times: Mapping[tuple[float, float], float],
             where: str) -> Curve:
    curve, begin = Curve(where), min((time for time in times.values() if math.isfinite(time)), default=math.nan)
    for key in sorted(rows):
        step, epoch = (math.nan if value < 0 else value for value in key)
        curve.add((step, epoch, times[key] - begin), rows[key])
    return curve
