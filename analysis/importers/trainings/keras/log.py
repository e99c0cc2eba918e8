"""The table that Keras' CSVLogger writes: an epoch a row, with the names of Keras 2 (acc, val_acc, lr) or 3.

Epochs are counted from 0. A log that was appended to holds several trainings, each of which begins at a lower epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from .....benchmarks.errors import RecordError
from ...text.delimited import header_of, table_rows
from ...detection import Sample
from ...text.each_file import read_each
from ...imported_run import Found, ImportedRun, LARGEST, Options
from ...registry import KINDS
from ...sources import Sources
from ..curve import Curve, QUESTION, Told, training_run
from ..names import metric_of

HINT = "what keras.callbacks.CSVLogger wrote"
EPOCH = "epoch"
MOST_TRAININGS = 1_000  # of one log, each a run of its own


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins with a header of epoch and a metric, and nothing of Lightning or of ours."""
    header = header_of(sample.first_line)
    ours = {name for kind in KINDS.values() for name in kind.needed} - {"epochs", "seed"}
    return EPOCH in header and "step" not in header and any(map(metric_of, header)) and ours.isdisjoint(header)


def read(sources: Sources, options: Options) -> Found:
    """Return each training of each log as a run. In a folder, tables of other things are left out with a note.

    Raises RecordError for a table that lacks the column epoch or has no epoch in it, and where no log is left.
    """
    told, folder = Told(), sources.is_folder()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        curves = list(_curves(sources, path))
        if len(curves) > 1:
            sources.notes.append(f"{sources.short(path)}: its epochs begin again, so it is read as {len(curves)} "
                                 "trainings.")
        where = str(path.relative_to(sources.path)) if folder else ""
        name = sources.named(path.with_suffix("")) if folder else path.stem
        yield from (training_run(curve, name, told, options.metrics, where=where) for curve in curves)
    paths = sources.below(".csv", ".log", ".tsv", ".txt") if folder else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(told.notes()))


def _curves(sources: Sources, path: Path) -> Iterator[Curve]:
    where, last = sources.named(path), math.inf
    curve: Curve | None = None
    begun = 0
    for dialect, row in table_rows(sources, path, HINT):
        row = dict(row)
        epoch = dialect.number(row.pop(EPOCH, ""))
        if not 0 <= epoch <= LARGEST:
            raise RecordError(f"{where} has a row without an epoch; give {HINT}.")
        if curve is None or epoch <= last:
            if curve is not None:
                yield curve
            if (begun := begun + 1) > MOST_TRAININGS:
                raise RecordError(f"{where}: its epochs begin again more than {MOST_TRAININGS:,} times, which is more "
                                  f"trainings than are read from one log; give {HINT}.")
            curve = Curve(where)
        curve.add((math.nan, epoch + 1, math.nan), {name: dialect.number(cell) for name, cell in row.items()})
        last = epoch
    if curve is None:
        raise RecordError(f"{where} has no row with an epoch; give {HINT}.")
    yield curve
