"""Intervals of a quotient: of positive values by their logarithms, of any others by Fieller's theorem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...benchmarks.errors import RecordError
from .difference import difference
from .estimate import (LEVEL, Estimate, exp, exponential, finite_values, geometric_mean, median_estimate, unknown,
                       without_interval)

LAUNCHES = "launches"


def fieller_interval(numerator: float, denominator: float, numerator_variance: float,
                     denominator_variance: float, covariance: float,
                     t: float) -> tuple[float, float]:
    """Return both ends of the interval of numerator/denominator (Fieller 1954); t is the two-sided Student quantile.

    Both are NaN where the denominator cannot be distinguished from zero: the set is then unbounded.
    """
    square = denominator ** 2 - t ** 2 * denominator_variance
    if not square > 0:
        return math.nan, math.nan
    cross = numerator * denominator - t ** 2 * covariance
    constant = numerator ** 2 - t ** 2 * numerator_variance
    root = math.sqrt(max(cross ** 2 - square * constant, 0.0))
    return (cross - root) / square, (cross + root) / square


def log_ratio(numerators: Mapping[int, float], denominators: Mapping[int, float], level: float = LEVEL) -> Estimate:
    """Return the ratio of two positive quantities over launches, launch -> value each, in geometric means.

    Launches that both have are paired, so that what slows a whole launch falls away: the geometric mean of their
    ratios, with Student's interval of the mean log ratio. Where one launch or none is shared but both have several,
    Welch's interval of the difference of the mean logarithms; n then counts the smaller group. Raises RecordError for
    values that are not positive.
    """
    pairs = paired_ratios(numerators, denominators)
    if len(pairs) > 1 or min(len(numerators), len(denominators)) < 2:
        return geometric_mean(pairs or _only(numerators, denominators), level).per(LAUNCHES)
    above, below = (finite_values(list(values.values())) for values in (numerators, denominators))
    if min(above.min(), below.min()) <= 0:
        raise RecordError("a ratio of times or rates takes positive values alone.")
    return exponential(difference(np.log(above), np.log(below), level).estimate).per(LAUNCHES)


def median_ratio(numerators: Mapping[int, float], denominators: Mapping[int, float], level: float = LEVEL) -> Estimate:
    """Return the median of the launches' ratios with its exact order-statistic interval, from 6 shared launches on.

    One disturbed launch of several does not move it. Where no launch is shared, the ratio has no interval.
    """
    pairs = paired_ratios(numerators, denominators)
    if pairs:
        return median_estimate(pairs, level).per(LAUNCHES)
    both = [list(values.values()) for values in (numerators, denominators)]
    if not all(both):
        return unknown()
    return without_interval(float(np.median(both[0]) / np.median(both[1])), min(map(len, both))).per(LAUNCHES)


def quotient(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Return the quotient of two positive estimates that are not paired; n is the smaller one.

    Either side's half intervals of the logarithms are added in squares (MOVER, Zou & Donner 2008); no interval where
    one of the two has none.
    """
    value = numerator.value / denominator.value if denominator.value else math.nan
    of = numerator.of if numerator.of == denominator.of else ""
    found = without_interval(value, min(numerator.n, denominator.n)).per(of)
    if not (numerator.has_interval and denominator.has_interval) or min(numerator.low, denominator.low) <= 0:
        return found
    below = math.hypot(math.log(numerator.value / numerator.low), math.log(denominator.high / denominator.value))
    above = math.hypot(math.log(numerator.high / numerator.value), math.log(denominator.value / denominator.low))
    return replace(found, low=found.value * exp(-below), high=found.value * exp(above))


def paired_ratios(numerators: Mapping[int, float], denominators: Mapping[int, float]) -> list[float]:
    """Return the ratio of each launch that both have."""
    return [value / denominators[launch] for launch, value in numerators.items() if launch in denominators]


def _only(numerators: Mapping[int, float], denominators: Mapping[int, float]) -> list[float]:
    """The ratio of groups of which one has a single launch that the other did not see."""
    both = [geometric_mean(list(values.values())).value for values in (numerators, denominators)]
    return [] if math.isnan(both[0] / both[1]) else [both[0] / both[1]]
