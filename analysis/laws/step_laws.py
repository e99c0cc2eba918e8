"""Step time at replica counts not measured: several laws of the step, and the interval that all of them leave.

T = k G + (G^y + S^y)^(1/y) (Qiao et al. 2021), with G and S linear in the features of `synchronization`. Measured
points seldom tell the forms of S and the overlap y apart, so each pair is fitted, and a prediction spans all that fit
as well as the best. A form with more coefficients speaks only where the simpler ones are rejected, or beside them when
it has one more: with every form at once, a few points would tell nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import fmean, harmonic_mean

import numpy as np
from scipy import stats

from ...benchmarks.errors import RecordError
from ..statistics.curve_fit import exponential
from ..statistics.estimate import LEVEL, Estimate, Floats, t_critical, unknown
from .many_fits import fit_many
from .step_model import step_times, StepPoint
from .synchronization import FEATURES, independent, Shape, shapes, SINGLE_TERMS

OVERLAPS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
# Below it the laws of two terms leave intervals that say nothing, and those of one term are fitted as well.
ENOUGH_FREEDOM = 2
# The level at which plain laws are rejected in favour of compute that slows; low, as what is missed grows with replicas.
ENOUGH_EVIDENCE = 0.8
SINGULAR = 1e-10
# Multiples of a typical step that a coefficient's share of synchronization is tried at; 12 % apart above 0.2.
TRIED = np.concatenate([np.geomspace(1e-3, 0.2, 12), np.geomspace(0.22, 20, 40)])


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
        computing, features, k = _design(self.shape, [point], self.compute, self.columns)
        logs, slopes = _law(self.parameters[None], computing[None], k, features[None], np.asarray([self.overlap]),
                            None if given is None else np.asarray([[given]]))
        value, slope = float(logs[0, 0]), slopes[0, 0]
        variance = float(slope @ self.covariance @ slope) + self.residual_variance * launch
        half = _t(self.degrees_of_freedom) * math.sqrt(variance)
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


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A form and the features of its kept columns at the measured points, float[points, columns]; `k`: micro-steps
    before the last, float[points]."""

    shape: Shape
    own: tuple[int, ...]
    columns: tuple[int, ...]
    freedom: int
    computing: Floats
    features: Floats
    k: Floats

    @property
    def sizes(self) -> Floats:
        """What a column of compute is at a usual point: where it is not at all of them, at the largest."""
        return np.asarray([np.median(values) if column < 2 else values.max()
                           for column, values in zip(self.own, self.computing.T)])


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A form at one overlap: `theta` in multiples of `unit`, and the residuals and slopes there."""

    candidate: _Candidate
    overlap: float
    theta: Floats
    unit: Floats
    residuals: Floats
    slopes: Floats

    @property
    def squares(self) -> float:
        return float(self.residuals @ self.residuals)

    @property
    def freedom(self) -> int:
        return self.candidate.freedom

    def law(self, logs: Floats) -> StepLaw:
        """The law with its uncertainty; `logs`: of the measured seconds."""
        of, squares, variance = self.candidate, self.squares, self.squares / self.freedom
        inverse = np.linalg.pinv(self.slopes.T @ self.slopes, rcond=SINGULAR, hermitian=True)
        allowed = float(np.sum(np.maximum(self.residuals, 0) ** 2)) + _t(self.freedom) ** 2 * variance
        parameters, own = self.theta * self.unit, len(of.own)
        largest = _largest(of.computing @ parameters[:own], of.k, of.features, self.overlap, logs, allowed)
        return StepLaw(of.shape, self.overlap, of.own, of.columns, parameters,
                       inverse * np.outer(self.unit, self.unit) * variance, largest * self.unit[own:], squares,
                       variance, self.freedom, len(logs))


@dataclass(frozen=True)
class StepLaws:
    """All laws that these launches cannot tell from the best, which is first, and the points measured. `widening`
    multiplies the half widths of intervals, on a log scale."""

    laws: tuple[StepLaw, ...]
    points: tuple[StepPoint, ...] = field(repr=False)
    widening: float = 1.0

    def predict_seconds(self, point: StepPoint, synchronization_seconds: Callable[[StepLaw], float] | None = None,
                        launch: bool = True) -> Estimate:
        """Predict the step time of one further launch: the best law's, within the interval that spans all laws.

        `launch` false: of the mean of many launches. Unknown where no law is determined at the point.
        """
        fitting = [law for law in self.laws if self._speaks(law, point, synchronization_seconds is not None)]
        if not fitting:
            return unknown(self.laws[0].n)
        found = [law.log_seconds(point, synchronization_seconds(law) if synchronization_seconds else None, launch)
                 for law in fitting]
        middle = found[0].value
        low, high = min(each.low for each in found), max(each.high for each in found)
        return exponential(Estimate(middle, middle - (middle - low) * self.widening,
                                    middle + (high - middle) * self.widening, found[0].n))

    def widened(self, factor: float) -> StepLaws:
        """Return the same laws with intervals wider by this factor, on a log scale; never narrower."""
        return replace(self, widening=self.widening * max(1.0, factor))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the laws, the best first."""
        return tuple(dict.fromkeys(law.shape.name for law in self.laws))

    def _speaks(self, law: StepLaw, point: StepPoint, known: bool) -> bool:
        """A law whose synchronization is known needs its compute alone, as on one replica."""
        at = StepPoint(1, 1, point.replica_batch) if known else point
        return law.shape.applies(at) and law.shape.estimable(self.points, at)


