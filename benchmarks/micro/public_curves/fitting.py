"""Rules of what public curves say, fitted to a table of curves, and how far off they are on set-ups left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from msgspec.structs import replace
from scipy.optimize import nnls

from ....analysis.laws.public.measured import Measured
from ....analysis.laws.public.nodes import NodesRule
from ....analysis.laws.public.curves import PublicCurves, Rule
from ....analysis.statistics.estimate import Floats, LEVEL
from ...errors import RecordError
from .reading import Curve

CASES = (((1, 2, 4), 8), ((1, 2), 8), ((1, 2), 4))
"""Replica counts that are given, and the one that is predicted."""
FEWEST_GROUPS = 4  # that can be left out in turn, and another of the rest
# Deviations beyond it, 2 % of the step, count by their size, not its square, so that few do not bend the rule.
OUTLYING = 0.02
ROUNDS = 30
ASSURED = 0.9
UNKNOWN = Measured(curves=0, setups=0, refused=0, median_error=math.nan, ninetieth_error=math.nan, held=math.nan,
                   width=math.nan)


@dataclass(frozen=True, eq=False)
class _Points:
    """float[curves] each: how much longer the step got so far, and up to the predicted count, as logarithms; `group`:
    the number of the curve's group."""

    slow_down: Floats
    further: Floats
    group: Floats

    def without(self, group: float) -> _Points:
        return self.where(self.group != group)

    def where(self, chosen: Floats) -> _Points:
        return _Points(self.slow_down[chosen], self.further[chosen], self.group[chosen])


def fitted(curves: Sequence[Curve], source: str, licence: str, what: str) -> PublicCurves:
    """Return the rules of all cases, each with its error on groups that were left out of its fit in turn."""
    return PublicCurves(source=source, licence=licence, what=what,
                        rules=tuple(rule_of(curves, *case) for case in CASES))


def without_each(curves: Sequence[Curve]) -> Iterator[tuple[str, PublicCurves]]:
    """Yield each group, and the rules of all the others."""
    for group in dict.fromkeys(curve.group for curve in curves):
        rest = [curve for curve in curves if curve.group != group]
        yield group, PublicCurves(source="", licence="", what="", rules=tuple(
            _fit(_points(rest, given, predicted), given, predicted, UNKNOWN) for given, predicted in CASES))


def rule_of(curves: Sequence[Curve], given: tuple[int, ...], predicted: int) -> Rule:
    """Return the rule of one case. Raises RecordError for curves of fewer than FEWEST_GROUPS groups."""
    points = _points(curves, given, predicted)
    rules = [(points.where(points.group == group), _fit(points.without(group), given, predicted, UNKNOWN))
             for group in np.unique(points.group)]
    return _fit(points, given, predicted, _measured(rules))


def _points(curves: Sequence[Curve], given: tuple[int, ...], predicted: int) -> _Points:
    having = [curve for curve in curves if curve.has((*given, predicted))]
    names = list(dict.fromkeys(curve.group for curve in having))
    if len(names) < FEWEST_GROUPS:
        raise RecordError(f"{len(names)} groups have curves over {', '.join(map(str, (*given, predicted)))} replicas; "
                          f"rules that hold for others need {FEWEST_GROUPS} groups or more.")
    most = max(given)
    return _Points(*(np.asarray(each, dtype=np.float64) for each in zip(*(
        (curve.log_step(most) - curve.log_step(1), curve.log_step(predicted) - curve.log_step(most),
         names.index(curve.group)) for curve in having))))


def _fit(points: _Points, given: tuple[int, ...], predicted: int, measured: Measured) -> Rule:
    """The rule whose quantile is that of deviations of groups left out, in multiples of the spread.

    Curves of one group deviate together, so that few groups tell little of a further one: the quantile is raised as
    much as holds ASSURED of its curves where groups are alike (conformal prediction for groups, Dunn et al. 2023).
    """
    middle, spread = _line(points)
    groups = np.unique(points.group)
    deviations = np.concatenate([_deviations(points, group) for group in groups])
    quantile = float(np.quantile(np.abs(deviations), min(1.0, max(LEVEL, ASSURED * (1 + 1 / groups.size)))))
    reach = (float(points.slow_down.min()), float(points.slow_down.max()))
    return Rule(given=given, predicted=predicted, offset=middle[0], slope=middle[1], spread=spread[0],
                spread_slope=spread[1], quantile=quantile, least=float(points.further.min()), reach=reach,
                measured=measured)


def _deviations(points: _Points, group: float) -> Floats:
    middle, spread = _line(points.without(group))
    out = points.where(points.group == group)
    return np.asarray((out.further - middle[0] - middle[1] * out.slow_down)
                      / (spread[0] + spread[1] * np.abs(out.slow_down)))


def _line(points: _Points) -> tuple[tuple[float, float], tuple[float, float]]:
    """Offset and slope of the middle, by least squares whose weights fall with the deviation, and those of the mean
    deviation, neither below 0."""
    rows = np.stack([np.ones_like(points.slow_down), points.slow_down], axis=1)
    weights = np.ones_like(points.further)
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        theta, *_ = np.linalg.lstsq(rows * root[:, None], points.further * root, rcond=None)
        off = np.abs(points.further - rows @ theta)
        weights = 1 / np.hypot(off, OUTLYING)
    spread, _ = nnls(np.abs(rows), off)
    return (float(theta[0]), float(theta[1])), (max(float(spread[0]), 1e-6), float(spread[1]))


def _measured(rules: Sequence[tuple[_Points, Rule]]) -> Measured:
    """How rules did on the points that they were fitted without."""
    errors, held, widths, refused = [], [], [], 0
    for points, rule in rules:
        for slow_down, further in zip(points.slow_down, points.further):
            if not rule.reaches(slow_down):
                refused += 1
                continue
            found = rule.log_ratio(slow_down)
            errors.append(abs(math.expm1(further - found.value)))
            held.append(found.low <= further <= found.high)
            widths.append(math.exp(found.high - found.low))
    return Measured(curves=len(errors) + refused, setups=len(rules), refused=refused,
                    median_error=float(np.median(errors)), ninetieth_error=float(np.quantile(errors, 0.9)),
                    held=float(np.mean(held)), width=float(np.median(widths)))


def rounded(curves: PublicCurves) -> PublicCurves:
    """Return the same rules with as many digits as mean anything."""
    return replace(curves, rules=tuple(short(rule) for rule in curves.rules))


AnyRule = TypeVar("AnyRule", Rule, NodesRule)
Numbers = TypeVar("Numbers", Rule, NodesRule, Measured)


def short(rule: AnyRule) -> AnyRule:
    """Return a rule with as many digits as mean anything."""
    return replace(_short(rule), reach=(_digits(rule.reach[0]), _digits(rule.reach[1])), measured=_short(rule.measured))


def _short(of: Numbers) -> Numbers:
    numbers = {name: _digits(value) for name in of.__struct_fields__ if isinstance(value := getattr(of, name), float)}
    return replace(of, **numbers)


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
