"""Whether launches of one timing point agree, which launch stands apart, and how many more the spread asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd

from ....benchmarks.text import counted, listed, number, percent
from ...statistics.estimate import relative_spread, UNSTABLE_ABOVE
from ...statistics.sample_size import repeats_for_width
from ...tables.results import DRIFT_GUARD, Results
from ...tables.selections import timing_runs

DRIFT_LIMIT = 0.10
POINT = ["experiment", "model", "placement", "nodes", "cores_per_replica", "precision", "tf32", "global_batch"]
FEWEST_TO_TELL = 3
FOR_A_MEDIAN = 6  # launches, from which on an exact interval of a median exists
MOST_LAUNCHES = 12
MOST_NAMED = 5


@dataclass(frozen=True)
class UnsteadyPoint:
    """A timing point whose launches spread by more than a tenth.

    key: its values of POINT. rates: launch -> examples per second.
    apart: the launch without which the others agree; None where no single one explains the spread, or where there are
    too few to tell.
    """

    key: tuple[object, ...]
    rates: Mapping[int, float]
    apart: int | None

    @property
    def experiment(self) -> str:
        """Return the name of the experiment."""
        return str(self.key[POINT.index("experiment")])

    @property
    def placement(self) -> str:
        """Return the strategy and the replicas in one word."""
        return str(self.key[POINT.index("placement")])

    @property
    def global_batch(self) -> int:
        """Return the examples of a step."""
        return int(str(self.key[POINT.index("global_batch")]))

    @property
    def name(self) -> str:
        """Return where it is: mirrored-2r at batch 64 in weak_scaling."""
        return f"{self.placement} at batch {self.global_batch:,} in {self.experiment}"

    @property
    def spread(self) -> float:
        """Return the standard deviation over the mean."""
        return relative_spread(list(self.rates.values()))

    @property
    def ratio(self) -> float:
        """Return the throughput of the launch that stands apart over the median of the others; NaN without one."""
        if self.apart is None:
            return math.nan
        return self.rates[self.apart] / median(rate for launch, rate in self.rates.items() if launch != self.apart)

    @property
    def wanted(self) -> int:
        """Return how many launches would give an interval of a tenth to either side, or a median with one.

        The spread is that of the launches without the one apart, which a median does not follow; at most
        MOST_LAUNCHES.
        """
        steady = [rate for launch, rate in self.rates.items() if launch != self.apart]
        needed = repeats_for_width(np.log(steady), math.log1p(UNSTABLE_ABOVE), MOST_LAUNCHES)
        return max(needed, FOR_A_MEDIAN, len(self.rates) + 1)

    @property
    def told(self) -> str:
        """Return what is wrong with it in a few words: launch 2 had 0.39 times the others' throughput."""
        if self.apart is None:
            return f"{counted(len(self.rates), 'launch', 'launches')} vary by {percent(self.spread)}"
        return f"launch {self.apart} had {number(self.ratio, 2)} times the others' throughput"


def unsteady_points(runs: pd.DataFrame) -> list[UnsteadyPoint]:
    """Return the points among timing runs whose launches spread too widely, the widest first."""
    found = []
    for _, rows in runs.groupby(POINT, sort=False, dropna=False):
        rates = by_launch(rows, "examples_per_second")
        if relative_spread(list(rates.values())) > UNSTABLE_ABOVE:
            found.append(UnsteadyPoint(tuple(rows.iloc[0][POINT]), rates, _apart(rates)))
    return sorted(found, key=lambda point: -point.spread)


def by_launch(rows: pd.DataFrame, column: str) -> dict[int, float]:
    """Return launch -> value; launches that a table does not tell apart are numbered as they come."""
    launches = rows["launch"] if rows["launch"].is_unique else range(len(rows))
    return {int(launch): float(value) for launch, value in zip(launches, rows[column])}


def _apart(rates: Mapping[int, float]) -> int | None:
    if len(rates) < FEWEST_TO_TELL:
        return None
    without = {launch: relative_spread([rate for other, rate in rates.items() if other != launch]) for launch in rates}
    best = min(without, key=lambda launch: without[launch])
    return best if without[best] <= UNSTABLE_ABOVE else None


def timing_warnings(results: Results) -> list[str]:
    """Return what makes timings doubtful: launches that disagree, and drift between the first and last run."""
    points = unsteady_points(timing_runs(results))
    runs = results.runs
    guard = runs[(runs["experiment"] == DRIFT_GUARD) & (runs["step_seconds"] > 0)].sort_values("launch")
    drifted = []
    if len(guard) > 1:
        ratio = float(guard["step_seconds"].iloc[-1] / guard["step_seconds"].iloc[0])
        if abs(math.log(ratio)) > DRIFT_LIMIT:
            drifted = [f"The machine drifted: the same run took {ratio:.2f} times as long per step at the end as at "
                       "the start, one launch each, so without an interval. Close other programs and measure again."]
    return [*_unsteady(points, timing_runs(results)), *drifted]


def _unsteady(points: Sequence[UnsteadyPoint], runs: pd.DataFrame) -> list[str]:
    if not points:
        return []
    named = [f"{point.name} ({point.told})" for point in points]
    others = sum(point.apart is not None for point in points)
    kind = "a disturbed launch explains it" if others == len(points) else \
        f"a disturbed launch explains {others} of them" if others else "no single launch explains it"
    return [f"Unstable: {len(points)} of {runs.groupby(POINT, dropna=False).ngroups} timing points vary by more than "
            f"{percent(UNSTABLE_ABOVE)} over their launches; {kind}. No headline rests on them: "
            f"{listed(named, MOST_NAMED)}. Close other programs, pin the cores, and measure "
            f"{max(point.wanted for point in points)} launches, summarized by launch_summary = \"median\"."]
