"""NVML's counters, from a stand-in for its library: which GPUs are asked, and what a missing answer becomes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from batchscale.benchmarks.rank.meters.gpu_counters import gpu_counters, GpuCounters, of_library


class Library:
    """Four GPUs; the last one has no energy counter and does not tell its power."""

    NVML_CLOCK_SM = 1

    class NVMLError(Exception):
        pass

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index > 3:
            raise self.NVMLError("invalid argument")
        return index

    def nvmlDeviceGetCount(self) -> int:
        return 4

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return "GPU-c0ffee" if handle == 2 else f"GPU-{handle}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid != "GPU-c0ffee":
            raise self.NVMLError("not found")
        return 2

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.0"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if handle == 3:
            raise self.NVMLError("not supported")
        return 1000 * (handle + 1)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if handle == 3:
            raise self.NVMLError("not supported")
        return 250_000 + handle

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:
        return 400_000

    def nvmlDeviceGetClockInfo(self, handle: int, clock: int) -> int:
        assert clock == self.NVML_CLOCK_SM
        return 1_200 + handle

    def nvmlDeviceGetMaxClockInfo(self, handle: int, clock: int) -> int:
        assert clock == self.NVML_CLOCK_SM
        return 1_980

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=90 - handle, memory=40)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=(80 - handle) * 2**30, free=(handle + 1) * 2**30, used=(handle + 7) * 2**30)


def counters(visible: list[str], shown: str | None) -> GpuCounters:
    return of_library(Library(), visible, shown)


def test_gpus_are_numbered_among_those_that_the_process_is_shown() -> None:
    both = ["/physical_device:GPU:0", "/physical_device:GPU:1"]
    assert counters(both, None).handles == (0, 1)
    assert counters(both, "2,0").handles == (2, 0)
    assert counters(both[1:], "2, 1").handles == (1,)
    assert counters(both[:1], "GPU-c0ffee").handles == (2,)


def test_a_gpu_without_a_counter_is_null_and_not_zero() -> None:
    assert counters(["GPU:2", "GPU:3"], None).energy_millijoules() == [3000, None]


def test_a_reading_has_power_clock_and_use_of_each_gpu() -> None:
    first, last = counters(["GPU:0", "GPU:1"], "1,3").readings()
    assert first == {"gpu": 0, "power_milliwatts": 250_001, "power_limit_milliwatts": 400_000, "clock_mhz": 1_201,
                     "highest_clock_mhz": 1_980, "busy_percent": 89}
    assert last["gpu"] == 1 and last["power_milliwatts"] is None and last["clock_mhz"] == 1_203


def test_the_capacity_is_that_of_the_smallest() -> None:
    assert counters(["GPU:0", "GPU:2"], None).capacity_bytes() == 78 * 2**30
    assert counters(["GPU:0", "GPU:2"], "2,1,3").free_bytes() == 3 * 2**30
    assert counters(["GPU:0", "GPU:2"], None).used_bytes() == 9 * 2**30, "the fullest"


def test_without_gpus_or_with_one_that_nvml_does_not_know_there_are_no_counters() -> None:
    assert counters(["GPU:0"], "9").energy_millijoules() == []
    nothing = gpu_counters([], None)
    assert nothing.capacity_bytes() is nothing.used_bytes() is None
    assert nothing.energy_millijoules() == [] and nothing.readings() == []


def test_a_gpu_is_found_by_the_beginning_of_its_uuid_as_cuda_takes_it() -> None:
    assert counters(["/physical_device:GPU:0"], "GPU-c0f").handles == (2,)
    assert counters(["/physical_device:GPU:0"], "GPU-bad") == GpuCounters()


def test_the_driver_is_told_where_there_are_gpus() -> None:
    assert counters(["/physical_device:GPU:0"], None).driver() == "580.0"
    assert GpuCounters().driver() == ""
