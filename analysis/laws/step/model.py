"""Step time and goodput against replicas and batch (Pollux, Qiao et al. 2021, section 3).

n is the replica batch, R the replicas, k the accumulation micro-steps before the last one, and
M = R n (k + 1) the global batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....benchmarks.errors import RecordError
from ...statistics.curve_fit import CurveFit, fit_curve
from ...statistics.difference import difference, paired_difference
from ...statistics.estimate import exp, LEVEL, Estimate, exponential, Floats, unknown, without_interval
from ...statistics.line import fit_line
from ...statistics.ratio import LAUNCHES

OVERLAP_RANGE = (1.0, 10.0)
# The parameters in the order in which they are fitted; GRADIENT is the first two.
NAMES = ("fixed time of a gradient", "time per example", "local synchronization",
         "local synchronization per replica", "synchronization across nodes",
         "synchronization across nodes per replica", "overlap")
GRADIENT = (0, 1)
LOCAL, ACROSS, OVERLAP = 2, 4, 6


@dataclass(frozen=True)
class StepPoint:
    """One point of the step-time model. `nodes` decides which synchronization cost holds."""

    replicas: int
    nodes: int
    replica_batch: float
    accumulation: int = 0

    @property
    def global_batch(self) -> float:
        """Examples of one optimizer step over all replicas, R n (k + 1)."""
        return self.replicas * self.replica_batch * (self.accumulation + 1)


@dataclass(frozen=True)
class SynchronizationCost:
    """T_sync = intercept + per_replica (R - 2), in seconds."""

    intercept_seconds: float
    seconds_per_replica: float


@dataclass(frozen=True)
class StepModel:
    """T_grad = a + b n; `local` holds on one node, `across` on several; overlap is in [1, 10]
    (1: nothing overlaps, 10: nearly everything)."""

    gradient_intercept_seconds: float
    gradient_seconds_per_example: float
    local: SynchronizationCost
    across: SynchronizationCost
    overlap: float

    def seconds(self, point: StepPoint) -> float:
        """Return the predicted seconds of one step at this point."""
        gradient = (self.gradient_intercept_seconds
                    + self.gradient_seconds_per_example * point.replica_batch)
        return step_seconds(gradient, self.synchronization_seconds(point), point.accumulation,
                            self.overlap)

    def synchronization_seconds(self, point: StepPoint) -> float:
        """Return the seconds of synchronization: 0 on one replica, NaN for a topology that was not measured."""
        if point.replicas == 1:
            return 0.0
        link = self.local if point.nodes == 1 else self.across
        return link.intercept_seconds + link.seconds_per_replica * (point.replicas - 2)

    def examples_per_second(self, point: StepPoint) -> float:
        """Return the predicted throughput over all replicas in examples/s."""
        return point.global_batch / self.seconds(point)


@dataclass(frozen=True)
class StepModelFit:
    """The fitted model over n launches; `note` names what was not measured or is at a bound."""

    model: StepModel
    rms_log_residual: float
    n: int
    note: str
    unit_seconds: Floats = field(repr=False)
    parts: tuple[int, ...] = field(repr=False)
    fit: CurveFit = field(repr=False)

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Parameters that these points determine, by NAMES: seconds, and the exponent of the overlap."""
        return {NAMES[part]: self.fit.parameter(index).scaled(float(self.unit_seconds[part])).within(
            *(OVERLAP_RANGE if part == OVERLAP else (0.0, math.inf))) for index, part in enumerate(self.parts)}

    def predict_seconds(self, point: StepPoint) -> Estimate:
        """Return the step time of one further launch in seconds, with its prediction interval."""
        def log_seconds(theta: Floats) -> float:
            return math.log(_model(theta, self.unit_seconds, self.parts).seconds(point))

        if math.isnan(self.model.seconds(point)):
            return unknown(self.n)
        return exponential(self.fit.derived(log_seconds, new_value=True))


def step_seconds(gradient_seconds: float, synchronization_seconds: float, accumulation: int,
                 overlap: float) -> float:
    """Return T = k T_grad + (T_grad^y + T_sync^y)^(1/y) in seconds (Qiao et al. 2021); NaN where either time is."""
    if math.isnan(gradient_seconds + synchronization_seconds):
        return math.nan
    # The larger one is taken out, so that neither power overflows or vanishes.
    larger = max(gradient_seconds, synchronization_seconds)
    smaller = min(gradient_seconds, synchronization_seconds)
    if larger <= 0:
        return 0.0
    joined = larger * (1 + (smaller / larger) ** overlap) ** (1 / overlap)
    return accumulation * gradient_seconds + joined


def example_worth(noise_scale: Estimate, reference_batch: float, global_batch: float) -> Estimate:
    """Return what an example is worth beside one at the reference batch, (phi + M0)/(phi + M) with phi the noise scale
    (Qiao et al. 2021).

    Over a whole run phi is the average over its progress: the examples to the end are S_min (phi + M). Noise without
    end makes all examples worth the same.
    """
    return noise_scale.transformed(lambda phi: 1 - (global_batch - reference_batch) / (phi + global_batch))


def goodput(examples_per_second: Estimate, worth: Estimate) -> Estimate:
    """Return throughput times the worth of an example (Qiao et al. 2021), with the uncertainty of both.

    The interval adds the half intervals of the two logs in squares on either side; it has none where one of the two
    has none, and n is the smaller one. A worth known for certain, at the reference batch itself, adds nothing.
    """
    value = examples_per_second.value * worth.value
    n = min(examples_per_second.n, worth.n)
    if worth.value == 1 and (worth.low == worth.high or not worth.has_interval):
        return examples_per_second
    if not (examples_per_second.has_interval and worth.has_interval) or examples_per_second.low <= 0:
        return without_interval(value, n)
    below = math.hypot(*(math.log(each.value / each.low) for each in (examples_per_second, worth)))
    above = math.hypot(*(math.log(each.high / each.value) for each in (examples_per_second, worth)))
    return Estimate(value, value * exp(-below), value * exp(above), n)


