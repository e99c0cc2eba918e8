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

REPLICAS, RATE, BATCH, PER_NODE = "replicas", "examples_per_second", "replica_batch", "per_node"
NEEDED = (REPLICAS, RATE, BATCH)


@dataclass(frozen=True)
class Curve:
    """One model on one machine. `group`: its set-up, what is held out together;
    `name`: its other words; `rates`: examples per second by replicas; `per_node`: replicas of a full node, 0 where
    all share one."""

    group: str
    name: str
    batch: int
    rates: Mapping[int, float]
    per_node: int = 0

    def has(self, counts: Iterable[int]) -> bool:
        """Return whether all these replica counts were measured."""
        return all(count in self.rates for count in counts)

    def nodes(self, count: int) -> int:
        """Return the nodes of so many replicas."""
        return math.ceil(count / self.per_node) if self.per_node else 1

    def log_step(self, count: int) -> float:
        """Return the logarithm of the step time on so many replicas, in seconds."""
        return math.log(count * self.batch / self.rates[count])


def curves_of(path: Path, group: str = "") -> list[Curve]:
    """Return the curves of a table, in its order. group: the column that says what was measured together, by default
    the first; all others but those of NEEDED and PER_NODE, which may be missing, tell curves apart.

    Raises RecordError for a table that is none.
    """
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
    others = [name for name in names if name not in (*NEEDED, PER_NODE, group)]
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for number, row in enumerate(rows, 2):
        try:
            batch, count, rate = int(row[BATCH]), int(row[REPLICAS]), float(row[RATE])
            per_node = int(row.get(PER_NODE) or 0)
        except (TypeError, ValueError):
            raise RecordError(f"{path}, line {number}: {', '.join(NEEDED)} must be numbers.") from None
        if not (batch > 0 and count > 0 and 0 < rate < math.inf and per_node >= 0):
            raise RecordError(f"{path}, line {number}: {', '.join(NEEDED)} must be above 0.")
        own = found.setdefault((row[group], str(batch), str(per_node), *(row[name] for name in others)), {})
        if own.setdefault(count, rate) != rate:
            raise RecordError(f"{path}, line {number}: {count} replicas of this curve have two rates; add a column "
                              "that tells them apart.")
    return [Curve(key[0], " ".join(key[3:]), int(key[1]), rates, int(key[2])) for key, rates in found.items()]


def results_of(curves: Sequence[Curve], counts: Sequence[int]) -> Results:
    """Return what an import of these replica counts of the curves gives; a curve's number, from 0, is its model. Nodes
    are those of the curves that say how many replicas share one."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "curves.csv"
        with open(table, "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(("kind", "model", "scaling", "global_batch", "nodes", *NEEDED))
            for index, curve in enumerate(curves):
                lines.writerows(("throughput", index, "weak", count * curve.batch,
                                 curve.nodes(count) if curve.per_node else "", count, curve.rates[count], curve.batch)
                                for count in counts)
        return read(imported_store.write(table, Path(folder) / "results", "csv"))
