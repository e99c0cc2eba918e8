"""MLPerf's mean of runs: without the best and the worst one (MLCommons training policies)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...benchmarks.errors import RecordError
from .estimate import LEVEL, Estimate, finite_values, Floats, without_interval

FEWEST_RUNS = 3


def trimmed(values: Sequence[float] | Floats) -> Floats:
    """Return the values in ascending order without the best and the worst one, float[n-2].

    Raises RecordError for fewer than FEWEST_RUNS values, and when a value is not finite.
    """
    array = np.sort(finite_values(values))
    if array.size < FEWEST_RUNS:
        raise RecordError(f"{array.size} runs cannot lose their best and worst; run at least {FEWEST_RUNS}.")
    return array[1:-1]


def olympic_mean(values: Sequence[float] | Floats, level: float = LEVEL) -> Estimate:
    """Return the mean without the best and the worst run, with an interval from the winsorized variance.

    The interval is that of Tukey & McLaughlin (1963); n counts all runs. There is none where the runs that remain are
    equal. Raises RecordError for fewer than FEWEST_RUNS runs, and when a value is not finite.
    """
    runs = finite_values(values)
    mean = float(np.mean(trimmed(runs)))
    if np.ptp(trimmed(runs)) == 0:
        return without_interval(mean, runs.size)
    from scipy.stats import mstats  # a second to load
    # The share is cut down to a whole number of runs: one at either end.
    low, high = mstats.trimmed_mean_ci(runs, limits=(1.5 / runs.size,) * 2,
                                       inclusive=(True, True), alpha=1 - level)
    return Estimate(mean, float(low), float(high), runs.size)
