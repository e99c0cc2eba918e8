"""MLPerf's reference convergence test: does a submission converge suspiciously fast?

MLCommons training policies, "reference convergence points". Not to be mixed with a fit of
steps to batches: it compares runs at one global batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.stats import mstats

from ...benchmarks.errors import RecordError
from .estimate import LEVEL, Estimate, finite_values, Floats, without_interval

FEWEST_RUNS = 3


@dataclass(frozen=True)
class ConvergenceLimit:
    """The smallest mean epochs (or steps) that a submission may show beside the reference."""

    reference: Estimate
    reference_std: float
    degrees_of_freedom: int
    t: float
    smallest_allowed: float


def trimmed(values: Sequence[float] | Floats) -> Floats:
    """The values in order without the best and the worst one, float[n-2]."""
    array = np.sort(finite_values(values))
    if array.size < FEWEST_RUNS:
        raise RecordError(f"{array.size} runs cannot lose their best and worst; run at least {FEWEST_RUNS}.")
    return array[1:-1]


def olympic_mean(values: Sequence[float] | Floats, level: float = LEVEL) -> Estimate:
    """Mean without the best and the worst run; interval from the winsorized variance
    (Tukey & McLaughlin 1963), n counts all runs."""
    runs = finite_values(values)
    mean = float(np.mean(trimmed(runs)))
    if np.ptp(trimmed(runs)) == 0:
        return without_interval(mean, runs.size)
    # The share is cut down to a whole number of runs: one at either end.
    low, high = mstats.trimmed_mean_ci(runs, limits=(1.5 / runs.size,) * 2,
                                       inclusive=(True, True), alpha=1 - level)
    return Estimate(mean, float(low), float(high), runs.size)


def convergence_limit(reference: Sequence[float] | Floats, submission_runs: int,
                      alpha: float = 0.05) -> ConvergenceLimit:
    """One-sided pooled t test; a submission of `submission_runs` runs is trimmed as well.

    The std is the ddof-0 one of the trimmed reference runs, as the rules' text has it.
    """
    if submission_runs < FEWEST_RUNS:
        raise RecordError(f"submission_runs={submission_runs} cannot be trimmed; use at least 3.")
    runs = trimmed(reference)
    kept = submission_runs - 2
    freedom = runs.size + kept - 2
    if freedom < 1:
        raise RecordError(f"{runs.size + 2} reference and {submission_runs} submission runs leave "
                          "no degrees of freedom; add a run.")
    t = float(stats.t.isf(alpha, freedom))
    std = float(np.std(runs))
    allowance = t * std * math.sqrt(1 / runs.size + 1 / kept)
    return ConvergenceLimit(olympic_mean(reference), std, freedom, t,
                            float(np.mean(runs)) - allowance)
