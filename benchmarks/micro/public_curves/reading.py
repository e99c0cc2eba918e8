"""Published throughput against replicas, from a CSV table with one training a row."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....analysis.importers import imported_store
from ....analysis.tables.reading import read
from ....analysis.tables.results import Results
from ...errors import RecordError

REPLICAS, RATE, BATCH = "replicas", "examples_per_second", "replica_batch"
NEEDED = (REPLICAS, RATE, BATCH)


@dataclass(frozen=True)
class Curve:
    """One model on one machine. `group`: its set-up, what is held out together;
    `name`: its other words; `rates`: examples per second by replicas."""

    group: str
    name: str
    batch: int
    rates: Mapping[int, float]

    def has(self, counts: Iterable[int]) -> bool:
        """Return whether all these replica counts were measured."""
        return all(count in self.rates for count in counts)

    def log_step(self, count: int) -> float:
        """Return the logarithm of the step time on so many replicas, in seconds."""
        return math.log(count * self.batch / self.rates[count])


def curves_of(path: Path, group: str = "") -> list[Curve]:
    """Return the curves of a table, in its order. group: the column that says what was measured together, by default
    the first; all others but those of NEEDED tell curves apart. Raises RecordError for a table that is none."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}; give a CSV table of curves.") from None
    names = list(rows[0]) if rows else []
    group = group or next((name for name in names if name not in NEEDED), "")
    if missing := [name for name in (*NEEDED, group) if name not in names]:
        raise RecordError(f"{path} has no column {', '.join(missing)}; a curve is one training a row with "
                          f"{', '.join(NEEDED)}, and columns that name the machine and the model.")
    others = [name for name in names if name not in (*NEEDED, group)]
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for number, row in enumerate(rows, 2):
        try:
            batch, count, rate = int(row[BATCH]), int(row[REPLICAS]), float(row[RATE])
        except (TypeError, ValueError):
            raise RecordError(f"{path}, line {number}: {', '.join(NEEDED)} must be numbers.") from None
        if not (batch > 0 and count > 0 and 0 < rate < math.inf):
            raise RecordError(f"{path}, line {number}: {', '.join(NEEDED)} must be above 0.")
        own = found.setdefault((row[group], str(batch), *(row[name] for name in others)), {})
        if own.setdefault(count, rate) != rate:
            raise RecordError(f"{path}, line {number}: {count} replicas of this curve have two rates; add a column "
                              "that tells them apart.")
    return [Curve(key[0], " ".join(key[2:]), int(key[1]), rates) for key, rates in found.items()]


def results_of(curves: Sequence[Curve], counts: Sequence[int]) -> Results:
    """Return what an import of these replica counts of the curves gives; a curve's number, from 0, is its model."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "curves.csv"
        with open(table, "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(("kind", "model", "scaling", "global_batch", *NEEDED))
            for index, curve in enumerate(curves):
                lines.writerows(("throughput", index, "weak", count * curve.batch, count, curve.rates[count],
                                 curve.batch) for count in counts)
        return read(imported_store.write(table, Path(folder) / "results", "csv"))
