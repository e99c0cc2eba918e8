"""How replicas train together. `create` gives the strategy of a run, on devices that `devices.prepare` set up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...runs.run_config import RunConfig
from .base import Strategy


def _mirrored(devices: Sequence[str]) -> Strategy:
    from .mirrored import Mirrored
    return Mirrored(devices)


def _horovod(devices: Sequence[str]) -> Strategy:
    from .horovod import Horovod
    return Horovod()


def _multiworker(devices: Sequence[str]) -> Strategy:
    from .multiworker import MultiWorker
    return MultiWorker()


# Modules are imported when their strategy runs: Horovod may be absent.
MAKERS: dict[str, Callable[[Sequence[str]], Strategy]] = {
    "single": lambda devices: Strategy(), "mirrored": _mirrored, "horovod": _horovod, "multiworker": _multiworker}


def create(config: RunConfig, devices: Sequence[str]) -> Strategy:
    """Return the strategy of a run, on devices that `devices.prepare` set up."""
    return MAKERS[config.strategy](devices)
