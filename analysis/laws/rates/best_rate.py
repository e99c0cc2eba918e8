"""The best learning rate at each batch of one setting, with its uncertainty, from a result at each rate tried.

Near its best rate a result is about quadratic in log rate, so the best one lies at the vertex of a parabola through
the rates around the best of those tried. The true curve falls gently and rises steeply, which moves the vertex, but by
as much at every batch: how the best rate grows is not touched. A best rate that is the last one tried on its side says
only that the best lies there or beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...statistics.estimate import Estimate, exp, Floats, t_critical

WINDOW = 4.0  # times: rates farther from the best one tried say little about where the best is
CLIFF = 6.0  # times the median rise of the others: beyond, training failed, and no parabola holds
CLEAR = 2.0  # standard errors of a bend; below, it may be noise
ENOUGH_FREEDOM = 3  # degrees of it, for the residuals alone to tell the noise
UNIFORM = math.sqrt(12)  # the width of a range over the standard deviation of what lies anywhere in it


@dataclass(frozen=True)
class TriedRate:
    """One rate tried at one batch. value: what it ended with, smaller is better, NaN where training failed; error: the
    standard error of the value, NaN where it is not known."""

    global_batch: int
    learning_rate: float
    value: float
    error: float = math.nan


@dataclass(frozen=True)
class BestRate:
    """The place of the best rate of a batch: `log_rate` is its natural logarithm, `error` the standard error of that.

    side: 0 where it was found among those tried; 1 or -1 where it is only known to lie above or below `log_rate`. used:
    the trials that say so.
    """

    global_batch: int
    log_rate: float
    error: float
    side: int
    used: tuple[TriedRate, ...]

    @property
    def beyond(self) -> str:
        """Return "above" or "below" where the best rate is only known to lie there; "" where it was found."""
        return {1: "above", -1: "below"}.get(self.side, "")

    @property
    def learning_rate(self) -> Estimate:
        """Return the rate with its interval at 95 %, whose end is unbounded on the side where nothing was found."""
        half = float(t_critical(math.inf)) * self.error
        low, high = self.log_rate - half, self.log_rate + half
        ends = exp(low) if self.side >= 0 else 0.0, exp(high) if self.side <= 0 else math.inf
        return Estimate(exp(self.log_rate), *ends, len(self.used), "rates")


@dataclass(frozen=True)
class _Bend:
    """A parabola in log rate about `middle`, through the trials `used`: coefficients of (1, x, x^2), their covariance
    over the variance of one value, and the sum of squares that is left over."""

    middle: float
    coefficients: Floats
    covariance: Floats
    squares: float
    used: tuple[TriedRate, ...]

    @property
    def freedom(self) -> int:
        """Return the degrees of freedom of the squares."""
        return len(self.used) - 3

    @property
    def downhill(self) -> float:
        """Return the logarithm of the best rate by the parabola; infinite towards where it falls without a bend."""
        _, slope, bend = (float(each) for each in self.coefficients)
        return self.middle - slope / (2 * bend) if bend > 0 else -math.copysign(math.inf, slope)

    def error(self, variance: float) -> float:
        """Return the standard error of the vertex; infinite where the bend is not clear of the noise."""
        _, slope, bend = (float(each) for each in self.coefficients)
        if not bend > CLEAR * math.sqrt(variance * self.covariance[2, 2]):
            return math.inf
        gradient = np.array([0.0, -1 / (2 * bend), slope / (2 * bend ** 2)])
        return math.sqrt(variance * float(gradient @ self.covariance @ gradient))


def best_rates(trials: Sequence[TriedRate]) -> tuple[BestRate, ...]:
    """Return the best rate of every batch of one setting, by ascending batch; a batch at which fewer than three rates
    ended with a value has none.

    One variance holds for all values: that of the residuals from the batches' parabolas, or the mean square of the
    trials' own errors where that is greater and few residuals are left over.
    """
    own = {batch: sorted((trial for trial in trials if trial.global_batch == batch), key=lambda one: one.learning_rate)
           for batch in sorted({trial.global_batch for trial in trials})}
    bends = {batch: _bend([one for one in tried if math.isfinite(one.value)]) for batch, tried in own.items()
             if len({one.learning_rate for one in tried if math.isfinite(one.value)}) > 2}
    variance = _variance(list(bends.values()))
    return tuple(_best(own[batch], bend, variance) for batch, bend in bends.items())


def _best_of(trials: Sequence[TriedRate]) -> TriedRate:
    return min((one for one in trials if math.isfinite(one.value)), key=lambda one: (one.value, one.learning_rate))


def _bend(tried: Sequence[TriedRate]) -> _Bend:
    """The parabola about the best of the trials."""
    middle = math.log(_best_of(tried).learning_rate)
    return _through(_near(tried, middle), middle)


def _near(tried: Sequence[TriedRate], middle: float) -> tuple[TriedRate, ...]:
    """The trials that lie on a parabola about the middle, by ascending rate: three different ones at least."""
    away = {one: abs(math.log(one.learning_rate) - middle) for one in tried}
    third = sorted({one.learning_rate: length for one, length in away.items()}.values())[2]
    around = [one for one in tried if away[one] < max(math.log(WINDOW), third) + 1e-6]
    least = _best_of(around).value
    limit = CLIFF * float(np.median([one.value - least for one in around]))
    kept = tuple(one for one in around if one.value - least <= limit)
    return kept if len({one.learning_rate for one in kept}) > 2 else tuple(around)


def _through(used: tuple[TriedRate, ...], middle: float) -> _Bend:
    design = np.vander(np.log([one.learning_rate for one in used]) - middle, 3, increasing=True)
    values = np.array([one.value for one in used]) - _best_of(used).value
    inverse = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    coefficients = inverse @ design.T @ values
    rest = values - design @ coefficients
    return _Bend(middle, coefficients, inverse, float(rest @ rest), used)


def _variance(bends: Sequence[_Bend]) -> float:
    freedom, squares = sum(bend.freedom for bend in bends), sum(bend.squares for bend in bends)
    seen = squares / freedom if freedom else 0.0
    errors = [one.error ** 2 for bend in bends for one in bend.used if math.isfinite(one.error)]
    return max(seen, float(np.mean(errors))) if errors and freedom < ENOUGH_FREEDOM else seen


def _best(tried: Sequence[TriedRate], bend: _Bend, variance: float) -> BestRate:
    batch, error = tried[0].global_batch, bend.error(variance)
    places = [math.log(one.learning_rate) for one in tried]
    index = tried.index(_best_of(tried))
    if not math.isfinite(error) and 0 < index < len(tried) - 1:
        return BestRate(batch, (places[0] + places[-1]) / 2, (places[-1] - places[0]) / UNIFORM, 0, bend.used)
    last = max(place for place, one in zip(places, tried) if math.isfinite(one.value))
    if bend.downhill > last and last < places[-1]:  # training failed beyond, and the best rate lies before that
        failed = min(place for place in places if place > last)
        return BestRate(batch, (last + failed) / 2, (failed - last) / UNIFORM, 0, bend.used)
    side = _side(bend.downhill, places, index)
    if side:
        first, second = (places[0], places[1]) if side < 0 else (places[-1], places[-2])
        return BestRate(batch, (first + second) / 2, min(error, abs(first - second)), side, bend.used)
    return BestRate(batch, bend.downhill, error, 0, bend.used)


def _side(place: float, places: Sequence[float], index: int) -> int:
    """Which end of the rates tried the best one lies at or beyond, by the best trial or by the vertex; 0 for none."""
    low, high = index == 0 or place < places[0], index == len(places) - 1 or place > places[-1]
    return int(high) - int(low)