def fit_step_laws(points: Sequence[StepPoint], seconds: Sequence[float]) -> StepLaws:
    """Fit every law by unweighted least squares on log step time, one point per launch.

    Kept are the laws that surprise no more than the plainest that is not rejected against the best of all, and whose
    residuals are within the F bound of the best among them, one degree of freedom (a profile over the overlap).
    Intervals are widened until they hold the mean of every measured point. Raises RecordError where no law leaves a
    degree of freedom.
    """
    measured = step_times(points, seconds)
    overlaps = OVERLAPS if len({point.replica_batch for point in points}) > 1 else OVERLAPS[:1]
    candidates: list[_Candidate] = []
    for forms in (FEATURES, SINGLE_TERMS):
        if max((candidate.freedom for candidate in candidates), default=0) < ENOUGH_FREEDOM:
            candidates += [candidate for shape in shapes(points, forms)
                           if (candidate := _candidate(shape, points, len(overlaps) > 1)) is not None]
    if not candidates:
        raise RecordError(f"{len(points)} step times cannot fit a law of the step; measure more launches, batches or "
                          "replica counts.")
    fitted = sorted(_fit_all(candidates, overlaps, measured), key=lambda one: one.squares)
    plainest = min(one.candidate.shape.surprise for one in fitted if not _rejected(one, fitted[0], ENOUGH_EVIDENCE))
    allowed = [one for one in fitted if one.candidate.shape.surprise <= plainest]
    logs = np.log(measured)
    laws = StepLaws(tuple(one.law(logs) for one in allowed if not _rejected(one, allowed[0], LEVEL)),
                    tuple(dict.fromkeys(points)))
    return laws.widened(_misfit(laws, points, measured))


def _rejected(one: _Fitted, best: _Fitted, level: float) -> bool:
    """Whether the best explains more than its further coefficients, at least one, would by chance (F test)."""
    more = max(1, one.freedom - best.freedom)
    bound = 1 + more * _f(level, more, best.freedom) / best.freedom
    return one.squares > bound * max(best.squares, 1e-18)


@lru_cache(maxsize=1000)  # SciPy's quantiles take longer than a fit
def _f(level: float, more: int, freedom: int) -> float:
    return float(stats.f.ppf(level, more, freedom))


@lru_cache(maxsize=1000)
def _t(freedom: int) -> float:
    return float(t_critical(freedom))


def _misfit(laws: StepLaws, points: Sequence[StepPoint], measured: Floats) -> float:
    """The largest distance of a measured point's mean, of its time or of its rate, from its prediction, in half
    widths of the interval there."""
    seconds: dict[StepPoint, list[float]] = {}
    for point, value in zip(points, measured):
        seconds.setdefault(point, []).append(float(value))
    return max(half_widths(laws.predict_seconds(point), middle) for point, own in seconds.items()
               for middle in (fmean(own), harmonic_mean(own)))


def half_widths(predicted: Estimate, measured: float) -> float:
    """Return how far a measured value lies from a predicted one, in half widths of its interval on a log scale."""
    end = predicted.high if measured > predicted.value else predicted.low
    half = abs(math.log(end / predicted.value)) if predicted.has_interval and end > 0 else math.nan
    return abs(math.log(measured / predicted.value)) / half if half > 0 else 1.0


