"""Throughput against replicas: Amdahl's law and the Universal Scalability Law.

X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1)): alpha is contention, beta coherency
(Gunther 2007); Amdahl's law is beta = 0 and alpha its serial share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...benchmarks.errors import RecordError
from ..statistics.curve_fit import CurveFit, fit_curve, LACK_OF_FIT, lack_of_fit
from ..statistics.estimate import LEVEL, Estimate, exponential, finite_values, Floats, unknown

DISTINCT_COUNTS = 4


@dataclass(frozen=True)
class ScalabilityLaw:
    """Fitted coefficients; gamma in examples/s per replica, peak_replicas is N* (infinite without coherency).

    Numbers are NaN, and `note` says why, where the points do not determine them. lack_of_fit: the p value of the F test
    of the law against the mean of each count's launches; NaN without repeats, or with no more counts than parameters.
    """

    contention: Estimate
    coherency: Estimate
    single_throughput: Estimate
    peak_replicas: Estimate
    rms_residual: float
    note: str
    lack_of_fit: float = math.nan
    scale: float = field(default=math.nan, repr=False)
    fit: CurveFit | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, object]:
        """Return the coefficients, where throughput is greatest, and whether the law fits; unbounded is null."""
        return {"contention": self.contention.to_json(), "coherency": self.coherency.to_json(),
                "single_replica_throughput": self.single_throughput.to_json(),
                "peak_replicas": self.peak_replicas.to_json(),
                "lack_of_fit_p_value": self.lack_of_fit if math.isfinite(self.lack_of_fit) else None,
                "note": self.note}

    def predict(self, replicas: float) -> Estimate:
        """Return the throughput of one further launch in examples/s, with its prediction interval."""
        if self.fit is None:
            return unknown(self.contention.n)
        relative = self.fit.derived(
            lambda theta: float(scalable_throughput(replicas, *_three(theta))), new_value=True)
        return relative.scaled(self.scale).within(0.0, math.inf)


def scalable_throughput(replicas: float | Floats, contention: float, coherency: float,
                        single_throughput: float) -> Floats:
    """Return X(N) of the Universal Scalability Law (Gunther 2007), elementwise, in the unit of `single_throughput`."""
    count = np.asarray(replicas, dtype=np.float64)
    return np.asarray(single_throughput * count / (
        1 + contention * (count - 1) + coherency * count * (count - 1)))


def peak_replicas(contention: float, coherency: float) -> float:
    """Return N* = sqrt((1 - alpha)/beta), where throughput is greatest (Gunther 2007); infinite without coherency."""
    return math.sqrt((1 - contention) / coherency) if coherency > 0 else math.inf


def fit_usl(replicas: Sequence[float] | Floats, examples_per_second: Sequence[float] | Floats,
            level: float = LEVEL) -> ScalabilityLaw:
    """Fit the Universal Scalability Law by unweighted least squares on X (not log X).

    Bounds: alpha and beta in [0, 1], gamma >= 0. Raises RecordError for unequal lengths and impossible values.
    """
    return _fit(replicas, examples_per_second, 3, level)


def fit_amdahl(replicas: Sequence[float] | Floats, examples_per_second: Sequence[float] | Floats,
               level: float = LEVEL) -> ScalabilityLaw:
    """Fit Amdahl's law, the Universal Scalability Law without coherency: contention is the serial share.

    Raises RecordError for unequal lengths and impossible values.
    """
    return _fit(replicas, examples_per_second, 2, level)


def _fit(replicas: Sequence[float] | Floats, throughput: Sequence[float] | Floats,
         free: int, level: float) -> ScalabilityLaw:
    counts, rates = finite_values(replicas, "replicas"), finite_values(throughput, "throughput")
    if counts.size != rates.size or np.any(counts < 1) or np.any(rates <= 0):
        raise RecordError(f"{counts.size} replica counts and {rates.size} throughputs; "
                          "give one positive throughput for each count of 1 or more.")
    distinct = np.unique(counts).size
    if distinct < DISTINCT_COUNTS:
        nothing = unknown(counts.size)
        return ScalabilityLaw(nothing, nothing, nothing, nothing, math.nan,
                              f"not enough points: {distinct} distinct replica counts, "
                              f"the law needs {DISTINCT_COUNTS}")
    # Only the unit changes: least squares on X and on X/scale have the same minimum.
    scale = float(np.max(rates / counts))

    def residuals(theta: Floats) -> Floats:
        return scalable_throughput(counts, *_three(theta)) - rates / scale

    starts = [[1.0, alpha, beta][:free] for alpha in (0.01, 0.3) for beta in (1e-4, 1e-2)]
    fit = fit_curve(residuals, starts, [0.0] * free, [np.inf, 1.0, 1.0][:free], level)
    return _law(fit, scale, free, lack_of_fit(counts, fit.residuals, free - sum(fit.at_bound)))


def _three(theta: Floats) -> tuple[float, float, float]:
    """Return (alpha, beta, gamma) of the fitted (gamma, alpha[, beta])."""
    return float(theta[1]), float(theta[2]) if len(theta) > 2 else 0.0, float(theta[0])


def _law(fit: CurveFit, scale: float, free: int, p_value: float) -> ScalabilityLaw:
    n = fit.residuals.size
    alpha, beta, _ = _three(fit.parameters)
    coherency = fit.parameter(2) if free > 2 else Estimate(0.0, math.nan, math.nan, n)
    peak = Estimate(peak_replicas(alpha, beta), math.nan, math.nan, n)
    if free > 2 and not fit.at_bound[2] and alpha < 1:
        peak = exponential(fit.derived(
            lambda theta: math.log(peak_replicas(float(theta[1]), float(theta[2])))))
    names = ("single-replica throughput", "contention", "coherency")
    held = [name for name, bound in zip(names, fit.at_bound) if bound]
    note = f"at its bound, so without an interval: {', '.join(held)}" if held else ""
    if p_value < LACK_OF_FIT:
        note = "; ".join(part for part in (f"the law does not fit (lack of fit: p = {p_value:.2g}), so its "
                                           "intervals do not hold", note) if part)
    return ScalabilityLaw(fit.parameter(1).within(0.0, 1.0), coherency.within(0.0, 1.0),
                          fit.parameter(0).scaled(scale).within(0.0, math.inf), peak, fit.rms * scale, note, p_value,
                          scale, fit)
