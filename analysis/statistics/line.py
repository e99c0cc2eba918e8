"""y = a + b x with intervals: what step time and memory have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...benchmarks.errors import RecordError
from .estimate import LEVEL, Estimate, finite_values, Floats, t_critical, unknown, without_interval
from .ratio import fieller_interval


ROUNDS = 8


@dataclass(frozen=True)
class LinearLaw:
    """The fit over n points; NaN numbers and a `note` where the points do not give them."""

    intercept: Estimate
    slope: Estimate
    residuals: tuple[float, ...]
    covariance: tuple[tuple[float, float], tuple[float, float]]
    residual_variance: float
    degrees_of_freedom: int
    relative_errors: bool
    level: float
    note: str

    def predict(self, x: float) -> Estimate:
        """Return one further measurement at x, in the unit of y, with its prediction interval."""
        value = self.intercept.value + self.slope.value * x
        (first, cross), (_, second) = self.covariance
        noise = self.residual_variance * (value ** 2 if self.relative_errors else 1.0)
        spread = math.sqrt(max(first + 2 * x * cross + x * x * second + noise, 0.0)) \
            if math.isfinite(first) else math.nan
        half = float(t_critical(self.degrees_of_freedom, self.level)) * spread
        return Estimate(value, value - half, value + half, self.intercept.n)

    def x_where(self, y: float) -> Estimate:
        """Return the x at which the line reaches y, with its calibration interval (Fieller); not known unless the slope
        is positive."""
        return self._ratio(y - self.intercept.value, sign=-1.0)

    def intercept_over_slope(self) -> Estimate:
        """Return a / b, in the unit of x, with Fieller's interval; not known unless the slope is positive."""
        return self._ratio(self.intercept.value, sign=1.0)

    def _ratio(self, numerator: float, sign: float) -> Estimate:
        slope, n = self.slope.value, self.slope.n
        if not slope > 0:
            return unknown(n)
        (first, cross), (_, second) = self.covariance
        if not math.isfinite(first):
            return without_interval(numerator / slope, n)
        t = float(t_critical(self.degrees_of_freedom, self.level))
        low, high = fieller_interval(numerator, slope, first, second, sign * cross, t)
        return Estimate(numerator / slope, low, high, n)


def fit_line(x: Sequence[float] | Floats, y: Sequence[float] | Floats,
             relative_errors: bool = False, level: float = LEVEL) -> LinearLaw:
    """Fit y = a + b x by least squares, float[n] each, with weights 1/fit^2 where errors grow with y.

    The weights are from the fitted values, in a few rounds (iteratively reweighted least squares): weights from the
    noisy y themselves would favour what was measured too low. Two points give a line without intervals; fewer than two
    distinct x give NaN and a note. Raises RecordError when x and y differ in length, when a number is not finite, and
    when a y is not positive though errors are relative to it.
    """
    across, up = finite_values(x, "x"), finite_values(y, "y")
    if across.size != up.size:
        raise RecordError(f"{across.size} x and {up.size} y; give one y for each x.")
    if relative_errors and np.any(up <= 0):
        raise RecordError("errors relative to y need every y to be positive; drop the others.")
    distinct = np.unique(across).size
    if distinct < 2:
        return _no_line(across.size, relative_errors, level,
                        f"not enough points: {distinct} distinct size, a line needs 2")
    if across.size < 3:
        slope, intercept = np.polyfit(across, up, 1)
        return _bare_line(float(intercept), float(slope), across.size, relative_errors, level)
    law = _weighted_line(across, up, 1 / up ** 2 if relative_errors else np.ones_like(up), relative_errors, level)
    for _ in range(ROUNDS if relative_errors else 0):
        fitted = law.intercept.value + law.slope.value * across
        if np.any(fitted <= 0):
            break  # no error relative to a fit that is not positive: the last positive weights stay
        law = _weighted_line(across, up, 1 / fitted ** 2, relative_errors, level)
    return law


def _weighted_line(x: Floats, y: Floats, weights: Floats, relative: bool, level: float) -> LinearLaw:
    """Fit y = a + b x by weighted least squares in closed form, about the weighted middle of x."""
    n, freedom, total = x.size, x.size - 2, float(weights.sum())
    middle, height = float(weights @ x) / total, float(weights @ y) / total
    across = x - middle
    spread = float(weights @ across ** 2)
    slope = float(weights @ (across * (y - height))) / spread
    intercept = height - slope * middle
    residuals = y - height - slope * across
    variance = float(weights @ residuals ** 2) / freedom
    first, cross, second = variance * (1 / total + middle ** 2 / spread), -variance * middle / spread, variance / spread
    t = float(t_critical(freedom, level))
    ends = [Estimate(value, value - t * math.sqrt(own), value + t * math.sqrt(own), n)
            for value, own in ((intercept, first), (slope, second))]
    return LinearLaw(ends[0], ends[1], tuple(float(r) for r in residuals), ((first, cross), (cross, second)), variance,
                     freedom, relative, level, "")


def _bare_line(intercept: float, slope: float, n: int, relative: bool, level: float) -> LinearLaw:
    return LinearLaw(without_interval(intercept, n), without_interval(slope, n), (0.0,) * n,
                     ((math.nan,) * 2,) * 2, math.nan, 0, relative, level,
                     "two points: a line, but no interval")


def _no_line(n: int, relative: bool, level: float, note: str) -> LinearLaw:
    return LinearLaw(unknown(n), unknown(n), (), ((math.nan,) * 2,) * 2, math.nan, 0,
                     relative, level, note)
