"""One form of the step at one overlap, fitted: its formula, and what it predicts with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...statistics.estimate import Estimate, Floats, t_critical
from .model import StepPoint
from .synchronization import Shape


@dataclass(frozen=True, eq=False)
class StepLaw:
    """One form of the step at one overlap. `compute` and `columns`: the features kept, the others being combinations
    of them at all measured points; `parameters` float[c]: the coefficients of the one, then of the other;
    `covariance` of them, parameters at zero included, so that an interval may leave the bound; `largest`: what each
    coefficient of synchronization could be at most, alone, without a step time above those measured."""

    shape: Shape
    overlap: float
    compute: tuple[int, ...]
    columns: tuple[int, ...]
    parameters: Floats
    covariance: Floats
    largest: Floats
    residual_squares: float
    residual_variance: float
    degrees_of_freedom: int
    n: int

    @property
    def synchronization(self) -> str:
        """Return the name of the law's synchronization."""
        return self.shape.synchronization

    def log_seconds(self, point: StepPoint, synchronization_seconds: float | None = None,
                    launch: bool = True) -> Estimate:
        """Predict log seconds of one further launch, or of the mean of many where `launch` is false;
        `synchronization_seconds` replaces the law's own cost where it is known.

        The interval is by the delta method, no lower than without synchronization and no higher than with the largest
        that the measured times allow: where a step hides its synchronization, its slope says nothing.
        """
        if synchronization_seconds is not None:
            return self._around(point, launch, synchronization_seconds)
        found, alone = self._around(point, launch), self._around(point, launch, 0.0)
        most = self._around(point, launch, max(self._largest_seconds(point), self.synchronization_seconds(point)))
        return Estimate(found.value, max(found.low, alone.low), min(found.high, most.high), self.n)

    def _around(self, point: StepPoint, launch: bool, given: float | None = None) -> Estimate:
        computing, features, k = design(self.shape, [point], self.compute, self.columns)
        logs, slopes = log_times(self.parameters[None], computing[None], k, features[None], np.asarray([self.overlap]),
                                 None if given is None else np.asarray([[given]]))
        value, slope = float(logs[0, 0]), slopes[0, 0]
        variance = float(slope @ self.covariance @ slope) + self.residual_variance * launch
        half = student(self.degrees_of_freedom) * math.sqrt(variance)
        return Estimate(value, value - half, value + half, self.n)

    def _features(self, point: StepPoint) -> Floats:
        return np.asarray(self.shape.columns([point])[1][0, list(self.columns)])

    def _largest_seconds(self, point: StepPoint) -> float:
        """Return the largest synchronization allowed: coefficients of one level share what is unexplained, levels add
        up."""
        each: dict[int, float] = {}
        for column, seconds in zip(self.columns, self._features(point) * self.largest):
            each[column // 2] = max(each.get(column // 2, 0.0), float(seconds))
        return sum(each.values())

    def synchronization_seconds(self, point: StepPoint) -> float:
        """Return the fitted synchronization of one step at this point, in seconds."""
        return float(self._features(point) @ self.parameters[len(self.compute):])


@lru_cache(maxsize=1000)  # every interval of every point asks for it
def student(freedom: int) -> float:
    """Return the two-sided Student quantile."""
    return float(t_critical(freedom))


def design(shape: Shape, points: Sequence[StepPoint], compute: Sequence[int],
           columns: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Return the kept features of compute and of synchronization, and micro-steps before the last, float[points]."""
    computing, synchronization = shape.columns(points)
    return (np.asarray(computing[:, list(compute)]), np.asarray(synchronization[:, list(columns)]),
            np.asarray([point.accumulation for point in points], dtype=np.float64))


def log_times(theta: Floats, computing: Floats, k: Floats, features: Floats, overlaps: Floats,
              given: Floats | None = None) -> tuple[Floats, Floats]:
    """Return log T, float[laws, points], and its derivatives, float[laws, points, parameters]; `given` replaces S."""
    own, power = computing.shape[2], overlaps[:, None]
    gradient = np.einsum("lpc,lc->lp", computing, theta[:, :own])
    sync = np.einsum("lpc,lc->lp", features, theta[:, own:]) if given is None else given
    together = joined(gradient, sync, power)
    total = k * gradient + together
    by_gradient = (k + (gradient / together) ** (power - 1)) / total
    by_sync = (sync / together) ** (power - 1) / total if given is None else np.zeros_like(total)
    return np.log(total), np.concatenate([computing * by_gradient[:, :, None], features * by_sync[:, :, None]], axis=2)


def joined(computing: Floats, sync: Floats, overlap: float | Floats) -> Floats:
    """Return (G^y + S^y)^(1/y), elementwise; the larger is taken out, so that no power overflows."""
    larger = np.maximum(computing, sync)
    return np.asarray(larger * ((computing / larger) ** overlap + (sync / larger) ** overlap) ** (1 / overlap))
