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
from statistics import fmean, harmonic_mean

import numpy as np

from ....benchmarks.errors import RecordError
from ...statistics.distributions import f_quantile
from ...statistics.estimate import LEVEL, Estimate, exponential, Floats, unknown
from .many_fits import fit_many
from .model import step_times, StepPoint
from .one_law import design, joined, log_times, StepLaw, student
from .synchronization import CONGESTED, FEATURES, PER_REPLICA, SINGLE_TERMS, independent, Shape, shapes

OVERLAPS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
# Below it the laws of two terms leave intervals that say nothing, and those of one term are fitted as well.
ENOUGH_FREEDOM = 2
# The level at which plain laws are rejected in favour of compute that slows; low, as what it misses grows with p.
ENOUGH_EVIDENCE = 0.8
SINGULAR = 1e-10
# Multiples of a typical step that a coefficient's share of synchronization is tried at; 12 % apart above 0.2.
TRIED = np.concatenate([np.geomspace(1e-3, 0.2, 12), np.geomspace(0.22, 20, 40)])


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
        allowed = float(np.sum(np.maximum(self.residuals, 0) ** 2)) + student(self.freedom) ** 2 * variance
        parameters, own = self.theta * self.unit, len(of.own)
        largest = _largest(of.computing @ parameters[:own], of.k, of.features, self.overlap, logs, allowed)
        return StepLaw(of.shape, self.overlap, of.own, of.columns, parameters,
                       inverse * np.outer(self.unit, self.unit) * variance, largest * self.unit[own:], squares,
                       variance, self.freedom, len(logs))


@dataclass(frozen=True)
class StepLaws:
    """All laws that these launches cannot tell from the best, which is first, and the points measured. `widening`
    multiplies the half widths of intervals, on a log scale; `missed` is an error of the laws themselves, beside those
    of their parameters, as a half width there."""

    laws: tuple[StepLaw, ...]
    points: tuple[StepPoint, ...] = field(repr=False)
    widening: float = 1.0
    missed: float = 0.0

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
        return exponential(Estimate(middle, middle - math.hypot((middle - low) * self.widening, self.missed),
                                    middle + math.hypot((high - middle) * self.widening, self.missed), found[0].n))

    def widened(self, factor: float) -> StepLaws:
        """Return the same laws with intervals wider by this factor, on a log scale; never narrower."""
        return replace(self, widening=self.widening * max(1.0, factor))

    def missing(self, half_width: float) -> StepLaws:
        """Return the same laws with this error of their own in every interval, independent of the parameters'; on a log
        scale."""
        return replace(self, missed=half_width)

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
    logs, fitted = np.log(measured), sorted(_fit_all(candidates, overlaps, measured), key=lambda one: one.squares)
    laws = StepLaws(tuple(one.law(logs) for one in _kept(fitted)), tuple(dict.fromkeys(points)))
    return laws.widened(_misfit(laws, points, measured))


def _kept(fitted: Sequence[_Fitted]) -> list[_Fitted]:
    """The laws that the best of all leaves, from the best on. Where only a straight line over the replicas is left of
    the plain ones, no pattern of messages explains it, and a link that congests can look like one: it speaks too."""
    plainest = min(one.candidate.shape.surprise for one in fitted if not _rejected(one, fitted[0], ENOUGH_EVIDENCE))
    allowed = [one for one in fitted if one.candidate.shape.surprise <= plainest]
    kept = [one for one in allowed if not _rejected(one, allowed[0], LEVEL)]
    if all(one.candidate.shape.synchronization == PER_REPLICA for one in kept):
        kept += [one for one in fitted if one not in allowed and one.candidate.shape.synchronization == CONGESTED
                 and not _rejected(one, fitted[0], LEVEL)]
    return kept


def _rejected(one: _Fitted, best: _Fitted, level: float) -> bool:
    """Whether the best explains more than its further coefficients, at least one, would by chance (F test)."""
    more = max(1, one.freedom - best.freedom)
    bound = 1 + more * float(f_quantile(level, more, best.freedom)) / best.freedom
    return one.squares > bound * max(best.squares, 1e-18)


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


def _candidate(shape: Shape, points: Sequence[StepPoint], overlaps: bool) -> _Candidate | None:
    """The form with the columns that these points tell apart; None when no degree of freedom is left beside the
    parameters and the overlap, or when the slowing of compute that it is named for does not show in them."""
    compute, synchronization = shape.columns(points)
    own, columns = tuple(independent(compute)), tuple(independent(synchronization))
    freedom = len(points) - len(own) - len(columns) - (bool(columns) and overlaps)
    if freedom < 1 or bool(shape.compute) != any(column > 1 for column in own):
        return None
    return _Candidate(shape, own, columns, freedom, *design(shape, points, own, columns))


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
        found, slopes = log_times(theta * unit, computing, k, features, powers)
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
    above = np.maximum(np.log(k * computing + joined(computing, sync, overlap)) - logs, 0)
    fits = np.sum(above ** 2, axis=2) <= allowed
    return np.asarray(np.where(fits, TRIED[:, None], TRIED[0]).max(axis=0))
