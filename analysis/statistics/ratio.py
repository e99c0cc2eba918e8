"""Intervals of a quotient: Fieller's theorem, for paired and for independent values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .estimate import LEVEL, Estimate, finite_values, Floats, t_critical, unknown, without_interval


def fieller_interval(numerator: float, denominator: float, numerator_variance: float,
                     denominator_variance: float, covariance: float,
                     t: float) -> tuple[float, float]:
    """Interval of numerator/denominator (Fieller 1954), t the two-sided Student quantile.

    NaN ends where the denominator cannot be told from zero: the set is then unbounded.
    """
    square = denominator ** 2 - t ** 2 * denominator_variance
    if not square > 0:
        return math.nan, math.nan
    cross = numerator * denominator - t ** 2 * covariance
    constant = numerator ** 2 - t ** 2 * numerator_variance
    root = math.sqrt(max(cross ** 2 - square * constant, 0.0))
    return (cross - root) / square, (cross + root) / square


def paired_ratio(numerators: Sequence[float] | Floats, denominators: Sequence[float] | Floats,
                 level: float = LEVEL) -> Estimate:
    """Ratio of the means of two series measured together, float[n] each."""
    above, below = finite_values(numerators), finite_values(denominators)
    n = above.size
    if n == 0 or np.mean(below) == 0:
        return unknown(n)
    ratio = float(np.mean(above) / np.mean(below))
    if n < 2:
        return without_interval(ratio, n)
    covariance = np.cov(above, below) / n
    ends = fieller_interval(
        float(np.mean(above)), float(np.mean(below)), float(covariance[0, 0]),
        float(covariance[1, 1]), float(covariance[0, 1]), float(t_critical(n - 1, level)))
    return _ratio(ratio, ends, n)


def independent_ratio(numerators: Sequence[float] | Floats,
                      denominators: Sequence[float] | Floats,
                      level: float = LEVEL) -> Estimate:
    """Ratio of the means of two independent groups; n counts the smaller one.

    Degrees of freedom after Welch and Satterthwaite, for numerator - ratio * denominator.
    """
    above, below = finite_values(numerators), finite_values(denominators)
    n = min(above.size, below.size)
    if n == 0 or np.mean(below) == 0:
        return unknown(n)
    ratio = float(np.mean(above) / np.mean(below))
    if n < 2:
        return without_interval(ratio, n)
    first = float(np.var(above, ddof=1)) / above.size
    second = float(np.var(below, ddof=1)) / below.size
    if first + second == 0:
        return without_interval(ratio, n)
    freedom = (first + ratio ** 2 * second) ** 2 / (
        first ** 2 / (above.size - 1) + (ratio ** 2 * second) ** 2 / (below.size - 1))
    ends = fieller_interval(float(np.mean(above)), float(np.mean(below)), first, second, 0.0,
                            float(t_critical(freedom, level)))
    return _ratio(ratio, ends, n)


def _ratio(ratio: float, ends: tuple[float, float], n: int) -> Estimate:
    # Equal values have no spread to build an interval from.
    return without_interval(ratio, n) if ends[0] == ends[1] else Estimate(ratio, *ends, n)


def ratio_of_estimates(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Ratio of two positive quantities whose intervals are known, by the distances of their ends on a log scale.

    Squares of the distances add up (MOVER, Zou and Donner 2008), as of independent quantities; of two that rise
    together the interval is too wide, never too narrow.
    """
    ratio, n = numerator.value / denominator.value, min(numerator.n, denominator.n)
    ends = (numerator.low, numerator.high, denominator.low, denominator.high)
    if not all(0 < end < math.inf for end in ends):
        return without_interval(ratio, n)
    down = math.hypot(math.log(numerator.value / numerator.low), math.log(denominator.high / denominator.value))
    up = math.hypot(math.log(numerator.high / numerator.value), math.log(denominator.value / denominator.low))
    return Estimate(ratio, ratio * math.exp(-down), ratio * math.exp(up), n)
