"""Which cores a rank with a GPU takes: those of the socket that its GPU hangs on, whole ones.

Slices of the sorted list would put ranks beside GPUs of the other socket, and two ranks onto the two threads of one
core: Linux numbers the second threads of all cores after the first ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path

from ..meters.gpu_counters import gpu_counters

SIBLINGS = "/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"


def share(cores: Sequence[int], near: Sequence[Set[int]], rank: int, first_thread: Callable[[int], int]) -> list[int]:
    """Return the cores of one of the local ranks; empty where they cannot be told or do not suffice.

    near: for each local rank the cores near its GPU. first_thread: of the core that this thread is of.
    """
    kinds = list(map(frozenset, near))
    apart = all(not one & other for one in kinds for other in kinds if one != other)
    if not apart or not all(kinds):
        return []
    alike = [other for other, of_it in enumerate(kinds) if of_it == kinds[rank]]
    there = sorted((core for core in cores if core in kinds[rank]), key=lambda core: (first_thread(core), core))
    each, place = len(there) // len(alike), alike.index(rank)
    return sorted(there[place * each:(place + 1) * each])


def first_thread(core: int) -> int:
    """Return the first of the threads that share this one's core; itself where the system does not tell."""
    try:
        text = Path(SIBLINGS.format(core=core)).read_text()
        return int(text.replace("-", ",").split(",")[0])
    except (OSError, ValueError):
        return core


def of_this_host(cores: Sequence[int], local_ranks: int, rank: int, shown: str | None) -> list[int]:
    """Return the share of a local rank by what NVML says of the GPUs; `shown`: CUDA_VISIBLE_DEVICES. Empty where it
    does not say."""
    near = gpu_counters([f"GPU:{number}" for number in range(local_ranks)], shown).near_cores(max(cores) + 1)
    return share(cores, near, rank, first_thread) if len(near) == local_ranks else []
