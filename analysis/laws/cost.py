"""Energy and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...benchmarks.errors import PlanError, RecordError
from ..statistics.estimate import Estimate, unknown

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """Device-hours of a run, and their price in the plan's currency (NaN without a price)."""

    device_hours: Estimate
    money: Estimate


def energy_joules(start_millijoules: Sequence[int | None],
                  end_millijoules: Sequence[int | None]) -> float | None:
    """Return the joules used in the timed region: the difference of NVML's energy counters, summed over GPUs.

    None where any GPU has no counter: a partial sum would look like a saving.
    """
    if len(start_millijoules) != len(end_millijoules):
        raise RecordError(f"{len(start_millijoules)} readings at the start and "
                          f"{len(end_millijoules)} at the end; read the same GPUs twice.")
    total = 0
    for start, end in zip(start_millijoules, end_millijoules):
        if start is None or end is None:
            return None
        if end < start:
            raise RecordError(f"an energy counter fell from {start} to {end} mJ: the driver was "
                              "reloaded in between; measure again.")
        total += end - start
    return total / 1000 if start_millijoules else None


def cost(seconds: Estimate, devices: float, price_per_device_hour: float | None) -> Cost:
    """Return the device-hours of `seconds` on `devices` devices (NaN: not known), and their price where the plan states
    one."""
    if price_per_device_hour is not None and price_per_device_hour < 0:
        raise PlanError(f"price_per_device_hour={price_per_device_hour} is negative; "
                        "give 0 or more, or leave it out.")
    hours = seconds.scaled(devices / SECONDS_PER_HOUR)
    if price_per_device_hour is None:
        return Cost(hours, unknown(seconds.n))
    return Cost(hours, hours.scaled(price_per_device_hour))
