"""The step of a timing run from its raw windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...benchmarks.records.raw import number


def step_timing(windows: list[Any], global_batch: int) -> dict[str, float]:
    """Return the median step over the steady windows, each as slow as its slowest rank, and its spread."""
    slowest: dict[float, float] = {}
    for window in windows:
        steps, seconds = number(window.get("steps")), number(window.get("seconds"))
        if window.get("steady") and steps > 0 and seconds > 0:
            start = number(window.get("start_step"))
            slowest[start] = max(slowest.get(start, 0.0), seconds / steps)
    if not slowest:
        return {"step_seconds": math.nan, "examples_per_second": math.nan,
                "window_spread": math.nan}
    each = np.asarray(list(slowest.values()))
    middle = float(np.median(each))
    spread = float(np.std(each, ddof=1) / np.mean(each)) if each.size > 1 else math.nan
    return {"step_seconds": middle, "examples_per_second": global_batch / middle,
            "window_spread": spread}
