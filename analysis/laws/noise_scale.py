"""Gradient noise scale from raw norms (McCandlish et al. 2018, appendix A).

A probe row holds: step; batch, the b examples of one group; count, the k disjoint groups;
mean_norm_squared, the mean over groups of |g_b|^2; norm_squared_of_mean, |mean over groups|^2,
which is the squared norm of a gradient over k b examples. Norms are taken before clipping and
weight decay and after the loss scale is undone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...benchmarks.errors import RecordError
from ..statistics.estimate import Floats

COLUMNS = ("step", "batch", "count", "mean_norm_squared", "norm_squared_of_mean")
SLOPE_BATCHES = 4
CAVEATS = (
    "It depends on the learning rate being well tuned.",
    "It grows during training: compare equal points of training, and averages with averages.",
    "It says nothing of generalization.",
    "A factor of ten away from published values is a bug or an untuned rate.",
)
# McCandlish et al. 2018: B_simple averaged over a run, at its start, and B_crit from steps.
PUBLISHED = {"mnist": (900, 50, 200), "cifar10": (2000, 400, 900)}


@dataclass(frozen=True)
class TwoBatch:
    """One estimate of |G|^2 and of the noise trace tr(Sigma) per example; both may be negative."""

    gradient_norm_squared: float
    noise_trace: float

    @property
    def noise_scale(self) -> float:
        """B_simple in examples; NaN while |G|^2 <= 0, never clipped."""
        if not self.gradient_norm_squared > 0:
            return math.nan
        return self.noise_trace / self.gradient_norm_squared


def two_batch(small_batch: float, small_norm_squared: float, big_batch: float,
              big_norm_squared: float, examples: int | None = None) -> TwoBatch:
    """Estimate |G|^2 and tr(Sigma) from |g_b|^2 and |g_B|^2 with b < B (McCandlish et al. 2018, appendix A).

    `examples` is N where the groups were drawn without replacement from N examples; the bias -tr(Sigma)/N of |G|^2 is
    then removed (derived from Var(g_b) = tr(Sigma) (1/b - 1/N)). Raises RecordError unless 0 < b < B.
    """
    b, small, larger, big = (np.array([value], np.float64) for value in (small_batch, small_norm_squared, big_batch,
                                                                         big_norm_squared))
    squared, trace = _two_batches(b, small, larger, big, examples)
    return TwoBatch(float(squared[0]), float(trace[0]))


def _two_batches(small_batch: Floats, small: Floats, big_batch: Floats, big: Floats,
                 examples: int | None) -> tuple[Floats, Floats]:
    """|G|^2 and tr(Sigma), float[n] each, as `two_batch` estimates them."""
    for one, two in zip(small_batch, big_batch):
        if not 0 < one < two:
            raise RecordError(f"batches {one:g} and {two:g}: the first must be the smaller "
                              "and positive; a noise scale needs at least 2 groups.")
    trace = (small - big) / (1 / small_batch - 1 / big_batch)
    squared = (big_batch * big - small_batch * small) / (big_batch - small_batch)
    return squared + (trace / examples if examples else 0.0), trace


def covariance_trace(count: int, mean_norm_squared: float, norm_squared_of_mean: float) -> float:
    """Return the unbiased tr Cov(g_b) of k groups, k/(k-1) (mean |g|^2 - |mean g|^2); NaN for one group."""
    if count < 2:
        return math.nan
    return count / (count - 1) * (mean_norm_squared - norm_squared_of_mean)


def estimate_probes(rows: pd.DataFrame, examples: int | None = None) -> pd.DataFrame:
    """Return the finite rows of at least 2 groups, ordered by step, with the estimates of each in float64.

    The columns added are gradient_norm_squared, noise_trace and covariance_trace. Raises RecordError for absent
    columns.
    """
    absent = [name for name in COLUMNS if name not in rows]
    if absent:
        raise RecordError(f"probe rows lack {', '.join(absent)}; needed: {', '.join(COLUMNS)}.")
    table = rows.astype({name: "float64" for name in COLUMNS})
    usable = np.isfinite(table[list(COLUMNS)]).all(axis=1) & (table["count"] >= 2)
    table = table[usable].sort_values(["step", "batch"]).reset_index(drop=True)
    _, batches, counts, small, big = (table[name].to_numpy(np.float64) for name in COLUMNS)
    squared, trace = _two_batches(batches, small, counts * batches, big, examples)
    return table.assign(gradient_norm_squared=squared, noise_trace=trace,
                        covariance_trace=counts / (counts - 1) * (small - big))


def largest_probes(probes: pd.DataFrame) -> pd.DataFrame:
    """Select one probe per seed and step: the one of most examples, of several such the one with most groups.

    |G|^2 is what is hard to measure: its variance falls with the square of the examples, and probes of one step share
    theirs, so that a smaller probe adds nothing. More groups of the same examples measure the trace best.
    """
    ordered = probes.assign(examples=probes["batch"] * probes["count"]).sort_values(
        ["seed", "step", "examples", "count"], ascending=[True, True, False, False])
    return ordered.drop_duplicates(["seed", "step"]).drop(columns="examples").reset_index(drop=True)


def covariance_slopes(rows: pd.DataFrame) -> Floats:
    """Return the least-squares slope of log tr Cov(g_B) on log B of each seed with at least 4 batches at
    the same weights, a level of its own per step, float[seeds]. Probes of one step share examples, so that seeds, not
    probes, are the repeats that an interval may count."""
    probes = estimate_probes(rows)
    probes = probes[probes["covariance_trace"] > 0]
    steps = [probes["seed"], probes["step"]]
    probes = probes[probes.groupby(steps)["batch"].transform("nunique") >= SLOPE_BATCHES]
    logs = pd.DataFrame({"x": np.log(probes["batch"]), "y": np.log(probes["covariance_trace"])})
    centred = logs - logs.groupby([probes["seed"], probes["step"]]).transform("mean")
    sums = pd.DataFrame({"xy": centred["x"] * centred["y"], "xx": centred["x"] ** 2}).groupby(
        probes["seed"]).sum()
    return (sums["xy"] / sums["xx"]).to_numpy(np.float64)
