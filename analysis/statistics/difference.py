"""Whether two arms differ, whether they are the same within a margin, and what would decide.

The unit is the seed. "Not significant" is not "the same": that takes `equivalence`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...benchmarks.errors import RecordError
from .distributions import t_above, t_quantile
from .estimate import LEVEL, all_equal, Estimate, finite_values, Floats, t_critical
from .sequential.spending import Counts, level_at, NOT_WORSE, over_looks, Side, WORSE
from .sign_flip import ROUNDING


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and count of one arm, as published tables give them."""

    mean: float
    std: float
    n: int


Measured = Sequence[float] | Floats | Summary


@dataclass(frozen=True)
class Difference:
    """First arm minus second. n counts the seeds (of the smaller arm where unpaired). `fixed_error`: the part of the
    standard error that more seeds do not lessen. looks: the seeds at which a study was judged as they came in; its p
    values and its interval then hold at whichever look it ended."""

    estimate: Estimate
    standard_error: float
    t: float
    degrees_of_freedom: float
    p_value: float
    fixed_error: float = 0.0
    looks: Counts = ()

    def below(self, bound: float) -> float:
        """Return the one-sided p value of a value at `bound` or above it; NaN without spread."""
        if not self.standard_error > 0:
            return math.nan
        return self._shown((bound - self.estimate.value) / self.standard_error, NOT_WORSE)

    def above(self, bound: float) -> float:
        """Return the one-sided p value of a value at `bound` or below it; NaN without spread."""
        if not self.standard_error > 0:
            return math.nan
        return self._shown((self.estimate.value - bound) / self.standard_error, WORSE)

    def _shown(self, t: float, side: Side) -> float:
        return over_looks(self.looks, self.estimate.n, float(t_above(t, self.degrees_of_freedom)), side,
                          self.common_variance)

    @property
    def common_variance(self) -> float:
        """Return the variance that all looks have in common, over that of the mean of the last look's seeds; 0 without
        looks."""
        if not self.looks or not self.fixed_error > 0:
            return 0.0
        seeds = (self.standard_error ** 2 - self.fixed_error ** 2) * self.estimate.n / self.looks[-1]
        return self.fixed_error ** 2 / seeds if seeds > 0 else math.inf

    def level_of_look(self, seeds: int, alpha: float, side: Side) -> float:
        """Return the one-sided level that a test of so many seeds has, of a whole level alpha; alpha without looks."""
        return level_at(self.looks, seeds, alpha, side, self.common_variance)

    def interval(self, alpha: float) -> Estimate:
        """Return the estimate between the values that one-sided tests at level `alpha` leave: those of a loss above a
        bound below it, those of one below a bound above it. NaN ends without spread."""
        low, high = (float(t_quantile(1 - self.level_of_look(self.estimate.n, alpha, side), self.degrees_of_freedom))
                     * self.standard_error for side in (WORSE, NOT_WORSE))
        return replace(self.estimate, low=self.estimate.value - low, high=self.estimate.value + high)


def summarize(arm: Measured) -> Summary:
    """Return mean, standard deviation (ddof 1) and count of an arm; a `Summary` is returned as it is.

    The standard deviation is NaN below two values and exactly 0 for equal values. Raises RecordError when a value is
    not finite.
    """
    if isinstance(arm, Summary):
        return arm
    values = finite_values(arm)
    if values.size < 2:
        mean = float(values[0]) if values.size else math.nan
        return Summary(mean, math.nan, values.size)
    if all_equal(values):
        return Summary(float(values[0]), 0.0, values.size)
    return Summary(float(np.mean(values)), float(np.std(values, ddof=1)), values.size)


def difference(first: Measured, second: Measured, level: float = LEVEL) -> Difference:
    """Return the difference of two independent arms, first minus second, by Welch's t test.

    An arm is its values, float[n], or a `Summary` from a table. With fewer than two values in either arm, or without
    spread, there is no interval, t or p. Raises RecordError when a value is not finite.
    """
    one, two = summarize(first), summarize(second)
    if min(one.n, two.n) < 2:
        return _difference(one.mean - two.mean, math.nan, math.nan, min(one.n, two.n), level)
    variance_one, variance_two = one.std ** 2 / one.n, two.std ** 2 / two.n
    variance = variance_one + variance_two
    scale = variance_one ** 2 / (one.n - 1) + variance_two ** 2 / (two.n - 1)
    freedom = variance ** 2 / scale if scale else math.nan
    return _difference(one.mean - two.mean, math.sqrt(variance), freedom,
                       min(one.n, two.n), level)


