"""The order in which shapes are worked on: timing and memory shapes alone, accuracy shapes packed into slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.planning.expected_time import NOTHING, WORKER_START_SECONDS, expected_seconds
from ...benchmarks.runs.run_config import RunConfig


@dataclass(frozen=True)
class Stage:
    """Workers of one shape; `slots` of them side by side, each with its own cores."""

    config: RunConfig
    slots: tuple[tuple[int, ...], ...]
    runs: int

    @property
    def shape(self) -> str:
        """Name of the shape that all of the stage's runs have."""
        return self.config.shape


def cores_needed(config: RunConfig) -> int:
    """Cores that one worker of this shape owns on one host."""
    return config.replicas // config.nodes * config.cores_per_replica


def stages(runs: Sequence[RunConfig], cores: Sequence[int], gpus: int = 0) -> list[Stage]:
    """Return one stage per shape, in the order of each shape's first run."""
    shapes: dict[str, list[RunConfig]] = {}
    for config in runs:
        shapes.setdefault(config.shape, []).append(config)
    return [Stage(group[0], slots(group[0], len(group), cores, gpus), len(group)) for group in shapes.values()]


def expected_wall_seconds(runs: Sequence[RunConfig], cores: Sequence[int], gpus: int = 0,
                          workloads: Mapping[str, Any] = NOTHING) -> dict[str, float]:
    """Digest of a run -> what it adds to the wall time: its share of its stage's slots and of their start.

    `workloads`: those that have been described, by their key.
    """
    shapes = {stage.shape: stage for stage in stages(runs, cores, gpus)}
    return {run.digest: expected_seconds(run, workloads.get(run.workload_key, NOTHING)) / len(shapes[run.shape].slots)
            + WORKER_START_SECONDS / shapes[run.shape].runs for run in runs}


def slots(config: RunConfig, runs: int, cores: Sequence[int], gpus: int = 0) -> tuple[tuple[int, ...], ...]:
    """Disjoint core sets for workers side by side: one where runs must be alone, else as many as the budget holds."""
    if gpus or not cores:
        return (tuple(cores),)
    width = cores_needed(config)
    count = 1 if config.alone else max(1, min(runs, len(cores) // width))
    return tuple(tuple(cores[i * width:(i + 1) * width]) for i in range(count))
