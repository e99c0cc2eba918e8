"""How many seeds a decision would take, from the spread of those there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .difference import Difference
from .estimate import LEVEL, Floats

MORE_SEEDS_LIMIT = 1000


@dataclass(frozen=True)
class MoreSeeds:
    """`more` seeds would decide for `outcome`; None when no affordable number would."""

    outcome: str
    more: int | None
    power: float
    statement: str


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


def repeats_for_width(values: Floats, half_width: float, most: int, level: float = LEVEL) -> int:
    """Return how many repeats give Student's interval of the mean this half width at most, if the spread of `values`
    stays; `most` where more would be needed or where fewer than two values show a spread."""
    if len(values) < 2:
        return most
    counts = np.arange(2, most + 1)
    half = stats.t.ppf((1 + level) / 2, counts - 1) * float(np.std(values, ddof=1)) / np.sqrt(counts)
    enough = counts[half <= half_width]
    return int(enough[0]) if enough.size else most


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
