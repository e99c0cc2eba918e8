"""Peak memory of a run: of this process, and of the allocators of its GPUs, of which the fullest counts."""

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
        self._gpus = [device for device in run.devices if device.startswith("GPU")]
        self._baseline = status_bytes("VmRSS")
        self._device_baseline: int | None = None
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self._baseline = None  # without the reset the peak would include start-up
        if self._gpus:
            self._device_baseline = self._fullest("current")
            for gpu in self._gpus:
                tf.config.experimental.reset_memory_stats(gpu)

    def end(self, run: Running) -> None:
        """Read the peaks; null where there is no reading (a CPU's allocator reports zeros)."""
        self.values["memory"] = {**self._read(), "device_capacity_bytes": run.gpus.capacity_bytes(),
                                 "device_used_bytes": run.gpus.used_bytes()}

    def _read(self) -> dict[str, Any]:
        device_peak = self._fullest("peak") if self._gpus else None
        return {"baseline_bytes": self._baseline,
                "peak_bytes": status_bytes("VmHWM") if self._baseline is not None else None,
                "device_baseline_bytes": self._device_baseline, "device_peak_bytes": device_peak}

    def _fullest(self, what: str) -> int:
        return max(int(tf.config.experimental.get_memory_info(gpu)[what]) for gpu in self._gpus)


METER = MemoryMeter
