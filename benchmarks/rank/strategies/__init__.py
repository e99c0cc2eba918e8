"""How replicas train together. `create` gives the strategy of a run, on devices that `devices.prepare` set up."""

from __future__ import annotations

from collections.abc import Sequence

from ...runs.run_config import RunConfig
from .base import Strategy


def create(config: RunConfig, devices: Sequence[str]) -> Strategy:
    """Return the strategy of a run, on devices that `devices.prepare` set up."""
    if config.strategy == "mirrored":
        from .mirrored import Mirrored
        return Mirrored(devices)
    if config.strategy == "horovod":
        from .horovod import Horovod
        return Horovod()
    if config.strategy == "multiworker":
        from .multiworker import MultiWorker
        return MultiWorker()
    return Strategy()
