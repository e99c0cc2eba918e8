"""Energy of the GPUs over the timed windows of a throughput run, by NVML's counters."""

from __future__ import annotations

from .base import Meter, Running


class EnergyMeter(Meter):
    """Reads each GPU's energy counter before the first timed window and after the last one."""

    fields = ("energy",)
    every_rank = True

    def before_windows(self, run: Running) -> None:
        self._before = run.gpus.energy_millijoules()

    def after_windows(self, run: Running, steps: int) -> None:
        if self._before:
            self.values["energy"].append({
                "rank": run.strategy.rank, "start_millijoules": self._before,
                "end_millijoules": run.gpus.energy_millijoules(),
                "examples": run.config.windows * steps * run.config.global_batch})


METER = EnergyMeter
