"""Gradient noise of many runs at once, one number per seed: the seed is the unit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..statistics.estimate import Floats
from .noise_scale import COLUMNS, SLOPE_BATCHES, estimate_probes, most_groups


def noise_scales(rows: pd.DataFrame, examples: int) -> Floats:
    """Return B_simple of each seed in examples, a ratio of run averages, float[seeds]; NaN where |G|^2 <= 0."""
    means = most_groups(_probes(rows, examples)).groupby("seed")[
        ["noise_trace", "gradient_norm_squared"]].mean()
    positive = means["gradient_norm_squared"].where(means["gradient_norm_squared"] > 0)
    return (means["noise_trace"] / positive).to_numpy(np.float64)


def covariance_slopes(rows: pd.DataFrame) -> Floats:
    """Return the least-squares slope of log tr Cov(g_B) on log B of each seed, float[seeds].

    Seeds need at least 4 batches at the same weights; each step has its own intercept.
    """
    probes = _probes(rows)
    probes = probes[probes["covariance_trace"] > 0]
    probes = probes[probes.groupby("step")["batch"].transform("nunique") >= SLOPE_BATCHES]
    logs = pd.DataFrame({"x": np.log(probes["batch"]), "y": np.log(probes["covariance_trace"])})
    centred = logs - logs.groupby(probes["step"]).transform("mean")
    sums = pd.DataFrame({"xy": centred["x"] * centred["y"], "xx": centred["x"] ** 2}).groupby(
        probes["seed"]).sum()
    return (sums["xy"] / sums["xx"]).to_numpy(np.float64)


def _probes(rows: pd.DataFrame, examples: int | None = None) -> pd.DataFrame:
    """Return all seeds' estimates, with steps renumbered so that no two seeds share one."""
    own = rows[[*COLUMNS, "seed"]].reset_index(drop=True)
    apart = own["step"].astype("float64") + own["seed"] * (float(own["step"].max() or 0) + 1)
    return estimate_probes(own.assign(step=apart), examples)
