"""Other programs on the machine: what makes a comparison of times worthless, and must be told with it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import psutil


class OtherLoad:
    """Cores of this host that were busy, on average since this was made, with anything but these processes."""

    def __init__(self, processes: Sequence[int] = ()) -> None:
        self._own = [psutil.Process(number) for number in processes or [os.getpid()]]
        self._began = self._read()

    def _read(self) -> tuple[float, float, float]:
        times = psutil.cpu_times()
        own = sum(used.user + used.system for used in (process.cpu_times() for process in self._own))
        return time.perf_counter(), sum(times) - times.idle - getattr(times, "iowait", 0.0), own

    def cores(self) -> float:
        """Return the mean number of such cores."""
        elapsed, busy, own = (now - then for now, then in zip(self._read(), self._began))
        return max(0.0, busy - own) / elapsed