def exposed_communication(distributed: Mapping[int, float], single: Mapping[int, float],
                          level: float = LEVEL) -> Estimate:
    """Return T(p, n) - T(1, n) in seconds at the same replica batch, launch -> seconds each, paired by launch.

    Exchanging gradients takes no negative time, so the interval begins at 0 or above; a value below 0 with no
    interval says that more replicas were faster at the same work each. Launches that share no number are compared
    after Welch.
    """
    shared = [launch for launch in distributed if launch in single]
    if len(shared) > 1 or min(len(distributed), len(single)) < 2:
        found = paired_difference([distributed[launch] for launch in shared], [single[launch] for launch in shared],
                                  level)
    else:
        found = difference(list(distributed.values()), list(single.values()), level)
    return found.estimate.within(0.0, math.inf).per(LAUNCHES)


def step_times(points: Sequence[StepPoint], seconds: Sequence[float]) -> Floats:
    """Return the times as float[points]. Raises RecordError for times that no law of the step can be fitted to."""
    measured = np.asarray(seconds, dtype=np.float64)
    if len(points) != measured.size or not np.all(measured > 0):
        raise RecordError(f"{len(points)} points and {measured.size} step times; give one positive step time for each "
                          "point.")
    return measured


def fit_step_model(points: Sequence[StepPoint], seconds: Sequence[float],
                   level: float = LEVEL) -> StepModelFit:
    """Fit the step model by unweighted least squares on log step time; all times >= 0, overlap within [1, 10].

    Raises RecordError below two replica batches, or with no more points than parameters.
    """
    measured = step_times(points, seconds)
    if len({point.replica_batch for point in points}) < 2:
        raise RecordError("one replica batch cannot tell a step's fixed time from its time per example; measure a "
                          "second one.")
    parts = _called_for(points)
    if len(points) <= len(parts):
        raise RecordError(f"{len(points)} step times cannot fit {len(parts)} parameters; "
                          f"measure at least {len(parts) + 1} launches.")
    unit = _unit_seconds(points, measured)

    places = {point: index for index, point in enumerate(dict.fromkeys(points))}
    at = np.asarray([places[point] for point in points])

    def residuals(theta: Floats) -> Floats:
        model = _model(theta, unit, parts)
        return np.log([model.seconds(point) for point in places])[at] - np.log(measured)

    starts = [[overlap if part == OVERLAP else 1.0 if part in GRADIENT else 0.3 for part in parts]
              for overlap in (1.5, 4.0)]
    lower, upper = ([end if part == OVERLAP else otherwise for part in parts]
                    for end, otherwise in zip(OVERLAP_RANGE, (0.0, math.inf)))
    fit = fit_curve(residuals, starts, lower, upper, level)
    return StepModelFit(_model(fit.parameters, unit, parts), fit.rms, len(points),
                        _note(parts, fit), unit, parts, fit)


def _called_for(points: Sequence[StepPoint]) -> tuple[int, ...]:
    """Indices into NAMES of the parameters on which these points depend."""
    local = {point.replicas for point in points if point.nodes == 1 and point.replicas > 1}
    across = {point.replicas for point in points if point.nodes > 1}
    parts = [*GRADIENT]
    for first, counts in ((LOCAL, local), (ACROSS, across)):
        parts += [first] if counts else []
        parts += [first + 1] if len(counts) > 1 else []
    return (*parts, OVERLAP) if local or across else tuple(parts)


def _unit_seconds(points: Sequence[StepPoint], seconds: Floats) -> Floats:
    """Units, float[7], in which all parameters are of the order of 1."""
    per_micro_step = seconds / [point.accumulation + 1 for point in points]
    sizes = np.asarray([point.replica_batch for point in points], dtype=np.float64)
    line = fit_line(sizes, per_micro_step, relative_errors=True)
    typical = float(np.median(per_micro_step))
    slope = line.slope.value if line.slope.value > 0 else typical / float(np.median(sizes))
    fixed = max(line.intercept.value, 0.1 * typical) if line.intercept.value > 0 else typical
    return np.asarray([fixed, slope, typical, typical, typical, typical, 1.0])


def _model(theta: Floats, unit_seconds: Floats, parts: tuple[int, ...]) -> StepModel:
    """Return the model; its cost per replica is 0 where one replica count was seen, an unseen topology is NaN."""
    values = np.full(len(NAMES), np.nan)
    values[[index + 1 for index in (LOCAL, ACROSS) if index in parts]] = 0.0
    values[OVERLAP] = OVERLAP_RANGE[0]
    values[list(parts)] = np.asarray(theta) * unit_seconds[list(parts)]
    a, b, local, local_each, across, across_each, overlap = (float(value) for value in values)
    return StepModel(a, b, SynchronizationCost(local, local_each),
                     SynchronizationCost(across, across_each), overlap)


def _note(parts: tuple[int, ...], fit: CurveFit) -> str:
    absent = [NAMES[index] for index in range(OVERLAP) if index not in parts]
    held = [NAMES[index] for index, bound in zip(parts, fit.at_bound) if bound]
    notes = [f"not measured: {', '.join(absent)}"] if absent else []
    if held:
        notes.append(f"at its bound: {', '.join(held)}")
    if not fit.has_covariance:
        notes.append("these points cannot tell the parameters apart, so predictions have no "
                     "interval: vary replicas and replica batch more widely")
    return "; ".join(notes)
