"""Cores that processes started here may use: those of the affinity, no more than the control group's quota pays for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def usable_cores(root: Path = ROOT) -> list[int]:
    """Return the numbers of the cores, ascending: of those in the affinity as many as the quota allows at once.

    Replicas on more cores than that would be halted for a part of every period, while they are timed.
    """
    allowed, quota = sorted(os.sched_getaffinity(0)), cpu_quota(root)
    return allowed if quota is None else allowed[:max(1, math.floor(quota))]


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return the CPUs' worth of time that this process' control group may use; None where nothing limits it.

    Version 2 writes it to cpu.max, version 1 to cpu.cfs_quota_us and cpu.cfs_period_us; the least of a group and of
    those above it counts (Linux, Documentation/scheduler/sched-bwc.rst and admin-guide/cgroup-v2.rst).
    """
    return min(_quotas(root), default=None)


def _quotas(root: Path) -> Iterator[float]:
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup"
        for top in ([mounted / controllers, mounted / "cpu"] if controllers else [mounted, mounted / "unified"]):
            for folder in _upwards(top, path):
                limit = _read(folder / "cpu.max").split() or [
                    _read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
                if len(limit) == 2 and all(part.isdigit() for part in limit) and int(limit[1]):
                    yield int(limit[0]) / int(limit[1])


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """The group's folder below `top` and those above it, up to `top`: a container shows its own group as the top."""
    folder = top / path.strip("/")
    yield folder
    while folder != top and top in folder.parents:
        folder = folder.parent
        yield folder


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
