"""Whether two arms differ, whether they are the same within a margin, and what would decide.

The unit is the seed. "Not significant" is not "the same": that takes `equivalence`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..benchmarks.errors import RecordError
from .estimate import LEVEL, Estimate, Floats, all_equal, finite_values, t_critical

SIGN_FLIP_MINIMUM = 6
SIGN_FLIP_MAXIMUM = 40
MORE_SEEDS_LIMIT = 1000
ROUNDING = 1e-12  # of values, relative: what their differences vary by when they are the same


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and count of one arm, as published tables give them."""

    mean: float
    std: float
    n: int


Arm = Sequence[float] | Floats | Summary


@dataclass(frozen=True)
class Difference:
    """First arm minus second. n counts the seeds (of the smaller arm where unpaired)."""

    estimate: Estimate
    standard_error: float
    t: float
    degrees_of_freedom: float
    p_value: float


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests; `estimate` has the 1 - 2 alpha interval that lies within the margin
    exactly when p_value < alpha."""

    estimate: Estimate
    margin: float
    p_value: float
    equivalent: bool


@dataclass(frozen=True)
class SignFlip:
    """Exact two-sided sign-flip test; `reason` says why p_value is NaN."""

    p_value: float
    n: int
    reason: str


@dataclass(frozen=True)
class MoreSeeds:
    """`more` seeds would decide for `outcome`; None when no affordable number would."""

    outcome: str
    more: int | None
    power: float
    statement: str


def summarize(arm: Arm) -> Summary:
    """Mean, std (ddof 1) and n; std is NaN below two values and exactly 0 for equal values."""
    if isinstance(arm, Summary):
        return arm
    values = finite_values(arm)
    if values.size < 2:
        mean = float(values[0]) if values.size else math.nan
        return Summary(mean, math.nan, values.size)
    if all_equal(values):
        return Summary(float(values[0]), 0.0, values.size)
    return Summary(float(np.mean(values)), float(np.std(values, ddof=1)), values.size)


def difference(first: Arm, second: Arm, level: float = LEVEL) -> Difference:
    """Welch's comparison of two independent arms: values, or `Summary` from a table."""
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
    """Mean of first[i] - second[i], one pair per seed."""
    above, below = finite_values(first), finite_values(second)
    if above.size != below.size:
        raise RecordError(f"{above.size} and {below.size} values cannot be paired; "
                          "keep the seeds that both arms have, or use `difference`.")
    differences = above - below
    if differences.size and np.ptp(differences) <= ROUNDING * max(np.max(np.abs(above)), np.max(np.abs(below))):
        differences = np.full(differences.size, differences[0])  # they differ by the rounding of the subtraction alone
    return summary_difference(summarize(differences), level)


def summary_difference(differences: Summary, level: float = LEVEL) -> Difference:
    """The paired comparison from mean, std and n of the differences."""
    error = differences.std / math.sqrt(differences.n) if differences.n else math.nan
    return _difference(differences.mean, error, differences.n - 1, differences.n, level)


def _difference(value: float, standard_error: float, freedom: float, n: int,
                level: float) -> Difference:
    """No interval, t or p from arms without spread."""
    if not standard_error > 0:
        return Difference(Estimate(value, math.nan, math.nan, n), standard_error,
                          math.nan, freedom, math.nan)
    t = value / standard_error
    half = float(t_critical(freedom, level)) * standard_error
    return Difference(Estimate(value, value - half, value + half, n), standard_error,
                      t, freedom, 2 * float(stats.t.sf(abs(t), freedom)))


