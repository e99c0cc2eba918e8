"""METER_COLUMNS: the columns of results.csv that sum up what a meter measured; a new one is its entry here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ..benchmarks.errors import RecordError
from ..benchmarks.records.raw import list_in, number
from .laws.cost import energy_joules

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class MeterColumn:
    """One column: its meaning with its unit, the field of the record that holds the meter's rows, and the number that
    a run's or phase's rows come to, NaN where they do not tell."""

    meaning: str
    field: str
    value: Callable[[Rows], float]


def joules_per_example(energy: Rows) -> float:
    """Return the joules of all ranks' GPUs over the timed windows for each example, NaN where one GPU counts no energy
    or its counter fell."""
    starts, ends = ([value if isinstance(value, int) else None for row in energy for value in list_in(row, name)]
                    for name in ("start_millijoules", "end_millijoules"))
    examples = number(energy[0].get("examples")) if energy else math.nan
    try:
        spent = energy_joules(starts, ends)
    except RecordError:
        return math.nan
    return spent / examples if spent is not None and examples > 0 else math.nan


def gpu_watts(readings: Rows) -> float:
    """Return the mean power of a GPU in watts, NaN where one does not tell: the others' mean would describe others."""
    watts = [number(row.get("power_milliwatts")) / 1000 for row in readings]
    return mean(watts) if watts else math.nan


def gpu_clock_share(readings: Rows) -> float:
    """Return the mean over windows of the slowest GPU's clock over its highest, NaN where a GPU does not tell."""
    return _worst(readings, lambda row: _share(row.get("clock_mhz"), row.get("highest_clock_mhz")))


def gpu_busy_share(readings: Rows) -> float:
    """Return the mean over windows of the least busy GPU's share of time, NaN where a GPU does not tell."""
    return _worst(readings, lambda row: _share(row.get("busy_percent"), 100))


def _worst(rows: Rows, value: Callable[[Mapping[str, Any]], float]) -> float:
    windows: dict[float, list[float]] = {}
    for row in rows:
        windows.setdefault(number(row.get("window")), []).append(value(row))
    # min() would pass over a NaN that is not first
    return mean(math.nan if any(map(math.isnan, values)) else min(values)
                for values in windows.values()) if windows else math.nan


def _share(part: object, whole: object) -> float:
    return number(part) / number(whole) if number(whole) > 0 else math.nan


METER_COLUMNS: dict[str, MeterColumn] = {
    "joules_per_example": MeterColumn("energy of the GPUs per training example", "energy", joules_per_example),
    "gpu_watts": MeterColumn("power drawn by a GPU after a timed window, mean over GPUs and windows", "gpus",
                             gpu_watts),
    "gpu_clock_share": MeterColumn("clock of the slowest GPU over its highest, mean over windows, a fraction", "gpus",
                                   gpu_clock_share),
    "gpu_busy_share": MeterColumn("share of the time in which a kernel ran, of the least busy GPU, mean over windows",
                                  "gpus", gpu_busy_share),
}
