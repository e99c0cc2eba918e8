"""Global throughput of one launch, counting the slowest rank, from steady windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..benchmarks.errors import RecordError
from .estimate import LEVEL, Estimate, Floats, median_estimate


def slowest_rank_seconds(window_seconds: Sequence[Sequence[float]] | Floats) -> Floats:
    """Seconds per window, float[windows], from the ranks' own, float[ranks, windows]."""
    seconds = np.atleast_2d(np.asarray(window_seconds, dtype=np.float64))
    if seconds.size == 0 or not np.all(seconds > 0):
        raise RecordError("window_seconds must be positive, one row per rank; "
                          "leave out windows with compilation, evaluation or a checkpoint.")
    return np.asarray(seconds.max(axis=0))


def launch_examples_per_second(window_seconds: Sequence[Sequence[float]] | Floats,
                               examples_per_window: int, level: float = LEVEL) -> Estimate:
    """Median throughput over all ranks; examples_per_window counts those of all ranks.

    Scaling points are means of several launches' values: windows are not independent.
    """
    seconds = median_estimate(slowest_rank_seconds(window_seconds), level)
    return seconds.transformed(lambda middle: examples_per_window / middle)
