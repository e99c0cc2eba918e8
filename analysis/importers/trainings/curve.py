"""One training of another tool as a run: its curve, its ends, and what its files do not say."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ....benchmarks.errors import RecordError
from ...statistics.estimate import Floats
from ...columns import METRICS
from ..imported_run import LARGEST, largest, ImportedRun, label, MOST_EVALUATIONS
from ..registry import TRAINING
from .names import chosen, RATES

QUESTION = "How does each training go, and where does it end?"
MOST_NAMES = 1_000
MOST_VALUES = 10_000_000  # of a curve, which are some 200 MB and half a minute of work
MOST_LISTED = 12
PLACES = ("step", "epoch", "elapsed_seconds")
Rows = npt.NDArray[np.int64]


class Series(Mapping[int, float]):
    """Values of one name by the row they stand in, in 16 bytes each: logs have millions. Rows come in ascending
    order."""

    def __init__(self) -> None:
        self._rows, self._values = array("q"), array("d")

    def append(self, row: int, value: float) -> None:
        """Add the value of a row that is further on than all others."""
        self._rows.append(row)
        self._values.append(value)

    def __getitem__(self, row: int) -> float:
        at = bisect_left(self._rows, row)
        if at == len(self._rows) or self._rows[at] != row:
            raise KeyError(row)
        return self._values[at]

    @property
    def rows(self) -> Rows:
        """Return the rows that have a value."""
        return np.array(self._rows, dtype=np.int64)

    def over(self, rows: int) -> Floats:
        """Return the values of the rows up to so many, NaN where a row has none."""
        found = np.full(rows, math.nan)
        found[self.rows] = self._values
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass
class Curve:
    """Rows of one training as they are read: where each stands (PLACES, NaN where unknown), and the values by the
    tool's own names, `count` of them in all."""

    where: str
    rows: list[tuple[float, float, float]] = field(default_factory=list)
    values: dict[str, Series] = field(default_factory=dict)
    rates: dict[int, float] = field(default_factory=dict)
    count: int = 0

    def add(self, place: tuple[float, float, float], values: Mapping[str, float]) -> None:
        """Add a row: the steps and epochs done and the seconds since the start, and values that were logged there.

        Raises RecordError for more than MOST_EVALUATIONS rows, MOST_NAMES names or MOST_VALUES values.
        """
        index = len(self.rows)
        if index >= MOST_EVALUATIONS or len(self.values) > MOST_NAMES:
            raise RecordError(f"{self.where} holds more than {MOST_EVALUATIONS:,} rows or {MOST_NAMES:,} names of "
                              "values.")
        self.count += len(values)
        if self.count > MOST_VALUES:
            raise RecordError(f"{self.where} holds more than {MOST_VALUES:,} values; import fewer of its columns, or a "
                              "part of its rows.")
        self.rows.append(place)
        for name, value in values.items():
            if name in RATES:
                self.rates[index] = value
            elif (series := self.values.get(name)) is not None:
                series.append(index, value)
            else:
                self.values[name] = Series()
                self.values[name].append(index, value)


@dataclass(frozen=True)
class Told:
    """Names of values that no column holds, and of those taken for per cent, of all runs together."""

    unread: dict[str, None] = field(default_factory=dict)
    per_cent: dict[str, None] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """Return the sentences about values that were not read or were divided."""
        found = []
        if self.unread:
            names = ", ".join(list(self.unread)[:MOST_LISTED])
            more = f" and {len(self.unread) - MOST_LISTED:,} more" if len(self.unread) > MOST_LISTED else ""
            found.append(f"Values that have no column and were not read: {names}{more}.{self._example()}")
        if self.per_cent:
            found.append(f"{', '.join(list(self.per_cent)[:MOST_LISTED])} goes beyond 1, so it is taken for per cent.")
        return found

    def _example(self) -> str:
        """How one of the values fills a column."""
        for word, column in (("loss", "validation_loss"), ("acc", "validation_accuracy")):
            if name := next((name for name in self.unread if word in name.lower()), ""):
                return f" One of them can fill a column, such as --map {column}={name}."
        return ""


def training_run(curve: Curve, name: str, told: Told, given: Mapping[str, str], known: Mapping[str, Any] | None = None,
                 words: Mapping[str, Any] | None = None, where: str = "") -> ImportedRun:
    """Return a curve as a run of kind `training`: columns of METRICS where its names tell which they are, their last
    values as its ends, the first learning rate, and whether the loss ended as no number.

    given: column -> the tool's name for it, from --map; known: further columns; told: takes what was not read.
    """
    named = chosen(curve.values, given)
    for other in sorted(set(curve.values) - set(named.values())):
        told.unread.setdefault(label(other) or "an unnamed value")
    count = len(curve.rows)
    kept = np.unique(np.concatenate([curve.values[name].rows for name in named.values()] or [np.empty(0, np.int64)]))
    places = np.asarray(curve.rows, dtype=np.float64).reshape(count, len(PLACES))[kept]
    columns = {column: _column(curve.values[of].over(count), column, of, told) for column, of in named.items()}
    evaluations = {**{place: _array(places[:, at]) for at, place in enumerate(PLACES)},
                   **{column: _array(values[kept]) for column, values in columns.items()}}
    ends = {column: _last(evaluations[column]) for column in columns}
    found = {**ends, "last_step": _most(evaluations["step"]), "total_seconds": _most(evaluations["elapsed_seconds"]),
             "base_learning_rate": next((rate for rate in curve.rates.values() if 0 <= rate <= LARGEST), math.nan),
             **(known or {})}
    loss = named.get("train_loss", "")
    lost = bool(loss) and not math.isfinite(columns["train_loss"][curve.values[loss].rows[-1]])
    return ImportedRun(
        {"run_id": label(name) or "run", "status": "diverged" if lost else "completed", "kind": TRAINING,
         "experiment": "imported", "flags": "the train loss ends as no number" if lost else "",
         **{key: value for key, value in found.items() if not isinstance(value, float) or math.isfinite(value)}},
        {key: values for key, values in evaluations.items() if key in METRICS or _most(values) >= 0},
        words=words or {}, where=where)


def _column(values: Floats, column: str, name: str, told: Told) -> Floats:
    """The values that the column can hold, NaN for others; an accuracy beyond 1 is per cent."""
    fraction, most = column.endswith("accuracy"), largest(column)
    size = 1.0
    if fraction and np.any((values > 1) & np.isfinite(values)):
        told.per_cent.setdefault(label(name))
        size = 100.0
    low, high = (0.0, 1.0) if fraction else (-most, most)
    found = values / size
    return np.where((low <= found) & (found <= high), found, math.nan)


def _array(values: Floats) -> array[float]:
    return array("d", values.tobytes())


def _last(values: Sequence[float]) -> float:
    return next((value for value in reversed(values) if math.isfinite(value)), math.nan)


def _most(values: array[float]) -> float:
    found = np.frombuffer(values)
    found = found[np.isfinite(found)]
    return float(found.max()) if found.size else math.nan
