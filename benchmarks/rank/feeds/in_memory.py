"""Which feed brings examples that are in memory: resident on the device where they fit beside the training, else
streamed; disk.py reads those that are in files."""

from __future__ import annotations

import os

import psutil

from ...data.arrays import Arrays, size_bytes
from ...runs.run_config import RunConfig
from .. import devices
from ..meters.gpu_counters import gpu_counters
from ..strategies.base import Strategy
from .base import Feed
from .resident import Resident
from .stream import Stream

RESIDENT_FRACTION = 0.25
SMALL_GPU_BYTES = 4e9  # assumed where NVML gives no number


def create(config: RunConfig, x: Arrays, y: Arrays, strategy: Strategy) -> Feed:
    """Return a resident feed when it is asked for, or when the examples take at most a quarter of the free memory of
    every device; else a streamed one. All ranks call it."""
    if config.input == "resident" or (config.input == "auto" and size_bytes(x) <= RESIDENT_FRACTION * min(
            strategy.gather(free_bytes(_copies_here(config, strategy), config.memory_limit_bytes)))):
        return Resident(x, y, strategy)
    return Stream(x, y, strategy)


def _copies_here(config: RunConfig, strategy: Strategy) -> int:
    """Copies of the examples that this host's memory would hold, other ranks' among them."""
    return config.ranks // max(config.nodes, 1) * strategy.local_replicas


def free_bytes(copies: int, limit_bytes: int = 0) -> float:
    """Return the free bytes where one of so many resident copies of the examples would lie; no more than what the run
    is limited to, 0 being no limit."""
    free = _free_bytes(copies)
    return min(free, float(limit_bytes)) if limit_bytes else free


def _free_bytes(copies: int) -> float:
    if visible := devices.visible_gpus():
        free = gpu_counters(visible, os.environ.get("CUDA_VISIBLE_DEVICES")).free_bytes()
        return float(SMALL_GPU_BYTES if free is None else free)
    return psutil.virtual_memory().available / copies
