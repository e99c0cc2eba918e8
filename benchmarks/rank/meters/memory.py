"""Peak memory of a run: of this process, and of its first GPU's allocator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from ..devices import status_bytes
from .base import Meter, Running


class MemoryMeter(Meter):
    """Reads the peak between the beginning and the end of a run: resident bytes, and the allocator's on a GPU."""

    fields = ("memory",)

    def begin(self, run: Running) -> None:
        """Take the baseline and reset the peaks (Linux: 5 to clear_refs resets the largest resident size)."""
        self._gpu = run.devices[0] if run.devices and run.devices[0].startswith("GPU") else None
        self._baseline = status_bytes("VmRSS")
        self._device_baseline: int | None = None
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self._baseline = None  # without the reset the peak would include start-up
        if self._gpu:
            self._device_baseline = int(tf.config.experimental.get_memory_info(self._gpu)["current"])
            tf.config.experimental.reset_memory_stats(self._gpu)

    def end(self, run: Running) -> None:
        """Read the peaks; null where there is no reading (a CPU's allocator reports zeros)."""
        self.values["memory"] = {**self._read(), "device_capacity_bytes": run.gpus.capacity_bytes()}

    def _read(self) -> dict[str, Any]:
        device_peak = None
        if self._gpu:
            device_peak = int(tf.config.experimental.get_memory_info(self._gpu)["peak"])
        return {"baseline_bytes": self._baseline,
                "peak_bytes": status_bytes("VmHWM") if self._baseline is not None else None,
                "device_baseline_bytes": self._device_baseline, "device_peak_bytes": device_peak}


METER = MemoryMeter
