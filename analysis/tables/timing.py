"""The step of a timing run from its raw windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...benchmarks.records.rows import Window


def step_timing(windows: Sequence[Window], global_batch: int) -> dict[str, float]:
    """Return the median step over the steady windows, each as slow as its slowest rank, and its spread."""
    slowest: dict[int, float] = {}
    for window in windows:
        if window.steady and window.steps > 0 and window.seconds > 0:
            start = window.start_step
            slowest[start] = max(slowest.get(start, 0.0), window.seconds / window.steps)
    if not slowest:
        return {"step_seconds": math.nan, "examples_per_second": math.nan,
                "window_spread": math.nan}
    each = np.asarray(list(slowest.values()))
    middle = float(np.median(each))
    spread = float(np.std(each, ddof=1) / np.mean(each)) if each.size > 1 else math.nan
    return {"step_seconds": middle, "examples_per_second": global_batch / middle,
            "window_spread": spread}
