"""The history of Keras' `fit` as people save it: JSON with a list for each metric, one value an epoch.

`json.dump(history.history, file)` writes it, alone or under `history`; pandas' to_json writes objects of numbered
values in the place of lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .....benchmarks.errors import RecordError
from ...detection import Sample
from ...text.each_file import read_each
from ...imported_run import Found, ImportedRun, number, Options
from ...sources import json_text, Sources
from ..curve import Curve, QUESTION, Told, training_run

HINT = "the JSON of a History's history, such as {\"loss\": [0.9, 0.5], \"val_loss\": [0.8, 0.6]}"
LISTED = "history"
MOST_EPOCHS_LISTED = 1_000_000


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins as JSON with lists of a loss."""
    start = sample.first_line.lstrip().startswith("{")
    return start and any(sample.holds(mark) for mark in ('"loss": [', '"loss":[', '"loss":{"0"', '"loss": {"0"'))


def read(sources: Sources, options: Options) -> Found:
    """Return each file's history as a run. In a folder, JSON of other things is left out with a note.

    Raises RecordError for a file that is no such JSON, and for metrics of different lengths.
    """
    told, folder = Told(), sources.is_folder()

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        name, where = (sources.named(path.with_suffix("")), str(path.relative_to(sources.path))) if folder else (
            path.stem, "")
        yield training_run(_curve(sources, path), name, told, options.metrics, where=where)
    paths = sources.below(".json") if folder else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    return Found(tuple(runs), QUESTION, tuple(told.notes()))


def _curve(sources: Sources, path: Path) -> Curve:
    where, given = sources.named(path), json_text(sources, path, HINT)
    given = given.get(LISTED, given) if isinstance(given, Mapping) else given
    lists = {str(name): found for name, values in given.items() if (found := _values(values)) is not None} if (
        isinstance(given, Mapping)) else {}
    lengths = {len(values) for values in lists.values()}
    if not lists or 0 in lengths:
        raise RecordError(f"{where} has no lists of values; give {HINT}.")
    if len(lengths) > 1:
        raise RecordError(f"{where} has lists of {min(lengths):,} and {max(lengths):,} values; an epoch has one of "
                          "each.")
    curve = Curve(where)
    for index in range(lengths.pop()):
        curve.add((math.nan, index + 1.0, math.nan), {name: values[index] for name, values in lists.items()})
    return curve


def _values(given: Any) -> list[float] | None:
    """The values of a metric by epoch; None for what is no list of numbers."""
    items = given if isinstance(given, list) else (
        [given[key] for key in given] if isinstance(given, dict) and all(key.isdigit() for key in given) else None)
    if items is None or len(items) > MOST_EPOCHS_LISTED or not all(
            item is None or isinstance(item, (int, float)) for item in items):
        return None
    return [number(item) for item in items]
