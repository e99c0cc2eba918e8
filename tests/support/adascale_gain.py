"""AdaScale's gain (Johnson et al. 2020): how many reference steps one large-batch step is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchscale.analysis.laws.noise_scale import covariance_trace

LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Gain:
    """Variance and squared mean of a gradient over the reference batch B0, and the gain r."""

    variance: float
    mean_squared: float
    gain: float


def adascale_gain(groups: int, group_batch: int, mean_norm_squared: float,
                  norm_squared_of_mean: float, reference_batch: int | None = None) -> Gain:
    """Gain of one step from `groups` gradients over `group_batch` examples each.

    sigma2 = (n/B0) sigma2_n, mu2 = |g|^2 - sigma2_n/R, r = (sigma2 + mu2)/(sigma2 B0/B + mu2),
    within [1, B/B0]; reference_batch: B0, the group batch n by default. With one group the gain
    is 1 where B = B0 and NaN (no estimate) otherwise.
    """
    reference = group_batch if reference_batch is None else reference_batch
    scale = groups * group_batch / reference
    if groups < 2:
        return Gain(math.nan, math.nan, 1.0 if scale == 1 else math.nan)
    group_variance = covariance_trace(groups, mean_norm_squared, norm_squared_of_mean)
    variance = max(group_variance * group_batch / reference, LEAST_VARIANCE)
    mean_squared = max(norm_squared_of_mean - group_variance / groups, 0.0)
    gain = (variance + mean_squared) / (variance / scale + mean_squared)
    return Gain(variance, mean_squared, gain)
