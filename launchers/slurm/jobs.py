"""The jobs of a plan on a cluster: one array of workers for all shapes that need the same nodes and tasks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...benchmarks.config.strategies import STRATEGIES, Start
from ...benchmarks.planning.expected_time import as_on_gpus, NOTHING, WORKER_START_SECONDS, expected_seconds
from ...benchmarks.runs.run_config import RunConfig
from .layout import tasks_per_node
from .site import Site

SCRIPTS: dict[Start, str] = {"process": "mirrored", "cluster": "multiworker", "launcher": "horovod"}  # slurm/*.sbatch
MOST_ARRAY_TASKS = 1000  # Slurm's MaxArraySize is 1001 unless a site changes it


@dataclass(frozen=True)
class Resources:
    """Needs of one worker; equal ones share an array."""

    script: str
    nodes: int
    tasks_per_node: int
    cpus_per_task: int
    devices_per_node: int
    alone: bool


@dataclass(frozen=True)
class Job:
    """One array; `shapes[i]` is what task i works on."""

    name: str
    resources: Resources
    shapes: tuple[str, ...]
    running_at_once: int
    expected_node_hours: float

    def most_node_hours(self, site: Site) -> float:
        """If every task ran to its time limit once."""
        return len(self.shapes) * self.resources.nodes * site.limit_hours


def resources(config: RunConfig, site: Site) -> Resources:
    """Return what a worker of the run's shape needs."""
    per_node = tasks_per_node(config)
    local = config.replicas // config.nodes
    return Resources(SCRIPTS[STRATEGIES[config.strategy].start], config.nodes, per_node,
                     site.cores_per_task(config), local, config.alone)


def jobs(configs: Sequence[RunConfig], site: Site, workloads: Mapping[str, Any] = NOTHING) -> list[Job]:
    """Arrays in the order of each one's first run. Shapes whose runs must be alone get one task, one after another.

    `workloads`: those that have been described, by their key; what the others cost is guessed.
    """
    workloads = workloads if site.gpus == "none" else as_on_gpus(workloads)
    groups: dict[Resources, list[RunConfig]] = {}
    for config in configs:
        groups.setdefault(resources(config, site), []).append(config)
    found: list[Job] = []
    for need, group in groups.items():
        lines = task_shapes(group, site.concurrency)
        for start in range(0, len(lines), MOST_ARRAY_TASKS):
            part = lines[start:start + MOST_ARRAY_TASKS]
            found.append(Job(f"{len(found) + 1:02d}-{need.script}-{need.nodes}n-{need.tasks_per_node}t"
                             + ("-alone" if need.alone else ""), need, tuple(part),
                             1 if need.alone else min(site.concurrency, len(part)),
                             node_hours([c for c in group if c.shape in part], len(part), workloads)))
    return found


def task_shapes(group: Sequence[RunConfig], concurrency: int) -> list[str]:
    """Return each array task's shape: shapes take turns, none gets more workers than it has runs or than run at once.
    """
    counts: dict[str, int] = {}
    for config in group:
        counts[config.shape] = 1 if config.alone else min(counts.get(config.shape, 0) + 1, concurrency)
    return [shape for turn in range(max(counts.values())) for shape, count in counts.items() if turn < count]


def node_hours(configs: Sequence[RunConfig], workers: int, workloads: Mapping[str, Any] = NOTHING) -> float:
    """Return the node-hours that the runs are expected to take, each worker's start included."""
    seconds = sum(expected_seconds(c, workloads.get(c.workload_key, NOTHING)) * c.nodes for c in configs)
    return (seconds + workers * WORKER_START_SECONDS * configs[0].nodes) / 3600


def worker_options(job: Job, site: Site, plan: str, folder: Path) -> list[str]:
    """Return sbatch's options for an array; they win over the script's own lines."""
    need = job.resources
    exclusive = site.exclusive == "always" or (site.exclusive == "timing" and need.alone)
    return [f"--job-name={plan}-{job.name}", f"--array=0-{len(job.shapes) - 1}%{job.running_at_once}",
            f"--nodes={need.nodes}", f"--ntasks-per-node={need.tasks_per_node}",
            f"--cpus-per-task={need.cpus_per_task}", *gpu_options(need, site), *(["--exclusive"] if exclusive else []),
            f"--time={site.time}", f"--signal=USR2@{site.signal_seconds}", *place(site),
            f"--output={folder}/logs/%x-%A_%a.out", *site.sbatch_options]


def report_options(site: Site, plan: str, folder: Path, after: Sequence[str]) -> list[str]:
    """Return sbatch's options for the report, which runs whatever became of the others."""
    dependency = [f"--dependency=afterany:{':'.join(after)}"] if after else []
    return [f"--job-name={plan}-report", *dependency, *place(site), f"--output={folder}/logs/%x-%j.out",
            *site.sbatch_options]


def gpu_options(need: Resources, site: Site) -> list[str]:
    """Return how this site is asked for GPUs: each task sees its node's, and takes the one of its local rank. Bound
    to one GPU each, tasks could not reach each other's, and NCCL would go through the host's memory."""
    kind = f"{site.gpu_type}:" if site.gpu_type else ""
    if site.gpus == "gpus-per-node":
        return [f"--gpus-per-node={kind}{need.devices_per_node}"]
    if site.gpus == "gpus-per-task":
        return [f"--gpus-per-task={kind}{need.devices_per_node // need.tasks_per_node}", "--gpu-bind=none"]
    return [f"--gres=gpu:{kind}{need.devices_per_node}"] if site.gpus == "gres" else []


def place(site: Site) -> list[str]:
    """Return sbatch's options for the partition, account, quality of service and constraint that the site sets."""
    return [f"--{name}={getattr(site, name)}" for name in ("partition", "account", "qos", "constraint")
            if getattr(site, name)]


def worker_command(job: Job, site: Site, plan: str, folder: Path, rest: Sequence[str]) -> list[str]:
    """Return sbatch, its options, the script and the script's arguments. `folder`: RESULTS/<plan>/slurm/submission-NN.
    """
    return ["sbatch", "--parsable", *worker_options(job, site, plan, folder),
            str(folder / f"{job.resources.script}.sbatch"), str(folder.parents[1]), str(folder / f"{job.name}.shapes"),
            str(folder), *rest]


def report_command(site: Site, plan: str, folder: Path, after: Sequence[str]) -> list[str]:
    """Return the sbatch command of the report, to start after the jobs with these ids."""
    return ["sbatch", "--parsable", *report_options(site, plan, folder, after), str(folder / "report.sbatch"),
            str(folder.parents[1]), str(folder)]


def script(all_jobs: Sequence[Job], site: Site, plan: str, folder: Path, rest: Sequence[str]) -> str:
    """Return the same commands as a shell script, to be read or run by hand."""
    lines = ["#!/usr/bin/env bash", "# What `batchscale run --on slurm` submits; can be run by hand.", "set -e", ""]
    for number, job in enumerate(all_jobs):
        lines.append(f"job_{number}=$({shlex.join(worker_command(job, site, plan, folder, rest))})")
    after = [f"${{job_{number}}}" for number in range(len(all_jobs))]
    report = shlex.join(report_command(site, plan, folder, ["AFTER"])).replace("AFTER", ":".join(after))
    return "\n".join([*lines, report, ""])
