"""Lightning's metrics.csv: a sparse table in which a row has the values that were logged together at a step.

Steps and epochs are counted from 0, so the first row after 50 steps says 49; test rows say how many were done. Beside
it hparams.yaml holds what the model was made with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..text.delimited import header_of, table_rows
from ..detection import Sample
from ..text.each_file import read_each, run_name
from ..imported_run import Found, ImportedRun, Options
from ..sources import Sources
from ..text.yaml_text import yaml_words
from .curve import Curve, QUESTION, Told, training_run
from .names import metric_of

HINT = "a metrics.csv of Lightning's CSVLogger, or a folder with some"
FILE, BESIDE = "metrics.csv", "hparams.yaml"
STEP, EPOCH = "step", "epoch"


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins with a header of step, epoch and a metric, or a folder holds such a file."""
    if sample.is_folder:
        return any(_fits(Sample(sample.path / name)) for name in sample.names if Path(name).name == FILE)
    return _fits(sample)


def _fits(sample: Sample) -> bool:
    header = header_of(sample.first_line)
    return STEP in header and any(map(metric_of, header)) and (EPOCH in header or sample.path.name == FILE)


def read(sources: Sources, options: Options) -> Found:
    """Return each metrics.csv as a run, with the words of hparams.yaml beside it as hparams.NAME.

    Raises RecordError for a table without a column step, and where no run is left.
    """
    told = Told()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        name, where = run_name(sources, path)
        if not where:
            name = path.absolute().parent.name if path.stem == "metrics" else path.stem
        yield training_run(_curve(sources, path), name, told, options.metrics, words=_beside(sources, path),
                           where=where)
    runs = read_each(sources, sources.below(FILE) if sources.is_folder() else [sources.path], runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(told.notes()))


def _beside(sources: Sources, path: Path) -> dict[str, Any]:
    beside = path.with_name(BESIDE)
    if not beside.is_file():
        return {}
    try:
        return {f"hparams.{name}": value for name, value in yaml_words(sources, beside, BESIDE).items()}
    except RecordError as error:
        sources.notes.append(f"{str(error).rstrip('.')}; it was left out.")
        return {}


def _curve(sources: Sources, path: Path) -> Curve:
    """A row for each step and epoch; rows of the same one follow each other."""
    curve, where = Curve(sources.named(path)), sources.named(path)
    place, values = (math.nan, math.nan, math.nan), dict[str, float]()
    for dialect, row in table_rows(sources, path, HINT):
        numbers = {name: dialect.number(cell) for name, cell in row.items()}
        here = _place(numbers, where)
        if here != place and values:
            curve.add(place, values)
            values = {}
        place = here
        values |= {name: value for name, value in numbers.items() if name not in (STEP, EPOCH)}
    if values:
        curve.add(place, values)
    if not curve.rows:
        raise RecordError(f"{where} has no row with a value; give {HINT}.")
    return curve


def _place(numbers: Mapping[str, float], where: str) -> tuple[float, float, float]:
    """Steps and epochs done."""
    step, epoch = numbers.get(STEP, math.nan), numbers.get(EPOCH, math.nan)
    if step < 0 or epoch < 0 or math.isnan(step) and math.isnan(epoch):
        raise RecordError(f"{where} has a row without a step and an epoch; give {HINT}.")
    parts = {metric_of(name).partition("_")[0] for name in numbers} - {""}
    done = 0 if parts == {"test"} else 1
    return step + done, epoch + done, math.nan
