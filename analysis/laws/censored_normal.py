"""A linear model with normal errors, of whose values some are only known to lie beyond an end (Tobin 1958).

Its likelihood is concave in coefficients/sigma and 1/sigma (Olsen 1978), so that Newton's steps find the one maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr

from ..statistics.estimate import Floats

NEWTON_STEPS = 50
SMALLEST_VARIANCE = 1e-18
RIDGE = 1e-9


@dataclass(frozen=True)
class CensoredNormal:
    """The likelihood of values with normal errors on a design float[n, k], maximised over coefficients and sigma.

    ends float[n]: the value, or the end of it that is known; signs: 0 where it is the value, 1 where the value is
    greater, -1 where it is less.
    """

    design: Floats
    ends: Floats
    signs: Floats

    @cached_property
    def _known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self.signs == 0

    @cached_property
    def _solver(self) -> Floats:
        return np.asarray(np.linalg.pinv(self.design[self._known]), dtype=np.float64)

    def best(self, offsets: Floats) -> tuple[float, Floats, float]:
        """Return the greatest log-likelihood, the coefficients float[k] and sigma, after `offsets` are taken from the
        values."""
        known = self._known
        logs = self.ends - offsets
        coefficients = self._solver @ logs[known]
        residuals = logs[known] - self.design[known] @ coefficients
        count = int(np.count_nonzero(known))
        variance = max(float(residuals @ residuals) / count, SMALLEST_VARIANCE)
        if known.all():
            return -count / 2 * (math.log(variance) + 1), coefficients, math.sqrt(variance)
        scale = 1 / math.sqrt(max(variance, 1e-8))
        return self._newton(np.append(coefficients * scale, scale), logs)

    def _newton(self, theta: Floats, logs: Floats) -> tuple[float, Floats, float]:
        value, slope, curve = self._likelihood(theta, logs)
        for _ in range(NEWTON_STEPS):
            step = np.linalg.solve(RIDGE * np.eye(slope.size) - curve, slope)
            share = 1.0
            while share > 1e-8:
                moved = theta + share * step
                if moved[-1] > 0:
                    there = self._likelihood(moved, logs)
                    if there[0] >= value:
                        break
                share /= 2
            else:
                break
            gained, theta = there[0] - value, moved
            value, slope, curve = there
            if gained < 1e-9:
                break
        return value, theta[:-1] / theta[-1], float(1 / theta[-1])

    def by_mean(self, offsets: Floats) -> tuple[Floats, Floats]:
        """Return each value's first and minus its second derivative of the log-likelihood by what is expected of it, at
        the most likely coefficients and sigma, float[n] each."""
        _, coefficients, sigma = self.best(offsets)
        _, first, second = self._by_z((self.ends - offsets - self.design @ coefficients) / sigma)
        return -first / sigma, -second / sigma ** 2

    def _by_z(self, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the log probability of what is not known but for its side, and each run's first and second derivative
        by z, its distance from what is expected in sigmas, float[runs] each."""
        u = -self.signs * z
        tail = np.where(self._known, 0.0, log_ndtr(u))
        ratio = np.where(self._known, 0.0, np.exp(-u ** 2 / 2 - tail) / math.sqrt(2 * math.pi))
        return (tail, np.where(self._known, -z, -self.signs * ratio),
                np.where(self._known, -1.0, -ratio * (u + ratio)))

    def _likelihood(self, theta: Floats, logs: Floats) -> tuple[float, Floats, Floats]:
        """Return value, gradient and Hessian in (coefficients/sigma, 1/sigma)."""
        known = self._known
        z = theta[-1] * logs - self.design @ theta[:-1]
        tail, first, second = self._by_z(z)
        by_theta = np.column_stack([-self.design, logs])
        count = np.count_nonzero(known)
        value = count * math.log(theta[-1]) - float(z[known] @ z[known]) / 2 + float(tail.sum())
        slope = by_theta.T @ first
        slope[-1] += count / theta[-1]
        curve = by_theta.T @ (second[:, None] * by_theta)
        curve[-1, -1] -= count / theta[-1] ** 2
        return value, slope, curve
