"""How replicas train together. `create` gives the strategy of a run, on devices that `devices.prepare` set up."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from ...runs.run_config import RunConfig
from .base import Strategy


# The module of each strategy, which is imported when it runs, as Horovod may be absent, and what makes one of it.
MAKERS: dict[str, tuple[str, Callable[[Any, Sequence[str]], Strategy]]] = {
    "single": ("base", lambda module, devices: module.Strategy()),
    "mirrored": ("mirrored", lambda module, devices: module.Mirrored(devices)),
    "horovod": ("horovod", lambda module, devices: module.Horovod()),
    "multiworker": ("multiworker", lambda module, devices: module.MultiWorker())}


def load(config: RunConfig) -> Any:
    """Import the module of a run's strategy, and return it; ranks need not have met."""
    return importlib.import_module(f".{MAKERS[config.strategy][0]}", __name__)


def create(config: RunConfig, devices: Sequence[str]) -> Strategy:
    """Return the strategy of a run, on devices that `devices.prepare` set up."""
    return MAKERS[config.strategy][1](load(config), devices)
