"""Step time at replica counts not measured: several laws of synchronization, and the interval that all of them leave.

T = k G + (G^y + S^y)^(1/y), with G = a + b n (Qiao et al. 2021) and S linear in its coefficients: per replica, a flat
ring, halving-doubling, or rings inside and between nodes (Thakur et al. 2005). Measured points seldom tell these laws
and overlaps y apart, so each pair is fitted, and a prediction spans all that fit as well as the best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import least_squares

from ...benchmarks.errors import RecordError
from ..statistics.estimate import LEVEL, Estimate, exponential, Floats, t_critical, unknown
from .step_model import step_times, StepPoint

OVERLAPS = (1.0, 2.0, 4.0, 10.0)
RING, HALVING, HIERARCHICAL, PER_REPLICA = "flat ring", "halving-doubling", "hierarchical", "per replica"
SINGULAR = 1e-10
# Multiples of a typical step that a coefficient's share of synchronization is tried at; 12 % apart above 0.2.
TRIED = np.concatenate([np.geomspace(1e-3, 0.2, 12), np.geomspace(0.22, 20, 40)])
Features = Callable[[StepPoint], tuple[float, ...]]


def _ring(point: StepPoint) -> tuple[float, ...]:
    p = point.replicas
    return 2.0 * (p - 1), 2.0 * (p - 1) / p


def _halving(point: StepPoint) -> tuple[float, ...]:
    p = point.replicas
    return 2.0 * math.log2(p), 2.0 * (p - 1) / p


def _per_replica(point: StepPoint) -> tuple[float, ...]:
    """Intercept and slope, apart on one node and on several."""
    p, local = point.replicas, point.nodes == 1
    own = (float(p > 1), float(p - 2)) if p > 1 else (0.0, 0.0)
    return (*own, 0.0, 0.0) if local else (0.0, 0.0, *own)


def _hierarchical(point: StepPoint) -> tuple[float, ...]:
    m = point.nodes
    g = point.replicas / m
    return 2.0 * (g - 1), 2.0 * (g - 1) / g, 2.0 * (m - 1), 2.0 * (m - 1) / m / g


FEATURES: dict[str, Features] = {PER_REPLICA: _per_replica, RING: _ring, HALVING: _halving,
                                 HIERARCHICAL: _hierarchical}


@dataclass(frozen=True, eq=False)
class StepLaw:
    """One law of synchronization at one overlap. `parameters` float[2 + c]: a, b, then the coefficients of `columns`;
    `covariance` of them, parameters at zero included, so that an interval may leave the bound; `largest`: what each
    coefficient could be at most, alone, without a step time above those measured."""

    synchronization: str
    overlap: float
    columns: tuple[int, ...]
    parameters: Floats
    covariance: Floats
    largest: Floats
    residual_squares: float
    residual_variance: float
    degrees_of_freedom: int
    n: int

    def predicts(self, point: StepPoint) -> bool:
        """Return whether this law applies to the point and all parameters that it needs there were measured."""
        if self.synchronization == HALVING and point.replicas & (point.replicas - 1):
            return False
        used = np.flatnonzero(FEATURES[self.synchronization](point))
        return set(used.tolist()) <= set(self.columns)

    def log_seconds(self, point: StepPoint, synchronization_seconds: float | None = None) -> Estimate:
        """Predict log seconds of one further launch; `synchronization_seconds` replaces the law's own cost where it is
        known.

        The interval is by the delta method, no lower than without synchronization and no higher than with the largest
        that the measured times allow: where a step hides its synchronization, its slope says nothing.
        """
        if synchronization_seconds is not None:
            return self._around(point, synchronization_seconds)
        found, alone = self._around(point), self._around(point, 0.0)
        most = self._around(point, max(self._largest_seconds(point), self.synchronization_seconds(point)))
        return Estimate(found.value, max(found.low, alone.low), min(found.high, most.high), self.n)

    def _around(self, point: StepPoint, given: float | None = None) -> Estimate:
        features = _matrix([point], self.synchronization, self.columns)
        value, slope = _law(self.parameters, *_sizes([point]), features, self.overlap,
                            None if given is None else np.asarray([given]))
        variance = float(slope[0] @ self.covariance @ slope[0]) + self.residual_variance
        half = float(t_critical(self.degrees_of_freedom)) * math.sqrt(variance)
        return Estimate(float(value[0]), float(value[0]) - half, float(value[0]) + half, self.n)

    def _largest_seconds(self, point: StepPoint) -> float:
        """Return the largest synchronization allowed: coefficients of one level share what is unexplained, levels add
        up."""
        features = _matrix([point], self.synchronization, self.columns)[0]
        each: dict[int, float] = {}
        for column, seconds in zip(self.columns, features * self.largest):
            each[column // 2] = max(each.get(column // 2, 0.0), float(seconds))
        return sum(each.values())

    def synchronization_seconds(self, point: StepPoint) -> float:
        """Return the fitted synchronization of one step at this point, in seconds."""
        return float((_matrix([point], self.synchronization, self.columns) @ self.parameters[2:])[0])


@dataclass(frozen=True)
class StepLaws:
    """All laws that these launches cannot tell from the best, which is first."""

    laws: tuple[StepLaw, ...]

    def predict_seconds(self, point: StepPoint,
                        synchronization_seconds: Callable[[StepLaw], float] | None = None) -> Estimate:
        """Predict the step time of one further launch: the best law's, within the interval that spans all laws."""
        fitting = [law for law in self.laws if synchronization_seconds is not None or law.predicts(point)]
        if not fitting:
            return unknown(self.laws[0].n)
        found = [law.log_seconds(point, synchronization_seconds(law) if synchronization_seconds else None)
                 for law in fitting]
        return exponential(Estimate(found[0].value, min(each.low for each in found),
                                    max(each.high for each in found), found[0].n))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the laws, the best first."""
        return tuple(dict.fromkeys(law.synchronization for law in self.laws))


def fit_step_laws(points: Sequence[StepPoint], seconds: Sequence[float]) -> StepLaws:
    """Fit every law by unweighted least squares on log step time, one point per launch.

    A law stays when its residuals are within the F bound of the best one's, one degree of freedom (a profile over the
    overlap). Raises RecordError below two replica batches, or where no law leaves a degree of freedom.
    """
    measured = step_times(points, seconds)
    fitted = [law for name in _called_for(points) for overlap in OVERLAPS
              if (law := _fit(name, overlap, points, measured)) is not None]
    if not fitted:
        raise RecordError(f"{len(points)} step times cannot fit a law of the step; measure more launches, batches or "
                          "replica counts.")
    fitted.sort(key=lambda law: law.residual_squares)
    best = fitted[0]
    bound = 1 + float(stats.f.ppf(LEVEL, 1, best.degrees_of_freedom)) / best.degrees_of_freedom
    least = max(best.residual_squares, 1e-18)
    return StepLaws(tuple(law for law in fitted if law.residual_squares <= bound * least))


def _called_for(points: Sequence[StepPoint]) -> list[str]:
    counts = {point.replicas for point in points}
    powers = all(count & (count - 1) == 0 for count in counts)
    several = any(point.nodes > 1 for point in points)
    return [PER_REPLICA, RING, *([HALVING] if powers else []), *([HIERARCHICAL] if several else [])]


def _matrix(points: Sequence[StepPoint], name: str, columns: Sequence[int]) -> Floats:
    """Features of the synchronization, float[points, columns]."""
    rows = np.asarray([FEATURES[name](point) for point in points], dtype=np.float64)
    return np.asarray(rows[:, list(columns)])


def _sizes(points: Sequence[StepPoint]) -> tuple[Floats, Floats]:
    """Replica batches and accumulation micro-steps before the last, float[points] each."""
    return (np.asarray([point.replica_batch for point in points], dtype=np.float64),
            np.asarray([point.accumulation for point in points], dtype=np.float64))


def _law(theta: Floats, sizes: Floats, k: Floats, features: Floats, overlap: float,
         given: Floats | None = None) -> tuple[Floats, Floats]:
    """log T, float[points], and its derivatives, float[points, parameters]; `given` replaces S."""
    gradient = theta[0] + theta[1] * sizes
    sync = features @ theta[2:] if given is None else given
    joined = _joined(gradient, sync, overlap)
    total = k * gradient + joined
    by_gradient = (k + (gradient / joined) ** (overlap - 1)) / total
    by_sync = (sync / joined) ** (overlap - 1) / total if given is None else np.zeros_like(total)
    return np.log(total), np.column_stack([by_gradient, by_gradient * sizes, features * by_sync[:, None]])


def _fit(name: str, overlap: float, points: Sequence[StepPoint], measured: Floats) -> StepLaw | None:
    """Fit one law at one overlap; None when no degree of freedom is left beside the parameters and the overlap."""
    everything = np.asarray([FEATURES[name](point) for point in points], dtype=np.float64)
    columns = tuple(_independent(everything))
    freedom = len(points) - 2 - len(columns) - bool(columns)
    if freedom < 1:
        return None
    features = everything[:, list(columns)]
    sizes, k = _sizes(points)
    typical = float(np.median(measured / (k + 1)))
    unit = np.asarray([typical, typical / float(np.median(sizes)),
                       *(typical / np.maximum(features.max(axis=0), 1e-300))])
    logs = np.log(measured)
    found = least_squares(
        lambda theta: _law(theta * unit, sizes, k, features, overlap)[0] - logs,
        np.asarray([0.5, 0.5, *[0.2] * len(columns)]),
        jac=lambda theta: _law(theta * unit, sizes, k, features, overlap)[1] * unit,
        bounds=([0.0, 1e-9, *[0.0] * len(columns)], np.inf), xtol=1e-9, ftol=1e-9, gtol=1e-9)
    squares = float(found.fun @ found.fun)
    inverse = np.linalg.pinv(found.jac.T @ found.jac, rcond=SINGULAR, hermitian=True)
    covariance = inverse * np.outer(unit, unit) * squares / freedom
    allowed = float(np.sum(np.maximum(found.fun, 0) ** 2)) + float(t_critical(freedom)) ** 2 * squares / freedom
    largest = _largest(found.x[:2] * unit[:2], sizes, k, features, overlap, logs, allowed) * unit[2:]
    return StepLaw(name, overlap, columns, found.x * unit, covariance, largest, squares, squares / freedom, freedom,
                   len(points))


def _largest(gradient: Floats, sizes: Floats, k: Floats, features: Floats, overlap: float, logs: Floats,
             allowed: float) -> Floats:
    """Each coefficient alone, as a multiple of its unit, at the largest at which the squares of what it puts above the
    measured logarithms stay within `allowed`."""
    computing = gradient[0] + gradient[1] * sizes
    shares = features / np.maximum(features.max(axis=0), 1e-300)
    sync = TRIED[:, None, None] * float(np.median(np.exp(logs) / (k + 1))) * shares.T
    above = np.maximum(np.log(k * computing + _joined(computing, sync, overlap)) - logs, 0)
    fits = np.sum(above ** 2, axis=2) <= allowed
    return np.asarray(np.where(fits, TRIED[:, None], TRIED[0]).max(axis=0))


def _joined(computing: Floats, sync: Floats, overlap: float) -> Floats:
    """(G^y + S^y)^(1/y), elementwise; the larger is taken out, so that no power overflows."""
    larger = np.maximum(computing, sync)
    return np.asarray(larger * ((computing / larger) ** overlap + (sync / larger) ** overlap) ** (1 / overlap))


def _independent(features: Floats) -> list[int]:
    """Columns that say something the earlier ones do not."""
    kept: list[int] = []
    for column in range(features.shape[1]):
        tried = features[:, [*kept, column]]
        scaled = tried / np.maximum(np.abs(tried).max(axis=0), 1e-300)
        if np.linalg.matrix_rank(scaled, tol=1e-9) == len(kept) + 1:
            kept.append(column)
    return kept