def paired_difference(first: Sequence[float] | Floats, second: Sequence[float] | Floats,
                      level: float = LEVEL) -> Difference:
    """Return the mean of first[i] - second[i], one pair per seed, float[n] each, with Student's interval.

    Raises RecordError when the arms differ in length or a value is not finite.
    """
    above, below = finite_values(first), finite_values(second)
    if above.size != below.size:
        raise RecordError(f"{above.size} and {below.size} values cannot be paired; "
                          "keep the seeds that both arms have, or use `difference`.")
    differences = above - below
    if differences.size and np.ptp(differences) <= ROUNDING * max(np.max(np.abs(above)), np.max(np.abs(below))):
        differences = np.full(differences.size, differences[0])  # they differ by the rounding of the subtraction alone
    return summary_difference(summarize(differences), level)


def summary_difference(differences: Summary, level: float = LEVEL) -> Difference:
    """Return the paired difference from mean, standard deviation (ddof 1) and count of the pairs' differences.

    Its error is std / sqrt(n) with n - 1 degrees of freedom; without spread there is no interval, t or p.
    """
    error = differences.std / math.sqrt(differences.n) if differences.n else math.nan
    return _difference(differences.mean, error, differences.n - 1, differences.n, level)


def widened(of: Difference, least_error: float = 0.0, factor: float = 1.0, variance: float = 0.0,
            freedom: float = math.inf, level: float = LEVEL) -> Difference:
    """Return the difference with what its repeats do not show added to its error.

    least_error: what the standard error cannot be below. factor: on its square. variance: of another source, known to
    `freedom` degrees; both are combined after Welch and Satterthwaite, unless that would make the interval narrower
    than the repeats alone do, as it can from three repeats: then the degrees of freedom are theirs. A difference of
    fewer than two repeats is returned as it is.
    """
    if math.isnan(of.standard_error):
        return of
    own, degrees = factor * max(of.standard_error, least_error) ** 2, of.degrees_of_freedom
    total = own + variance
    scale = own ** 2 / degrees + variance ** 2 / freedom
    if variance > 0 and scale > 0:
        combined = total ** 2 / scale
        wide = t_critical(combined, level) * math.sqrt(total) >= t_critical(degrees, level) * math.sqrt(own)
        degrees = combined if wide else degrees
    found = _difference(of.estimate.value, math.sqrt(total), degrees, of.estimate.n, level)
    return replace(found, fixed_error=math.sqrt(variance))


def at_look(of: Difference, looks: Counts, level: float = LEVEL) -> Difference:
    """Return the difference as that of a study which was judged at each of `looks` seeds until it was decided.

    Above zero is worse. Its interval is the repeated one (Jennison and Turnbull 1989), which holds at all looks
    together as often as `level` says, and so at the one at which the study ended; p values are sequential ones. What is
    above a bound and what is below it spend their halves of the level differently, so that the interval is wider above
    while seeds are few. Without looks, or without spread, the difference is returned as it is.
    """
    if not looks or not of.standard_error > 0:
        return of
    found = replace(of, looks=looks)
    return replace(found, estimate=found.interval((1 - level) / 2),
                   p_value=min(2 * found.above(0.0), 2 * found.below(0.0), 1.0))


def _difference(value: float, standard_error: float, freedom: float, n: int,
                level: float) -> Difference:
    """No interval, t or p from arms without spread."""
    if not standard_error > 0:
        return Difference(Estimate(value, math.nan, math.nan, n), standard_error,
                          math.nan, freedom, math.nan)
    t = value / standard_error
    half = float(t_critical(freedom, level)) * standard_error
    return Difference(Estimate(value, value - half, value + half, n), standard_error,
                      t, freedom, 2 * float(t_above(abs(t), freedom)))
