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
from scipy import stats

from ...benchmarks.errors import RecordError
from ..statistics.estimate import LEVEL, Estimate, Floats, mean_estimate, t_critical, unknown
from ..statistics.ratio import paired_ratio

COLUMNS = ("step", "batch", "count", "mean_norm_squared", "norm_squared_of_mean")
SLOPE_BATCHES = 4
CAVEATS = (
    "It depends on the learning rate being well tuned.",
    "It grows during training: compare equal points of training.",
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


@dataclass(frozen=True)
class NoiseScale:
    """Run averages over n probed steps; noise_scale is the ratio of the averages, in examples."""

    noise_scale: Estimate
    noise_trace: Estimate
    gradient_norm_squared: Estimate


@dataclass(frozen=True)
class CovarianceSlope:
    """Slope of log tr Cov(g_B) on log B; -1 for independent examples. `note` says why there is none."""

    slope: Estimate
    batches: int
    note: str


def two_batch(small_batch: float, small_norm_squared: float, big_batch: float,
              big_norm_squared: float, examples: int | None = None) -> TwoBatch:
    """Estimate |G|^2 and tr(Sigma) from |g_b|^2 and |g_B|^2 with b < B (McCandlish et al. 2018, appendix A).

    `examples` is N where the groups were drawn without replacement from N examples; the bias -tr(Sigma)/N of |G|^2 is
    then removed (derived from Var(g_b) = tr(Sigma) (1/b - 1/N)). Raises RecordError unless 0 < b < B.
    """
    if not 0 < small_batch < big_batch:
        raise RecordError(f"batches {small_batch} and {big_batch}: the first must be the smaller "
                          "and positive; a noise scale needs at least 2 groups.")
    trace = (small_norm_squared - big_norm_squared) / (1 / small_batch - 1 / big_batch)
    squared = ((big_batch * big_norm_squared - small_batch * small_norm_squared)
               / (big_batch - small_batch))
    return TwoBatch(squared + (trace / examples if examples else 0.0), trace)


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
    pairs = [two_batch(b, small, k * b, big, examples)
             for _, b, k, small, big in table[list(COLUMNS)].itertuples(index=False)]
    traces = [covariance_trace(k, small, big)
              for _, _, k, small, big in table[list(COLUMNS)].itertuples(index=False)]
    return table.assign(gradient_norm_squared=[pair.gradient_norm_squared for pair in pairs],
                        noise_trace=[pair.noise_trace for pair in pairs],
                        covariance_trace=traces)


def most_groups(probes: pd.DataFrame) -> pd.DataFrame:
    """Select one probe per step, the one with most groups: its noise trace varies least."""
    order = probes.sort_values(["step", "count"], ascending=[True, False])
    return order.drop_duplicates("step").reset_index(drop=True)


def noise_scale_curve(rows: pd.DataFrame, decay: float = 0.9,
                      examples: int | None = None) -> pd.DataFrame:
    """Return the noise scale in examples at each step: tr(Sigma) and |G|^2 are smoothed separately, then divided.

    NaN while |G|^2 <= 0. `decay` is the share kept per probe by the moving average, which corrects its own start.
    """
    probes = most_groups(estimate_probes(rows, examples))
    smooth = probes[["gradient_norm_squared", "noise_trace"]].ewm(alpha=1 - decay).mean()
    positive = smooth["gradient_norm_squared"].where(smooth["gradient_norm_squared"] > 0)
    return probes[["step"]].assign(
        gradient_norm_squared=smooth["gradient_norm_squared"],
        noise_trace=smooth["noise_trace"],
        noise_scale=smooth["noise_trace"] / positive)


def average_noise_scale(rows: pd.DataFrame, examples: int | None = None,
                        level: float = LEVEL) -> NoiseScale:
    """Average B_simple over the probes of one run, as a ratio of averages in examples (Fieller interval).

    Probes of one run follow each other: over several seeds, average the seeds' values instead.
    """
    probes = most_groups(estimate_probes(rows, examples))
    trace = mean_estimate(probes["noise_trace"].to_numpy(), level)
    squared = mean_estimate(probes["gradient_norm_squared"].to_numpy(), level)
    scale = unknown(len(probes))
    if squared.value > 0:
        scale = paired_ratio(probes["noise_trace"].to_numpy(),
                             probes["gradient_norm_squared"].to_numpy(), level)
    return NoiseScale(scale, trace, squared)


def covariance_slope(rows: pd.DataFrame, level: float = LEVEL) -> CovarianceSlope:
    """Fit log tr Cov(g_B) to log B at equal weights by least squares, over at least 4 batches.

    Each step has its own intercept; all steps share the slope.
    """
    probes = estimate_probes(rows)
    probes = probes[probes["covariance_trace"] > 0]
    batches = probes.groupby("step")["batch"].transform("nunique")
    probes = probes[batches >= SLOPE_BATCHES]
    seen = int(probes["batch"].nunique())
    if probes.empty:
        return CovarianceSlope(unknown(), seen, "not enough points: no step has "
                               f"{SLOPE_BATCHES} batches of 2 or more groups")
    logs = pd.DataFrame({"x": np.log(probes["batch"]), "y": np.log(probes["covariance_trace"])})
    centred = logs - logs.groupby(probes["step"]).transform("mean")
    freedom = len(probes) - int(probes["step"].nunique()) - 1
    line = stats.linregress(centred["x"], centred["y"])
    # linregress counts n - 2; here each step has spent one more on its level.
    error = float(line.stderr) * math.sqrt((len(probes) - 2) / freedom)
    half = float(t_critical(freedom, level)) * error
    slope = float(line.slope)
    return CovarianceSlope(Estimate(slope, slope - half, slope + half, len(probes)), seen, "")


def noise_scales(rows: pd.DataFrame, examples: int) -> Floats:
    """Return B_simple of each seed, a ratio of run averages, float[seeds]; NaN where |G|^2 <= 0."""
    means = most_groups(_probes(rows, examples)).groupby("seed")[
        ["noise_trace", "gradient_norm_squared"]].mean()
    positive = means["gradient_norm_squared"].where(means["gradient_norm_squared"] > 0)
    return (means["noise_trace"] / positive).to_numpy(np.float64)


def covariance_slopes(rows: pd.DataFrame) -> Floats:
    """Return the least-squares slope of log tr Cov(g_B) on log B of each seed with at least 4 batches at
    the same weights, a level of its own per step, float[seeds]."""
    probes = _probes(rows)
    probes = probes[probes["covariance_trace"] > 0]
    probes = probes[probes.groupby("step")["batch"].transform("nunique") >= SLOPE_BATCHES]
    logs = pd.DataFrame({"x": np.log(probes["batch"]), "y": np.log(probes["covariance_trace"])})
    centred = logs - logs.groupby(probes["step"]).transform("mean")
    sums = pd.DataFrame({"xy": centred["x"] * centred["y"], "xx": centred["x"] ** 2}).groupby(
        probes["seed"]).sum()
    return (sums["xy"] / sums["xx"]).to_numpy(np.float64)


def _probes(rows: pd.DataFrame, examples: int | None = None) -> pd.DataFrame:
    """All seeds' estimates, with steps numbered apart from seed to seed."""
    own = rows[[*COLUMNS, "seed"]].reset_index(drop=True)
    apart = own["step"].astype("float64") + own["seed"] * (float(own["step"].max() or 0) + 1)
    return estimate_probes(own.assign(step=apart), examples)
