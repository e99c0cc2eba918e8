"""Cost models and bandwidths of collectives (Thakur et al. 2005; NCCL tests for bus bandwidth).

Times in seconds for a buffer of s bytes; latency a is seconds per message, bandwidth W bytes/s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ...benchmarks.errors import one_of, PlanError
from ..statistics.estimate import Estimate

BUS_FACTORS: dict[str, Callable[[int], float]] = {
    "all_reduce": lambda p: 2 * (p - 1) / p,
    "reduce_scatter": lambda p: (p - 1) / p,
    "all_gather": lambda p: (p - 1) / p,
    "broadcast": lambda p: 1.0,
}


@dataclass(frozen=True)
class Link:
    """One level of the network."""

    latency_seconds: float
    bytes_per_second: float


def ring_seconds(replicas: int, size_bytes: float, link: Link) -> float:
    """2(p-1) a + 2(p-1)/p s/W; 0 on one replica."""
    return (2 * (replicas - 1) * link.latency_seconds
            + 2 * (replicas - 1) / replicas * size_bytes / link.bytes_per_second)


def halving_doubling_seconds(replicas: int, size_bytes: float, link: Link) -> float:
    """2 log2(p) a + 2(p-1)/p s/W, for p a power of two."""
    if replicas < 1 or replicas & (replicas - 1):
        raise PlanError(f"replicas={replicas} is not a power of two, as halving-doubling needs; "
                        "use the ring model.")
    return (2 * math.log2(replicas) * link.latency_seconds
            + 2 * (replicas - 1) / replicas * size_bytes / link.bytes_per_second)


def hierarchical_seconds(nodes: int, replicas_per_node: int, size_bytes: float,
                         inside: Link, between: Link) -> float:
    """Rings inside each node, then one ring between nodes over the shard of size s/g."""
    return (ring_seconds(replicas_per_node, size_bytes, inside)
            + ring_seconds(nodes, size_bytes / replicas_per_node, between))


def algorithm_bandwidth(size_bytes: float, seconds: Estimate) -> Estimate:
    """algbw = s/t in bytes/s; s is the full buffer."""
    return seconds.transformed(lambda time: size_bytes / time)


def bus_bandwidth(collective: str, replicas: int, size_bytes: float,
                  seconds: Estimate) -> Estimate:
    """busbw in bytes/s: algbw times the share each link carries; NaN (undefined) at p = 1."""
    if collective not in BUS_FACTORS:
        raise PlanError(one_of("collective", collective, BUS_FACTORS))
    factor = BUS_FACTORS[collective](replicas) if replicas > 1 else math.nan
    return algorithm_bandwidth(size_bytes, seconds).scaled(factor)
