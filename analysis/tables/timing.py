"""What a timing run's raw rows come to: its step, the energy of an example, what its GPUs drew and did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import mean
from typing import Any

import numpy as np

from ...benchmarks.errors import RecordError
from ...benchmarks.records.raw import list_in, number
from ..laws.cost import energy_joules


def joules_per_example(energy: list[Any]) -> float:
    """Of all ranks' GPUs over the timed windows; NaN where one of them counts no energy, or its counter fell."""
    readings = [row for row in energy if isinstance(row, Mapping)]
    starts, ends = ([value if isinstance(value, int) else None for row in readings for value in list_in(row, name)]
                    for name in ("start_millijoules", "end_millijoules"))
    examples = number(readings[0].get("examples")) if readings else math.nan
    try:
        spent = energy_joules(starts, ends)
    except RecordError:
        return math.nan
    return spent / examples if spent is not None and examples > 0 else math.nan


def step_timing(windows: list[Any], global_batch: int) -> dict[str, float]:
    """Median step over the steady windows, each as slow as its slowest rank; and its spread."""
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


def gpu_numbers(readings: list[Any]) -> dict[str, float]:
    """Mean power of a GPU, watts; of each window's worst GPU, its clock over its highest, and the share of time busy.

    Means over windows; NaN where a GPU does not tell, as a mean over the others would describe others.
    """
    rows = [row for row in readings if isinstance(row, Mapping)]
    watts = [number(row.get("power_milliwatts")) / 1000 for row in rows]
    return {"gpu_watts": mean(watts) if watts else math.nan,
            "gpu_clock_share": _worst(rows, lambda row: _share(row.get("clock_mhz"), row.get("highest_clock_mhz"))),
            "gpu_busy_share": _worst(rows, lambda row: _share(row.get("busy_percent"), 100))}


def _worst(rows: list[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float]) -> float:
    windows: dict[float, list[float]] = {}
    for row in rows:
        windows.setdefault(number(row.get("window")), []).append(value(row))
    # min() would pass over a NaN that is not first
    return mean(float(np.min(values)) for values in windows.values()) if windows else math.nan


def _share(part: object, whole: object) -> float:
    return number(part) / number(whole) if number(whole) > 0 else math.nan
