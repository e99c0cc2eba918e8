"""The noise scale over a training run, pooled over seeds (McCandlish et al. 2018, appendix D).

A step at batch B makes 1/(1 + B_noise/B) of the progress ds of a step without noise, and takes B examples. A run to the
end therefore takes S = S_min + E_min/B steps with S_min = integral ds and E_min = integral B_noise ds, and its critical
batch is B_crit = integral B_noise ds / integral ds. Along a run at batch B, ds = dS/(1 + B_noise/B), so that with
B_noise = T/G (T the trace of the gradient covariance, G the squared gradient)

    B_crit = integral T/M dS / integral G/M dS,   M = G + T/B,

a ratio of two integrals over the steps S, both linear in what is measured; M is the squared norm of the run's own
gradients. Neither integral divides by a G that may be lost in noise, and seeds are averaged before the one division.
Between two probes T and G are taken to be straight lines, and T/M and G/M what follows from them: where T grows, G/M
falls along a curve that bends so much between two epochs that a straight line of it is off by more than an interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..statistics.estimate import LEVEL, Estimate, Floats, t_critical, unknown, without_interval
from ..statistics.ratio import fieller_interval
from .noise_scale import estimate_probes, largest_probes

# The share of the steps, at the end of a run, over which its last noise scale is averaged.
LAST = 0.1
_nodes, _shares = np.polynomial.legendre.leggauss(8)
PLACES, SHARES = (_nodes + 1) / 2, _shares / 2
"""Gauss and Legendre's places between two probes, 0 to 1, and their shares."""


@dataclass(frozen=True)
class NoiseScale:
    """B_simple in examples: averaged over the run, at its first probed step, and over the last tenth of its steps.

    n counts seeds; intervals are Fieller's, of the ratio of the seeds' means. Where the gradient cannot be told from
    its noise a value has no interval (no value where |G|^2 <= 0); `least` is then the lower end of the average's.
    `curve` is the scale at each probed step, (step, value).
    """

    average: Estimate
    start: Estimate
    end: Estimate
    least: float
    first_step: int
    last_step: int
    curve: tuple[tuple[float, Estimate], ...]
    note: str

    @property
    def interval_text(self) -> str:
        """The reason for which the average has no interval; empty where it has one."""
        if self.average.has_interval or self.average.n == 0:
            return ""
        if self.average.n == 1:
            return "one seed, so no interval"
        bound = f"; it is at least {self.least:,.0f}" if self.least > 0 else ""
        return f"no interval, as the gradient cannot be told from its noise{bound}"

    def to_json(self) -> dict[str, object]:
        """Return the estimates, the steps they stand for and what is said of them."""
        return {"average": self.average.to_json(), "start": self.start.to_json(), "end": self.end.to_json(),
                "at_least": self.least if self.least > 0 else None, "first_step": self.first_step,
                "last_step": self.last_step, "note": self.note,
                "curve": [{"step": step, **value.to_json()} for step, value in self.curve]}


@dataclass(frozen=True)
class _Measured:
    """Probed steps float[steps], trace and squared gradient of each seed float[seeds, steps], and the run's batch."""

    steps: Floats
    traces: Floats
    squares: Floats
    batch: float

    def between(self, first: float, last: float) -> _Measured:
        """Return the probed steps from `first` to `last`."""
        inside = (self.steps >= first) & (self.steps <= last)
        return _Measured(self.steps[inside], self.traces[:, inside], self.squares[:, inside], self.batch)

    def until(self, last: float) -> _Measured:
        """Return the steps up to `last`, which lies on a straight line between the probes around it."""
        last = min(max(last, float(self.steps[0])), float(self.steps[-1]))
        steps = np.unique(np.append(self.steps[self.steps < last], last))
        traces, squares = (np.array([np.interp(steps, self.steps, own) for own in part])
                           for part in (self.traces, self.squares))
        return _Measured(steps, traces, squares, self.batch)

    def integrals(self) -> tuple[Floats, Floats]:
        """Return integral T/M dS and integral G/M dS of each seed, float[seeds]; M is pooled over the seeds."""
        trace, square = (np.maximum(part.mean(axis=0), 0.0) for part in (self.traces, self.squares))
        weights = _weights(self.steps, square + trace / self.batch)
        return self.traces @ weights, self.squares @ weights


