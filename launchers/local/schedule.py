"""The order in which shapes are worked on: timing and memory shapes alone, accuracy shapes packed into slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.config.strategies import STRATEGIES
from ...benchmarks.planning.expected_time import as_on_gpus, NOTHING, WORKER_START_SECONDS, expected_seconds
from ...benchmarks.runs.run_config import RunConfig

STARTED_TOGETHER = 2  # workers that wait hold memory, and more of them than cores start no faster


@dataclass(frozen=True)
class Slot:
    """The part of the machine that one worker of several side by side has to itself: cores, and GPUs by the words of
    CUDA_VISIBLE_DEVICES; none where it may see all that the machine shows."""

    cores: tuple[int, ...]
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """Workers of one shape, one for each slot, side by side."""

    config: RunConfig
    slots: tuple[Slot, ...]
    runs: int
    stands_by: bool = False
    """Whether its workers may wait for the next round of a study."""
    shares_gpus: bool = False
    """Whether several of its runs may train on a GPU at a time."""

    @property
    def shape(self) -> str:
        """Name of the shape that all of the stage's runs have."""
        return self.config.shape


def cores_needed(config: RunConfig) -> int:
    """Cores that one worker of this shape owns on one host."""
    return config.replicas // config.nodes * config.cores_per_replica


def stages(runs: Sequence[RunConfig], cores: Sequence[int], gpus: Sequence[str] = ()) -> list[Stage]:
    """Return one stage per shape, in the order of each shape's first run. `gpus`: their words in
    CUDA_VISIBLE_DEVICES."""
    shapes: dict[str, list[RunConfig]] = {}
    for config in runs:
        shapes.setdefault(config.shape, []).append(config)
    return [Stage(group[0], slots(group[0], len(group), cores, gpus), len(group), may_stand_by(group[0], gpus),
                  may_share_gpus(group[0], gpus)) for group in shapes.values()]


def may_stand_by(config: RunConfig, gpus: Sequence[str]) -> bool:
    """Return whether a worker of this shape may wait for more runs while others work: it is one rank, since others
    would wait in a collective with a busy core, and holds no GPU's memory."""
    return config.kind == "accuracy" and config.ranks == 1 and not gpus


def may_share_gpus(config: RunConfig, gpus: Sequence[str]) -> bool:
    """Return whether several runs of this shape may train on a GPU at a time: a process each, of one
    replica. What they take is then of runs that share one."""
    return (bool(gpus) and config.kind == "accuracy" and config.replicas == 1
            and STRATEGIES[config.strategy].start == "process")


def in_turns(staged: Sequence[Stage]) -> list[list[Stage]]:
    """Return the stages, in order, by whose workers start together: two that have the machine to themselves, so that
    while each imports and loads on one core the other does on the next; all others by themselves."""
    groups: list[list[Stage]] = []
    for stage in staged:
        if groups and stage.config.alone and groups[-1][0].config.alone and len(groups[-1]) < STARTED_TOGETHER:
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def expected_wall_seconds(runs: Sequence[RunConfig], cores: Sequence[int], gpus: Sequence[str] = (),
                          workloads: Mapping[str, Any] = NOTHING) -> dict[str, float]:
    """Digest of a run -> what it adds to the wall time: its share of its stage's slots and of their start.

    `workloads`: those that have been described, by their key.
    """
    staged, workloads = stages(runs, cores, gpus), as_on_gpus(workloads) if gpus else workloads
    shapes = {stage.shape: stage for stage in staged}
    starts = {stage.shape: WORKER_START_SECONDS / len(group) for group in in_turns(staged) for stage in group}
    return {run.digest: expected_seconds(run, workloads.get(run.workload_key, NOTHING)) / len(shapes[run.shape].slots)
            + starts[run.shape] / shapes[run.shape].runs for run in runs}


def slots(config: RunConfig, runs: int, cores: Sequence[int], gpus: Sequence[str] = ()) -> tuple[Slot, ...]:
    """Return disjoint slots for workers side by side: one where runs must be alone, else as many as the machine holds.

    Without GPUs a worker has the cores that it owns and no more; with GPUs it has its replicas' GPUs and an even share
    of all cores, which feed them, or all of them where GPUs outnumber cores: cores bound the workers there only where
    the plan gives a replica more than one.
    """
    width = cores_needed(config)
    if not cores:
        return (Slot(()),)
    count = 1 if config.alone else max(1, min(runs, len(cores) // width))
    if not gpus:
        return tuple(Slot(tuple(cores[at * width:(at + 1) * width])) for at in range(count))
    replicas = config.replicas // config.nodes
    wanted = runs if config.cores_per_replica == 1 and not config.alone else count
    count = max(1, min(wanted, len(gpus) // replicas))
    if count == 1:
        return (Slot(tuple(cores)),)
    share = len(cores) // count
    fed = [cores[at * share:(at + 1) * share] if share >= width else cores for at in range(count)]
    return tuple(Slot(tuple(own), tuple(gpus[at * replicas:(at + 1) * replicas])) for at, own in enumerate(fed))
