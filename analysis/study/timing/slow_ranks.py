"""Ranks and nodes that compute more slowly than their peers, by each rank's time without the exchange of gradients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

PLACE = ("experiment", "placement", "nodes", "global_batch")
LIMIT = 1.1  # times the others' median; windows that spread by a tenth are called unstable elsewhere, too
WHOLE_NODE = -1


@dataclass(frozen=True)
class Pace:
    """Step time without the exchange of gradients of a rank, or of a whole node (rank WHOLE_NODE), beside its peers at
    one timing point (values of PLACE).

    `own_step_seconds`: the median over launches, in seconds. `ratios`: its time over the median of the others', launch
    by launch.
    """

    place: tuple[Any, ...]
    host: str
    rank: int
    own_step_seconds: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Return the median over launches of its time over the others' median."""
        return median(self.ratios)

    @property
    def slow(self) -> bool:
        """Return whether it was slower than LIMIT allows in every one of several launches: what was slow once may have
        been disturbed."""
        return len(self.ratios) > 1 and min(self.ratios) > LIMIT


def paces(runs: pd.DataFrame, ranks: pd.DataFrame) -> list[Pace]:
    """Return every rank, and every node by the median of its ranks, at every timing point; the slowest come first.

    `runs` and `ranks` are tables of Results.
    """
    places = runs[["run_id", *PLACE]].drop_duplicates("run_id")
    joined = ranks.merge(places, on="run_id")
    by_node = joined.groupby(["run_id", *PLACE, "host"], as_index=False)["own_step_seconds"].median()
    found = [*_compared(joined), *_compared(by_node.assign(rank=WHOLE_NODE))]
    return sorted(found, key=lambda pace: (-pace.ratio, pace.rank))


def _compared(rows: pd.DataFrame) -> Iterator[Pace]:
    """A pace for each rank on each host: after a requeue a rank may be elsewhere."""
    seconds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    ratios: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for _, run in rows.groupby("run_id", sort=False):
        own = [float(value) for value in run["own_step_seconds"]]
        keys = list(zip(*(run[name] for name in PLACE), run["host"], run["rank"]))
        for index, key in enumerate(keys if len(keys) > 1 else ()):
            seconds[key].append(own[index])
            ratios[key].append(own[index] / median(own[:index] + own[index + 1:]))
    for key, values in ratios.items():
        yield Pace(key[:len(PLACE)], str(key[-2]), int(key[-1]), median(seconds[key]), tuple(values))