def noise_scale(rows: pd.DataFrame, examples: int, batch: int, until: float = math.inf,
                level: float = LEVEL) -> NoiseScale:
    """Return the noise scale of one arm's runs at `batch` examples a step, with `examples` in the training data.

    rows: probe rows with their seed, COLUMNS of `noise_scale`; steps that some seed lacks are left out. until: the
    last step that counts, such as that at which a target is passed. Raises RecordError for absent columns.
    """
    probes = largest_probes(estimate_probes(rows, examples))
    traces, squares = (probes.pivot(index="seed", columns="step", values=name).dropna(axis=1)
                       for name in ("noise_trace", "gradient_norm_squared"))
    if squares.empty:
        nothing = unknown(len(squares))
        return NoiseScale(nothing, nothing, nothing, 0.0, 0, 0, (), "no step was probed in all seeds")
    measured = _Measured(squares.columns.to_numpy(np.float64), traces.to_numpy(np.float64),
                         squares.to_numpy(np.float64), float(batch))
    measured = measured.until(until)
    first, last = float(measured.steps[0]), float(measured.steps[-1])
    average, least = _scale(measured, level)
    end, _ = _scale(measured.between(last * (1 - LAST), last), level)
    curve = tuple((float(step), _scale(measured.between(step, step), level)[0]) for step in measured.steps)
    made = NoiseScale(average, curve[0][1], end, least, int(first), round(last), curve, "")
    return NoiseScale(**{**vars(made), "note": made.interval_text})


def _weights(steps: Floats, own: Floats) -> Floats:
    """Return the weights float[steps] by which values at these steps sum to the integral of values/own dS, where both
    are straight lines from step to step; 1/own of a single step. Steps at which `own` is 0 weigh nothing."""
    if steps.size < 2:
        return np.divide(1.0, own, out=np.zeros_like(own), where=own > 0)
    between = own[:-1, None] * (1 - PLACES) + own[1:, None] * PLACES
    parts = np.divide(np.diff(steps)[:, None] * SHARES, between, out=np.zeros_like(between), where=between > 0)
    weights = np.zeros_like(own)
    weights[:-1] += parts @ (1 - PLACES)
    weights[1:] += parts @ PLACES
    return weights


def _scale(measured: _Measured, level: float) -> tuple[Estimate, float]:
    return positive_ratio(*measured.integrals(), level)


def positive_ratio(numerators: Floats, denominators: Floats, level: float = LEVEL) -> tuple[Estimate, float]:
    """Return the ratio of the means of paired values, float[n] each, of which it is known that it is positive, and the
    lower end of its interval.

    The interval is Fieller's, cut at zero. Where the denominator cannot be told from zero there is no upper end: the
    estimate then has no interval, and no value either where the denominator's mean is not positive.
    """
    n, above, below = numerators.size, float(np.mean(numerators)), float(np.mean(denominators))
    value = max(above, 0.0) / below if below > 0 else math.nan
    if n < 2:
        return without_interval(value, n), 0.0
    spread = np.cov(numerators, denominators) / n
    t = float(t_critical(n - 1, level))
    parts = float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])
    low, high = fieller_interval(above, below, *parts, t)
    if math.isnan(low) or not value > 0 or low == high:
        return without_interval(value, n), _lower_end(above, below, parts, t)
    return Estimate(value, max(low, 0.0), high, n), max(low, 0.0)


def _lower_end(above: float, below: float, parts: tuple[float, float, float], t: float) -> float:
    """Return the lower end of Fieller's unbounded set on the positive side; 0 where it holds all positive values."""
    square = below ** 2 - t ** 2 * parts[1]
    cross, constant = above * below - t ** 2 * parts[2], above ** 2 - t ** 2 * parts[0]
    inside = cross ** 2 - square * constant
    if not square < 0 or not inside > 0:
        return 0.0
    roots = sorted((cross + sign * math.sqrt(inside)) / square for sign in (1.0, -1.0))
    return roots[1] if roots[0] <= 0 < roots[1] else 0.0
