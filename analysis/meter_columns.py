"""METER_COLUMNS: the columns of results.csv that sum up what a meter measured; a new one is its entry here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ..benchmarks.errors import RecordError
from ..benchmarks.records.rows import Energy, GPUReading
from .laws.cost import energy_joules


@dataclass(frozen=True)
class MeterColumn:
    """One column: its meaning with its unit, the field of the record that holds the meter's rows, and the number that
    a run's or phase's rows come to, NaN where it cannot be computed."""

    meaning: str
    field: str
    value: Callable[[Sequence[Any]], float]


def number(value: float | None) -> float:
    """Return a value of a record; NaN where it was not measured."""
    return math.nan if value is None else float(value)


def joules_per_example(energy: Sequence[Energy]) -> float:
    """Return the joules of all ranks' GPUs over the timed windows for each example, NaN where one GPU counts no energy
    or its counter fell."""
    starts = [value for row in energy for value in row.start_millijoules]
    ends = [value for row in energy for value in row.end_millijoules]
    try:
        spent = energy_joules(starts, ends)
    except RecordError:
        return math.nan
    return spent / energy[0].examples if energy and spent is not None and energy[0].examples > 0 else math.nan


def gpu_watts(readings: Sequence[GPUReading]) -> float:
    """Return the mean power of a GPU in watts, NaN where one reports none: the others' mean would not include it."""
    watts = [number(row.power_milliwatts) / 1000 for row in readings]
    return mean(watts) if watts else math.nan


def gpu_clock_share(readings: Sequence[GPUReading]) -> float:
    """Return the mean over windows of the slowest GPU's clock over its highest, NaN where a GPU reports none."""
    return _worst(readings, lambda row: _share(row.clock_mhz, row.highest_clock_mhz))


def gpu_busy_share(readings: Sequence[GPUReading]) -> float:
    """Return the mean over windows of the least busy GPU's share of time, NaN where a GPU reports none."""
    return _worst(readings, lambda row: _share(row.busy_percent, 100))


def _worst(readings: Sequence[GPUReading], value: Callable[[GPUReading], float]) -> float:
    windows: dict[int, list[float]] = {}
    for row in readings:
        windows.setdefault(row.window, []).append(value(row))
    # min() would pass over a NaN that is not first
    return mean(math.nan if any(map(math.isnan, values)) else min(values)
                for values in windows.values()) if windows else math.nan


def _share(part: float | None, whole: float | None) -> float:
    return number(part) / whole if whole is not None and whole > 0 else math.nan


METER_COLUMNS: dict[str, MeterColumn] = {
    "joules_per_example": MeterColumn("energy of the GPUs per training example", "energy", joules_per_example),
    "gpu_watts": MeterColumn("power drawn by a GPU after a timed window, mean over GPUs and windows", "gpus",
                             gpu_watts),
    "gpu_clock_share": MeterColumn("clock of the slowest GPU over its highest, mean over windows, a fraction", "gpus",
                                   gpu_clock_share),
    "gpu_busy_share": MeterColumn("share of the time in which a kernel ran, of the least busy GPU, mean over windows",
                                  "gpus", gpu_busy_share),
}