def _design(shape: Shape, points: Sequence[StepPoint], compute: Sequence[int],
            columns: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """The kept features of compute and of synchronization, and micro-steps before the last, float[points]."""
    computing, synchronization = shape.columns(points)
    return (np.asarray(computing[:, list(compute)]), np.asarray(synchronization[:, list(columns)]),
            np.asarray([point.accumulation for point in points], dtype=np.float64))


def _law(theta: Floats, computing: Floats, k: Floats, features: Floats, overlaps: Floats,
         given: Floats | None = None) -> tuple[Floats, Floats]:
    """log T, float[laws, points], and its derivatives, float[laws, points, parameters]; `given` replaces S."""
    own, power = computing.shape[2], overlaps[:, None]
    gradient = np.einsum("lpc,lc->lp", computing, theta[:, :own])
    sync = np.einsum("lpc,lc->lp", features, theta[:, own:]) if given is None else given
    joined = _joined(gradient, sync, power)
    total = k * gradient + joined
    by_gradient = (k + (gradient / joined) ** (power - 1)) / total
    by_sync = (sync / joined) ** (power - 1) / total if given is None else np.zeros_like(total)
    return np.log(total), np.concatenate([computing * by_gradient[:, :, None], features * by_sync[:, :, None]], axis=2)


def _candidate(shape: Shape, points: Sequence[StepPoint], overlaps: bool) -> _Candidate | None:
    """The form with the columns that these points tell apart; None when no degree of freedom is left beside the
    parameters and the overlap, or when the slowing of compute that it is named for does not show in them."""
    compute, synchronization = shape.columns(points)
    own, columns = tuple(independent(compute)), tuple(independent(synchronization))
    freedom = len(points) - len(own) - len(columns) - (bool(columns) and overlaps)
    if freedom < 1 or bool(shape.compute) != any(column > 1 for column in own):
        return None
    return _Candidate(shape, own, columns, freedom, *_design(shape, points, own, columns))


def _fit_all(candidates: Sequence[_Candidate], overlaps: Sequence[float], measured: Floats) -> Iterator[_Fitted]:
    """Fit every form at every overlap, all at once; what one lacks in columns is filled with zeros."""
    logs, k = np.log(measured), candidates[0].k
    typical = float(np.median(measured / (k + 1)))
    both = [(candidate, overlap) for candidate in candidates for overlap in overlaps]
    widest = [max(part.shape[1] for part in parts) for parts in zip(*((c.computing, c.features) for c in candidates))]
    computing, features = (np.stack([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])
                           for width, parts in zip(widest, zip(*((c.computing, c.features) for c, _ in both))))
    powers = np.asarray([overlap for _, overlap in both])
    scales = np.stack([np.hstack([_padded(c.sizes, widest[0]), _padded(c.features.max(axis=0), widest[1])])
                       for c, _ in both])
    unit = typical / np.where(scales > 0, scales, typical)
    lowest = np.zeros_like(unit)
    for index, (candidate, _) in enumerate(both):
        lowest[index, max(i for i, column in enumerate(candidate.own) if column < 2)] = 1e-9

    def problems(theta: Floats) -> tuple[Floats, Floats]:
        found, slopes = _law(theta * unit, computing, k, features, powers)
        return found - logs, slopes * unit[:, None, :]

    start = np.where(scales > 0, np.where(np.arange(unit.shape[1]) < 2, 0.5, 0.2), 0.0)
    theta = fit_many(problems, start, lowest)
    residuals, slopes = problems(theta)
    for index, (candidate, overlap) in enumerate(both):
        used = [*range(len(candidate.own)), *(widest[0] + i for i in range(len(candidate.columns)))]
        yield _Fitted(candidate, overlap, theta[index, used], unit[index, used], residuals[index],
                      slopes[index][:, used])


def _padded(values: Floats, width: int) -> Floats:
    return np.pad(values, (0, width - len(values)))


def _largest(computing: Floats, k: Floats, features: Floats, overlap: float, logs: Floats, allowed: float) -> Floats:
    """Each coefficient alone, as a multiple of its unit, at the largest at which the squares of what it puts above the
    measured logarithms stay within `allowed`."""
    shares = features / np.maximum(features.max(axis=0), 1e-300)
    sync = TRIED[:, None, None] * float(np.median(np.exp(logs) / (k + 1))) * shares.T
    above = np.maximum(np.log(k * computing + _joined(computing, sync, overlap)) - logs, 0)
    fits = np.sum(above ** 2, axis=2) <= allowed
    return np.asarray(np.where(fits, TRIED[:, None], TRIED[0]).max(axis=0))


def _joined(computing: Floats, sync: Floats, overlap: float | Floats) -> Floats:
    """(G^y + S^y)^(1/y), elementwise; the larger is taken out, so that no power overflows."""
    larger = np.maximum(computing, sync)
    return np.asarray(larger * ((computing / larger) ** overlap + (sync / larger) ** overlap) ** (1 / overlap))
