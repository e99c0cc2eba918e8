"""What NVML tells of this process' GPUs: energy, memory, power, clocks and use. Read between windows, not within.

The one place that speaks to NVML. Without a GPU, its driver or the pynvml package there are no counters; that is no
error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

INDEX = re.compile(r"GPU:(\d+)$")


@dataclass(frozen=True)
class GpuCounters:
    """`library`: pynvml, initialised, or a stand-in; `handles`: its handles of the GPUs in use."""

    library: Any = None
    handles: tuple[Any, ...] = ()

    def energy_millijoules(self) -> list[int | None]:
        """Per GPU, since its driver was loaded (nvmlDeviceGetTotalEnergyConsumption); null where it does not count."""
        return [self._asked(lambda handle: self.library.nvmlDeviceGetTotalEnergyConsumption(handle), handle)
                for handle in self.handles]

    def readings(self) -> list[dict[str, int | None]]:
        """Power, clock and use of each GPU now; NVML's own averages reach back up to a second. Null: not told."""
        return [self._reading(number, handle) for number, handle in enumerate(self.handles)]

    def driver(self) -> str:
        """Version of the driver; "" where that is not told."""
        if not self.handles:
            return ""
        try:
            version = self.library.nvmlSystemGetDriverVersion()
        except self.library.NVMLError:
            return ""
        return version.decode() if isinstance(version, bytes) else str(version)

    def near_cores(self, most: int) -> list[set[int]]:
        """Return the cores on the socket of each GPU, of numbers below `most`; nothing where that is not told."""
        words = -(-most // 64)
        try:
            masks = [self.library.nvmlDeviceGetCpuAffinity(handle, words) for handle in self.handles]
        except self.library.NVMLError:
            return []
        return [{64 * at + bit for at, word in enumerate(mask) for bit in range(64) if int(word) >> bit & 1}
                for mask in masks]

    def capacity_bytes(self) -> int | None:
        """Memory of the smallest GPU in use; null where that is not told."""
        return self._least(lambda handle: self.library.nvmlDeviceGetMemoryInfo(handle).total)

    def used_bytes(self) -> int | None:
        """Memory in use on the fullest GPU in use, by whomever; null where that is not told."""
        sizes = [self._asked(lambda handle: self.library.nvmlDeviceGetMemoryInfo(handle).used, one)
                 for one in self.handles]
        known = [size for size in sizes if size is not None]
        return max(known) if known and len(known) == len(sizes) else None

    def free_bytes(self) -> int | None:
        """Free memory of the fullest GPU in use; null where that is not told."""
        return self._least(lambda handle: self.library.nvmlDeviceGetMemoryInfo(handle).free)

    def takes_several(self) -> bool:
        """Return whether each GPU in use lets several processes on it; an administrator may allow one alone."""
        default = getattr(self.library, "NVML_COMPUTEMODE_DEFAULT", 0)
        modes = [self._asked(lambda handle: self.library.nvmlDeviceGetComputeMode(handle), one)
                 for one in self.handles]
        return all(mode in (None, default) for mode in modes)

    def _least(self, question: Callable[[Any], Any]) -> int | None:
        sizes = [self._asked(question, handle) for handle in self.handles]
        known = [size for size in sizes if size is not None]
        return min(known) if known and len(known) == len(sizes) else None

    def _reading(self, number: int, handle: Any) -> dict[str, int | None]:
        nvml = self.library
        questions: dict[str, Callable[[Any], Any]] = {
            "power_milliwatts": nvml.nvmlDeviceGetPowerUsage,
            "power_limit_milliwatts": nvml.nvmlDeviceGetEnforcedPowerLimit,
            "clock_mhz": lambda gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
            "highest_clock_mhz": lambda gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
            "busy_percent": lambda gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
        }
        return {"gpu": number, **{name: self._asked(question, handle) for name, question in questions.items()}}

    def _asked(self, question: Callable[[Any], Any], handle: Any) -> int | None:
        try:
            return int(question(handle))
        except self.library.NVMLError:
            return None


def gpu_counters(visible: Sequence[str], shown: str | None) -> GpuCounters:
    """Return the counters of TensorFlow's visible physical GPUs, named ".../GPU:1" by their place in `shown`,
    CUDA_VISIBLE_DEVICES."""
    if not visible:
        return GpuCounters()
    try:
        import pynvml
        pynvml.nvmlInit()
    except Exception:  # the package, the library or the driver is missing; each fails in its own way
        return GpuCounters()
    return of_library(pynvml, visible, shown)


def of_library(library: Any, visible: Sequence[str], shown: str | None) -> GpuCounters:
    """Return the counters by this NVML library, which numbers all GPUs of the host, whatever CUDA_VISIBLE_DEVICES says.
    """
    entries = [entry.strip() for entry in shown.split(",")] if shown else []
    try:
        handles = []
        for name in visible:
            match = INDEX.search(name)
            number = int(match.group(1)) if match else 0
            entry = entries[number] if number < len(entries) else str(number)
            handles.append(library.nvmlDeviceGetHandleByIndex(int(entry)) if entry.isdigit()
                           else _by_uuid(library, entry))
    except library.NVMLError:
        return GpuCounters()
    return GpuCounters(library, tuple(handles))


def _by_uuid(library: Any, entry: str) -> Any:
    """The handle of a GPU by its UUID; CUDA takes the beginning of one too, which NVML does not."""
    try:
        return library.nvmlDeviceGetHandleByUUID(entry)
    except library.NVMLError:
        for handle in map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount())):
            uuid = library.nvmlDeviceGetUUID(handle)
            if (uuid.decode() if isinstance(uuid, bytes) else str(uuid)).startswith(entry):
                return handle
        raise
