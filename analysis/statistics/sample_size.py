"""How many seeds a decision would take, from the spread of those there are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...benchmarks.text import percent
from .difference import Difference
from .distributions import normal_quantile, t_above, t_below, t_density, t_quantile
from .estimate import LEVEL, Floats

MORE_SEEDS_LIMIT = 1000


@dataclass(frozen=True)
class MoreSeeds:
    """Number of further seeds per arm, `more`, that would decide for `outcome`; None when no affordable number
    would."""

    outcome: str
    more: int | None
    power: float
    statement: str


def more_seeds(of: Difference, margin: float, level: float = LEVEL,
               power: float = 0.8) -> MoreSeeds:
    """Return how many more seeds per arm would decide, if mean and spread stay as they are.

    A value beyond the margin is tested against it, one within it for equivalence: whether the interval of `level`
    leaves the margin out, or lies within it. Noncentral t is taken as a shifted t. The part of the error that more
    seeds do not lessen (`fixed_error`) stays. The number is None without spread, and where MORE_SEEDS_LIMIT seeds would
    not be enough.
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
    return MoreSeeds(outcome, more, power, _statement(more, within, margin, power, _resolved(of, level)))


def seeds_until_not_worse(of: Difference, margin: float, alpha: float, power: float = 0.8) -> int | None:
    """Return how many more seeds per arm would show a loss to be below the margin, if mean and spread stay as they are.

    By a one-sided test at level alpha, with this power; None where no affordable number would.
    """
    if not of.standard_error > 0 or not of.degrees_of_freedom > 0:
        return None
    seeds = np.arange(of.estimate.n, MORE_SEEDS_LIMIT + 1, dtype=np.float64)
    error, freedom = _with_seeds(of, seeds)
    chance = t_below((margin - of.estimate.value) / error + t_quantile(alpha, freedom), freedom)
    enough = np.flatnonzero(chance >= power)
    return int(seeds[enough[0]] - of.estimate.n) if enough.size else None


def chance_to_show(of: Difference, distance: float, seeds: int, alpha: float) -> float:
    """Return the chance that a one-sided test at level alpha of so many seeds shows a difference to lie on its side of
    a bound that is `distance` away, given the seeds there are; 0 without a spread to reckon with.

    This is predictive power (Spiegelhalter, Freedman and Blackburn 1986): the seeds there are stay in the mean, so that
    those to come move it by no more than its error falls in square, and what few seeds leave uncertain of mean and
    spread is in the chance. To go on as if both were known gives up too soon after few seeds and too late after many.
    """
    if not of.standard_error > 0 or not of.degrees_of_freedom > 0:
        return 0.0
    error, freedom = (float(each[0]) for each in _with_seeds(of, np.array([float(max(seeds, of.estimate.n))])))
    beyond = distance + float(t_quantile(alpha, freedom)) * error
    moves = math.sqrt(max(of.standard_error ** 2 - error ** 2, 0.0))
    return float(t_below(beyond / moves, of.degrees_of_freedom)) if moves > 0 else float(beyond > 0)


def expected_gain(of: Difference, seeds: int) -> float:
    """Return what it is expected to gain that the choice of the first arm, better where the difference is above zero,
    is made anew by so many seeds: the mean of what the second is then ahead by, in the difference's unit, or 0 where it
    is not.

    It is the value of the seeds to come (Raiffa and Schlaifer 1961), by the predictive distribution of their mean, as
    in `chance_to_show`. Without a spread to reckon with it is what the second is ahead by now.
    """
    behind, freedom = of.estimate.value, of.degrees_of_freedom
    if not of.standard_error > 0 or not freedom > 1:
        return max(-behind, 0.0)
    moves = of.standard_error * math.sqrt(max(1 - of.estimate.n / seeds, 0.0))
    if not moves > 0:
        return max(-behind, 0.0)
    at = behind / moves
    beyond = t_density(at, freedom) * (1.0 if math.isinf(freedom) else (freedom + at * at) / (freedom - 1))
    return moves * max(beyond - at * float(t_above(at, freedom)), 0.0)


def _resolved(of: Difference, level: float) -> float:
    """The smallest difference that any number of seeds could show; 0 where seeds are all that is uncertain."""
    return of.fixed_error * float(normal_quantile((1 + level) / 2))


def _with_seeds(of: Difference, seeds: Floats) -> tuple[Floats, Floats]:
    """The standard error and degrees of freedom that so many seeds would have; for equal arms Welch's degrees of
    freedom are proportional to n - 1."""
    n, fixed = of.estimate.n, of.fixed_error ** 2
    error = np.sqrt(max(of.standard_error ** 2 - fixed, 0.0) * n / seeds + fixed)
    return error, of.degrees_of_freedom * (seeds - 1) / (n - 1)


def repeats_for_width(values: Floats, half_width: float, most: int, level: float = LEVEL) -> int:
    """Return how many repeats give Student's interval of the mean this half width at most, if the spread of `values`
    stays; `most` where more would be needed or where fewer than two values show a spread."""
    if len(values) < 2:
        return most
    counts = np.arange(2, most + 1)
    half = t_quantile((1 + level) / 2, counts - 1) * float(np.std(values, ddof=1)) / np.sqrt(counts)
    enough = counts[half <= half_width]
    return int(enough[0]) if enough.size else most


def _power(of: Difference, margin: float, seeds: Floats, level: float, within: bool) -> Floats:
    value, (error, freedom) = abs(of.estimate.value), _with_seeds(of, seeds)
    if not within:
        shift = (value - margin) / error
        return np.asarray(t_below(shift - t_quantile((1 + level) / 2, freedom), freedom))
    critical = t_quantile((1 + level) / 2, freedom)
    near = t_below((margin - value) / error - critical, freedom)
    far = t_below((margin + value) / error - critical, freedom)
    return np.asarray(near + far - 1)


def _statement(more: int | None, within: bool, margin: float, power: float, resolved: float) -> str:
    relation = "are the same within" if within else "differ by more than"
    finding = f"that the arms {relation} {margin:g}"
    if more == 0:
        return f"These seeds are enough to show {finding}."
    if more is None and resolved >= margin:
        return (f"No number of seeds would show {finding}: these examples resolve differences of {resolved:.2g}; "
                "evaluate on more of them, or take a wider margin.")
    if more is None:
        return (f"Even {MORE_SEEDS_LIMIT} seeds would not show {finding}: "
                "the value lies too near the margin.")
    return (f"{more} more seeds per arm would show {finding}, with probability {percent(power)}, "
            "if mean and spread stay as they are.")
