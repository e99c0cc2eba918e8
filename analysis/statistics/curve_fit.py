"""Bounded least squares with intervals, for the laws that are not straight lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, least_squares

from .distributions import f_above
from .estimate import LEVEL, Estimate, Floats, t_critical, without_interval

TOLERANCE = 1e-12
AT_BOUND = 1e-7
# A p value below which a law does not fit what was measured.
LACK_OF_FIT = 0.05


@dataclass(frozen=True)
class CurveFit:
    """Parameters float[k]; covariance = RSS/(n-k) (J'J)^-1 over those that are not at a bound.

    A parameter at its bound stays there: its rows of the covariance are 0, and it gets no
    interval of its own. With no freedom left, or where the data cannot tell the parameters
    apart, the covariance is NaN.
    """

    parameters: Floats
    covariance: Floats
    at_bound: tuple[bool, ...]
    residuals: Floats
    degrees_of_freedom: int
    level: float

    @property
    def residual_variance(self) -> float:
        """Return RSS / (n - k), in the residuals' unit squared; NaN where no degree of freedom is left."""
        freedom = self.degrees_of_freedom
        return float(self.residuals @ self.residuals) / freedom if freedom > 0 else float("nan")

    @property
    def has_covariance(self) -> bool:
        """Return whether every number of the covariance is finite."""
        return bool(np.all(np.isfinite(self.covariance)))

    @property
    def rms(self) -> float:
        """Return the root mean square of the residuals, in their unit."""
        return float(np.sqrt(np.mean(self.residuals ** 2)))

    def parameter(self, index: int) -> Estimate:
        """Return one fitted parameter with its interval; it has none at its bound, or where the covariance is NaN."""
        value = float(self.parameters[index])
        if self.at_bound[index]:
            return without_interval(value, self.residuals.size)
        return self._around(value, float(self.covariance[index, index]))

    def derived(self, function: Callable[[Floats], float], new_value: bool = False) -> Estimate:
        """Return the estimate of a smooth function of the parameters, with its interval by the delta method.

        new_value: the interval is that of one further measurement, so the residual variance is added; the function then
        has the residuals' unit.
        """
        gradient = approx_fprime(self.parameters, function)
        variance = float(gradient @ self.covariance @ gradient)
        if new_value:
            variance += self.residual_variance
        return self._around(float(function(self.parameters)), variance)

    def _around(self, value: float, variance: float) -> Estimate:
        half = float(t_critical(self.degrees_of_freedom, self.level)) * float(np.sqrt(variance))
        return Estimate(value, value - half, value + half, self.residuals.size)


def lack_of_fit(places: Floats, residuals: Floats, parameters: int) -> float:
    """Return the p value of the F test of a law against a mean of its own at each place, from what repeats at one place
    differ by.

    places, residuals: float[n], the latter of one spread everywhere; parameters: how many of the law were fitted. NaN
    without repeats that differ, or with no more places than parameters.
    """
    distinct, index = np.unique(places, return_inverse=True)
    means = np.bincount(index, residuals) / np.bincount(index)
    own = float(np.sum((residuals - means[index]) ** 2))
    first, second = distinct.size - parameters, residuals.size - distinct.size
    if first < 1 or second < 1 or not own > 0:
        return float("nan")
    beyond = max(float(residuals @ residuals) - own, 0.0)
    return float(f_above(beyond / first / (own / second), first, second))


def fit_curve(residuals: Callable[[Floats], Floats], starts: Sequence[Sequence[float]],
              lower: Sequence[float], upper: Sequence[float], level: float = LEVEL) -> CurveFit:
    """Fit the parameters by unweighted least squares within the bounds from every start, and return the best fit.

    residuals: from the parameters, float[k], to float[n]; each start, lower and upper: k numbers. Scale the parameters
    to about 1: one that ends within AT_BOUND of a bound is put on it.
    """
    solutions = [least_squares(residuals, start, bounds=(lower, upper), jac="3-point",
                               x_scale="jac", xtol=TOLERANCE, ftol=TOLERANCE, gtol=TOLERANCE)
                 for start in starts]
    best = min(solutions, key=lambda solution: float(solution.cost))
    at_low, at_high = best.x < np.add(lower, AT_BOUND), best.x > np.subtract(upper, AT_BOUND)
    parameters = np.where(at_low, lower, np.where(at_high, upper, best.x))
    freedom = int(best.fun.size - best.x.size)
    covariance = _covariance(best.jac, best.fun, ~(at_low | at_high), freedom)
    return CurveFit(parameters, covariance, tuple(bool(held) for held in at_low | at_high),
                    np.asarray(best.fun), freedom, level)


def _covariance(jacobian: Floats, residuals: Floats, free: NDArray[np.bool_],
                freedom: int) -> Floats:
    """RSS/freedom (J'J)^-1 over the free parameters, float[k, k]."""
    size = jacobian.shape[1]
    used = jacobian[:, free]
    covariance = np.zeros((size, size))
    if freedom < 1 or np.linalg.matrix_rank(used) < used.shape[1]:
        return np.full((size, size), np.nan)
    inverse = np.linalg.inv(used.T @ used)
    covariance[np.ix_(free, free)] = inverse * float(residuals @ residuals) / freedom
    return covariance
