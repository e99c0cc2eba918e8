"""A number with its interval and the count behind it, and how one is made from raw values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...benchmarks.errors import RecordError
from ...benchmarks.text import with_ends
from .distributions import t_quantile

Floats = NDArray[np.float64]

LEVEL = 0.95
UNSTABLE_ABOVE = 0.10


@dataclass(frozen=True)
class Estimate:
    """A value and its two-sided interval from n values; ends are NaN where none is possible.

    of: what n counts, in the plural (seeds, launches, probes, runs); "" where nobody says.
    """

    value: float
    low: float
    high: float
    n: int
    of: str = ""

    @property
    def has_interval(self) -> bool:
        """Return whether both ends of the interval are numbers; they may be infinite."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def counted(self) -> str:
        """Return `n = 3 launches`, or `n = 3`."""
        what = self.of.removesuffix("es" if self.of == "launches" else "s") if self.n == 1 else self.of
        return f"n = {self.n} {what}".rstrip()

    def to_json(self) -> dict[str, float | int | str | None]:
        """Return value, low, high, n, and n_of where it is known; what is not finite (unknown, or unbounded) is
        null."""
        value, low, high = (number if math.isfinite(number) else None
                            for number in (self.value, self.low, self.high))
        return {"value": value, "low": low, "high": high, "n": self.n, **({"n_of": self.of} if self.of else {})}

    def transformed(self, function: Callable[[float], float]) -> Estimate:
        """Return the estimate of a monotone function of this quantity: the function of the value and of both ends, in
        order."""
        ends = (function(self.low), function(self.high)) if self.has_interval else (math.nan,) * 2
        return replace(self, value=function(self.value), low=min(ends), high=max(ends))

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate of this quantity times a factor, which may be negative."""
        return self.transformed(lambda number: number * factor)

    def under(self, amount: float) -> Estimate:
        """Return the estimate of an amount divided by this quantity, which is not negative, as a rate is by a time:
        infinite where that is 0, as the end of a very wide interval of logarithms is."""
        return self.transformed(lambda number: amount / number if number else math.inf)

    def within(self, least: float, most: float) -> Estimate:
        """Return the estimate with its interval cut down to what is possible, and its value to the interval.

        The true value is possible, so the part of an interval that is cut off never held it: the coverage stays what
        it was. No interval is left where all of it was impossible.
        """
        low, high = max(self.low, least), min(self.high, most)
        if not self.has_interval:
            return self
        if low > high:
            return replace(self, low=math.nan, high=math.nan)
        return replace(self, value=min(max(self.value, low), high), low=low, high=high)

    def per(self, of: str) -> Estimate:
        """Return the estimate with what its n counts."""
        return replace(self, of=of)

    def overlaps(self, other: Estimate) -> bool:
        """Return whether both estimates have intervals and these share a point."""
        both = self.has_interval and other.has_interval
        return both and self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        """Return `27.1 (22.4 to 32.0, n = 6)`, as reports write every number."""
        if math.isnan(self.value):
            return "not known"
        value, low, high = with_ends(self.value, self.low, self.high)
        interval = f"{low} to {high}" if self.has_interval else "no interval"
        return f"{value} ({interval}, {self.counted})"


def without_interval(value: float, n: int) -> Estimate:
    """Return an estimate that has a value, from n values, but no interval."""
    return Estimate(float(value), math.nan, math.nan, n)


def unknown(n: int = 0) -> Estimate:
    """Return an estimate whose value is not known: value and ends are NaN."""
    return without_interval(math.nan, n)


def finite_values(values: Sequence[float] | Floats, what: str = "values") -> Floats:
    """Return the values as float64[n]. Raises RecordError when one is not finite; `what` names them in the message."""
    array = np.asarray(values, dtype=np.float64).ravel()
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise RecordError(f"{what}: {bad} of {array.size} are not finite; "
                          "report diverged, censored and absent ones apart, then leave them out.")
    return array


def all_equal(values: Floats) -> bool:
    """Return whether no two values differ; a standard deviation would see rounding in equal values."""
    return values.size == 0 or bool(np.ptp(values) == 0)


def t_critical(degrees_of_freedom: ArrayLike, level: float = LEVEL) -> Floats:
    """Return the two-sided Student quantile, elementwise; NaN where there is no freedom left."""
    return np.asarray(t_quantile((1 + level) / 2, degrees_of_freedom), dtype=np.float64)


def t_interval(mean: ArrayLike, std: ArrayLike, n: ArrayLike,
               level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return both ends of Student's interval of a mean, elementwise; std has ddof 1 and n counts the values."""
    centre, spread, count = (np.asarray(part, dtype=np.float64) for part in (mean, std, n))
    half = t_critical(count - 1, level) * spread / np.sqrt(count)
    return centre - half, centre + half


