"""Rules of what a further doubling of the nodes costs, fitted to published tables, and their error on tables left out.

    python -m batchscale.benchmarks.micro.public_curves.largest --write

fits those that come with the package to the tables beside this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ....analysis.laws.public.measured import Measured
from ....analysis.laws.public.nodes import NodesRule, PublicNodes
from ....analysis.statistics.estimate import Floats, LEVEL
from ...errors import RecordError
from .fitting import ASSURED, FEWEST_GROUPS, ROUNDS, UNKNOWN
from .reading import Curve

# Deviations beyond it, 2 % of the step for a doubling, count by their size, not its square.
OUTLYING = 0.02


@dataclass(frozen=True, eq=False)
class _Points:
    """float[points] each: how much longer the step got with a doubling of the nodes so far, and by how much it got
    longer from there over `doublings`, as logarithms; numbers of the table and the curve; whether it is the next count
    that was measured."""

    slow_down: Floats
    further: Floats
    doublings: Floats
    table: Floats
    curve: Floats
    next: Floats

    def where(self, chosen: Floats) -> _Points:
        return _Points(*(values[chosen] for values in vars(self).values()))

    @property
    def weights(self) -> Floats:
        """A table of many curves tells more than one of few, but its curves are alike: the root of their number."""
        _, index, count = np.unique(self.table, return_inverse=True, return_counts=True)
        return np.asarray(1 / np.sqrt(count[index]))

    def left_out(self) -> Iterator[tuple[_Points, _Points]]:
        """Each table, and all others."""
        for table in np.unique(self.table):
            yield self.where(self.table == table), self.where(self.table != table)


def rules_of(curves: Sequence[Curve], what: str = "", source: str = "", judged: bool = True) -> PublicNodes:
    """Return the rules of these curves; judged: with their errors on tables left out. Raises RecordError for curves of
    fewer than FEWEST_GROUPS tables in all."""
    both = {leaving: _points(curves, leaving) for leaving in (True, False)}
    most = max(np.unique(points.table).size for points in both.values())
    if most < FEWEST_GROUPS:
        raise RecordError(f"{most} tables have curves over one node and several; rules that hold for others need "
                          f"{FEWEST_GROUPS} tables or more.")
    return PublicNodes(what=what, source=source, rules=tuple(
        _rule(points, leaving, _measured(points, leaving) if judged else UNKNOWN)
        for leaving, points in both.items() if np.unique(points.table).size >= FEWEST_GROUPS))


def _points(curves: Sequence[Curve], leaving: bool) -> _Points:
    """All counts that follow two of full nodes, the fewer on one node or not."""
    tables = list(dict.fromkeys(curve.group for curve in curves))
    found = []
    for number, curve in enumerate(curves):
        full = [count for count in sorted(curve.rates) if count % max(1, curve.per_node) == 0 and curve.per_node]
        for before, (fewer, most) in enumerate(zip(full, full[1:])):
            if (curve.nodes(fewer) == 1) == leaving:
                each = (curve.log_step(most) - curve.log_step(fewer)) / math.log2(most / fewer)
                table = tables.index(curve.group)
                found += [(each, curve.log_step(count) - curve.log_step(most), math.log2(count / most), table, number,
                           not place) for place, count in enumerate(full[before + 2:])]
    return _Points(*(np.asarray(values, dtype=np.float64) for values in (zip(*found) if found else [()] * 6)))


def _line(points: _Points) -> tuple[float, float]:
    """Offset and slope of what a doubling adds, by least squares whose weights fall with the deviation."""
    rows = np.stack([np.ones_like(points.slow_down), np.maximum(points.slow_down, 0.0)], axis=1)
    target, weights = points.further / points.doublings, points.weights
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        theta, *_ = np.linalg.lstsq(rows * root[:, None], target * root, rcond=None)
        weights = points.weights / np.hypot(target - rows @ theta, OUTLYING)
    return float(theta[0]), float(theta[1])


def _rule(points: _Points, leaving: bool, measured: Measured) -> NodesRule:
    """The rule whose interval is that of deviations of tables left out, each end for itself, raised as much as holds
    ASSURED of a further table's curves (as of the rules of one node's GPUs)."""
    offset, slope = _line(points)
    tables = np.unique(points.table).size
    tail = (1 - min(1.0, max(LEVEL, ASSURED * (1 + 1 / tables)))) / 2
    off, weights = (np.concatenate(each) for each in zip(*(
        (_deviations(out, *_line(rest)), out.weights) for out, rest in points.left_out())))
    low, high = _quantiles(off, weights, (tail, 1 - tail))
    reach = (float(points.slow_down.min()), float(points.slow_down.max()))
    return NodesRule(leaving=leaving, offset=offset, slope=slope, low=min(low, 0.0), high=max(high, 0.0), reach=reach,
                     measured=measured)


def _deviations(points: _Points, offset: float, slope: float) -> Floats:
    return np.asarray(points.further / points.doublings - offset - slope * np.maximum(points.slow_down, 0.0))


def _quantiles(values: Floats, weights: Floats, shares: Sequence[float]) -> list[float]:
    order = np.argsort(values)
    upto = np.cumsum(weights[order]) / weights.sum()
    return [float(values[order][min(int(np.searchsorted(upto, share)), len(order) - 1)]) for share in shares]


def _measured(points: _Points, leaving: bool) -> Measured:
    """How rules did on the next counts of the tables that they were fitted without."""
    errors, held, widths, refused = [], [], [], 0
    for out, rest in points.left_out():
        rule = _rule(rest, leaving, UNKNOWN)
        asked = out.where(out.next == 1)
        for slow_down, further, doublings in zip(asked.slow_down, asked.further, asked.doublings):
            if not rule.reaches(slow_down):
                refused += 1
                continue
            found = rule.log_ratio(slow_down, doublings)
            errors.append(abs(math.expm1(further - found.value)))
            held.append(found.low <= further <= found.high)
            widths.append(math.exp(found.high - found.low))
    return Measured(curves=np.unique(points.curve).size, setups=np.unique(points.table).size, refused=refused,
                    median_error=float(np.median(errors)), ninetieth_error=float(np.quantile(errors, 0.9)),
                    held=float(np.mean(held)), width=float(np.median(widths)))
