"""Power, clock and use of the GPUs after each timed window."""

from __future__ import annotations

from .base import Meter, Running


class GpuUseMeter(Meter):
    """Reads every GPU of this process between windows, never within one."""

    fields = ("gpus",)
    every_rank = True

    def after_window(self, run: Running, window: int) -> None:
        self.values["gpus"] += [{"rank": run.strategy.rank, "window": window, **reading}
                                for reading in run.gpus.readings()]


METER = GpuUseMeter