def equivalence(of: Difference, margin: float, alpha: float = 0.05) -> Equivalence:
    """TOST within +-margin, from a Welch or a paired difference (Schuirmann 1987)."""
    if not margin > 0:
        raise RecordError(f"margin={margin} decides nothing; give a positive one, such as 0.005.")
    value, error, freedom = of.estimate.value, of.standard_error, of.degrees_of_freedom
    if not error > 0:
        return Equivalence(of.estimate, margin, math.nan, False)
    p_value = float(stats.t.sf((margin - abs(value)) / error, freedom))
    half = float(stats.t.isf(alpha, freedom)) * error
    inner = Estimate(value, value - half, value + half, of.estimate.n)
    return Equivalence(inner, margin, p_value, p_value < alpha)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment (Holm 1979); a NaN stays NaN and still counts as one of the
    family.

    Not statsmodels' multipletests: it collects garbage at every call, a tenth of a second each.
    """
    given = np.asarray(p_values, dtype=np.float64)
    filled = np.where(np.isnan(given), 1.0, given)
    order = np.argsort(filled)
    steps = np.maximum.accumulate(np.arange(given.size, 0, -1) * filled[order])
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(steps, 1.0)
    return tuple(float(p) for p in np.where(np.isnan(given), np.nan, adjusted))


def sign_flip(differences: Sequence[float] | Floats) -> SignFlip:
    """Share of all 2^n sign patterns whose sum lies at least as far from 0 (Fisher 1935)."""
    values = finite_values(differences)
    reason = _not_countable(values.size)
    if reason:
        return SignFlip(math.nan, values.size, reason)
    # Sums over each half of the values; one binary search per sum of the first half then counts
    # its partners, so n = 40 costs 2^20 searches instead of 2^40 sums.
    first = _signed_sums(values[:values.size // 2])
    second = np.sort(_signed_sums(values[values.size // 2:]))
    rounding = 1e-12 * float(np.sum(np.abs(values)))
    reach = abs(float(np.sum(values))) - rounding
    if reach <= 0:
        return SignFlip(1.0, values.size, "")
    beyond = int(np.sum(second.size - np.searchsorted(second, reach - first)))
    # The patterns come in mirrored pairs, so both tails hold equally many.
    return SignFlip(2 * beyond / 2 ** values.size, values.size, "")


def _not_countable(n: int) -> str:
    if n > SIGN_FLIP_MAXIMUM:
        return (f"n={n} has too many sign patterns to count (limit {SIGN_FLIP_MAXIMUM}); "
                "use the paired interval.")
    if n >= SIGN_FLIP_MINIMUM:
        return ""
    least = f"the smallest p is {2 / 2 ** n:.4g}" if n else "no p exists"
    return f"n={n} cannot decide: {least}; use at least {SIGN_FLIP_MINIMUM} seeds."


def _signed_sums(values: Floats) -> Floats:
    """All sums of +-values, float[2^n]."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def more_seeds(of: Difference, margin: float, level: float = LEVEL,
               power: float = 0.8) -> MoreSeeds:
    """How many more seeds per arm would decide, if mean and spread stay as they are.

    A value beyond the margin is tested against it (two-sided, at `level`); one within it for
    equivalence (TOST at alpha = 1 - level). Noncentral t is taken as a shifted t.
    """
    value, n = of.estimate.value, of.estimate.n
    within = abs(value) < margin
    outcome = "the same" if within else "different"
    if not of.standard_error > 0 or not of.degrees_of_freedom > 0:
        return MoreSeeds(outcome, None, power, f"n={n} shows no spread; add seeds to see one.")
    seeds = np.arange(n, MORE_SEEDS_LIMIT + 1, dtype=np.float64)
    chance = _power(of, margin, seeds, level, within)
    enough = np.flatnonzero(chance >= power)
    more = int(seeds[enough[0]] - n) if enough.size else None
    return MoreSeeds(outcome, more, power, _statement(more, within, margin, power))


def _power(of: Difference, margin: float, seeds: Floats, level: float, within: bool) -> Floats:
    n, value = of.estimate.n, abs(of.estimate.value)
    error = of.standard_error * np.sqrt(n / seeds)
    # For equal arms Welch's degrees of freedom are proportional to n - 1.
    freedom = of.degrees_of_freedom * (seeds - 1) / (n - 1)
    if not within:
        shift = (value - margin) / error
        return np.asarray(stats.t.cdf(shift - stats.t.ppf((1 + level) / 2, freedom), freedom))
    critical = stats.t.ppf(level, freedom)
    near = stats.t.cdf((margin - value) / error - critical, freedom)
    far = stats.t.cdf((margin + value) / error - critical, freedom)
    return np.asarray(near + far - 1)


def _statement(more: int | None, within: bool, margin: float, power: float) -> str:
    relation = "are the same within" if within else "differ by more than"
    finding = f"that the arms {relation} {margin:g}"
    if more == 0:
        return f"These seeds are enough to show {finding}."
    if more is None:
        return (f"Even {MORE_SEEDS_LIMIT} seeds would not show {finding}: "
                "the value lies too near the margin.")
    return (f"{more} more seeds per arm would show {finding}, with probability {power:.0%}, "
            "if mean and spread stay as they are.")
