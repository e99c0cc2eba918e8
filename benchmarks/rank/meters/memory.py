"""What is read while a run goes on: seconds by activity, and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def status_bytes(field: str) -> int | None:
    """A size in /proc/self/status, such as VmRSS; None where there is none."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


class MemoryMeter:
    """Peak memory between `start` and `read`: resident size of this process, and the allocator's on a GPU."""

    def __init__(self, devices: list[str]) -> None:
        self._gpu = devices[0] if devices and devices[0].startswith("GPU") else None
        self._baseline: int | None = None
        self._device_baseline: int | None = None

    def start(self) -> None:
        """Take the baseline and reset the peaks (Linux: 5 to clear_refs resets the largest resident size)."""
        self._baseline = status_bytes("VmRSS")
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self._baseline = None  # without the reset the peak would include start-up
        if self._gpu:
            import tensorflow as tf
            self._device_baseline = int(tf.config.experimental.get_memory_info(self._gpu)["current"])
            tf.config.experimental.reset_memory_stats(self._gpu)

    def read(self) -> dict[str, Any]:
        """The record's `memory`; null where there is no reading (a CPU's allocator reports zeros)."""
        device_peak = None
        if self._gpu:
            import tensorflow as tf
            device_peak = int(tf.config.experimental.get_memory_info(self._gpu)["peak"])
        return {"baseline_bytes": self._baseline,
                "peak_bytes": status_bytes("VmHWM") if self._baseline is not None else None,
                "device_baseline_bytes": self._device_baseline, "device_peak_bytes": device_peak}