def mean_estimate(values: Sequence[float] | Floats, level: float = LEVEL) -> Estimate:
    """Return the mean of independent values (seeds, launches) with Student's interval.

    One value, or equal values, give no interval. Raises RecordError when a value is not finite. Use `geometric_mean`
    for what is positive by nature and varies in proportion.
    """
    array = finite_values(values)
    if array.size == 0:
        return unknown()
    if all_equal(array):
        return without_interval(float(array[0]), array.size)
    mean = float(np.mean(array))
    low, high = t_interval(mean, np.std(array, ddof=1), array.size, level)
    return Estimate(mean, float(low), float(high), array.size)


def geometric_mean(values: Sequence[float] | Floats, level: float = LEVEL) -> Estimate:
    """Return the geometric mean of independent positive values (times, rates), with Student's interval of the mean
    logarithm.

    What disturbs a time or a rate multiplies it, so its logarithm is what varies evenly; the interval stays above 0.
    One value, or equal values, give no interval. Raises RecordError when a value is not finite or not positive.
    """
    array = finite_values(values)
    if np.any(array <= 0):
        raise RecordError(f"values: {int(np.count_nonzero(array <= 0))} of {array.size} are not positive; "
                          "a geometric mean takes times, rates and their ratios.")
    if array.size and all_equal(array):
        return without_interval(float(array[0]), array.size)
    return exponential(mean_estimate(np.log(array), level))


def exponential(log_estimate: Estimate) -> Estimate:
    """Return the estimate that belongs to one of its logarithm; an end too large for a float is infinite."""
    return log_estimate.transformed(exp)


def exp(number: float) -> float:
    """Return e to the power of a number; infinite where that is too large for a float."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp(number))


def logarithm(estimate: Estimate) -> Estimate:
    """Return the estimate of the logarithm of a quantity that is not negative; where that is 0, minus infinity."""
    return estimate.transformed(lambda number: math.log(number) if number else -math.inf)


def median_estimate(values: Sequence[float] | Floats, level: float = LEVEL) -> Estimate:
    """Return the median of steady windows with the exact order-statistic interval (from n = 6 at 95 %).

    Windows of one launch follow each other and are not independent: where there are several launches, take
    `mean_estimate` of the launches' medians. Equal values give no interval. Raises RecordError when a value is not
    finite.
    """
    array = finite_values(values)
    if array.size == 0:
        return unknown()
    median = float(np.median(array))
    if all_equal(array):
        return without_interval(median, array.size)
    from scipy import stats  # a second to load, for an interval that few tables have
    interval = stats.quantile_test(array, q=median, p=0.5).confidence_interval(level)
    return Estimate(median, float(interval.low), float(interval.high), array.size)


def relative_spread(values: Sequence[float] | Floats) -> float:
    """Return the standard deviation (ddof 1) over the size of the mean; NaN below two values.

    The median absolute deviation would not do: it is 0 when a fifth of the steps take twice as long. Raises RecordError
    when a value is not finite.
    """
    array = finite_values(values)
    if array.size < 2:
        return math.nan
    return float(np.std(array, ddof=1) / abs(np.mean(array)))
