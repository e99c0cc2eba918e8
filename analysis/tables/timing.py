"""What a timing run's raw rows come to: its step, the energy of an example, what its GPUs drew and did."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean

import numpy as np

from ...benchmarks.errors import RecordError
from ...benchmarks.records.rows import Energy, GpuReading, Window
from ..laws.cost import energy_joules


def number(value: float | None) -> float:
    """Return a value of a record; NaN where it was not measured."""
    return math.nan if value is None else float(value)


def joules_per_example(energy: Sequence[Energy]) -> float:
    """Of all ranks' GPUs over the timed windows; NaN where one of them counts no energy, or its counter fell."""
    starts = [value for row in energy for value in row.start_millijoules]
    ends = [value for row in energy for value in row.end_millijoules]
    try:
        spent = energy_joules(starts, ends)
    except RecordError:
        return math.nan
    return spent / energy[0].examples if energy and spent is not None and energy[0].examples > 0 else math.nan


def step_timing(windows: Sequence[Window], global_batch: int) -> dict[str, float]:
    """Median step over the steady windows, each as slow as its slowest rank; and its spread."""
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


def gpu_numbers(readings: Sequence[GpuReading]) -> dict[str, float]:
    """Mean power of a GPU, watts; of each window's worst GPU, its clock over its highest, and the share of time busy.

    Means over windows; NaN where a GPU does not tell, as a mean over the others would describe others.
    """
    watts = [number(row.power_milliwatts) / 1000 for row in readings]
    return {"gpu_watts": mean(watts) if watts else math.nan,
            "gpu_clock_share": _worst(readings, lambda row: _share(row.clock_mhz, row.highest_clock_mhz)),
            "gpu_busy_share": _worst(readings, lambda row: _share(row.busy_percent, 100))}


def _worst(readings: Sequence[GpuReading], value: Callable[[GpuReading], float]) -> float:
    windows: dict[int, list[float]] = {}
    for row in readings:
        windows.setdefault(row.window, []).append(value(row))
    # min() would pass over a NaN that is not first
    return mean(float(np.min(values)) for values in windows.values()) if windows else math.nan


def _share(part: float | None, whole: float | None) -> float:
    return number(part) / whole if whole is not None and whole > 0 else math.nan
