"""Cost models and bandwidths of collectives (Thakur et al. 2005; NCCL tests for bus bandwidth).

Times in seconds for a buffer of s bytes; latency a is seconds per message, bandwidth W bytes/s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

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
    """One level of the network: latency in seconds per message, bandwidth in bytes per second."""

    latency_seconds: float
    bytes_per_second: float


def ring_seconds(replicas: int, size_bytes: float, link: Link) -> float:
    """Return the seconds of a ring all-reduce, 2(p-1) a + 2(p-1)/p s/W (Thakur et al. 2005); 0 on one replica."""
    return (2 * (replicas - 1) * link.latency_seconds
            + 2 * (replicas - 1) / replicas * size_bytes / link.bytes_per_second)


def halving_doubling_seconds(replicas: int, size_bytes: float, link: Link) -> float:
    """Return the seconds of an all-reduce by recursive halving and doubling, 2 log2(p) a + 2(p-1)/p s/W (Thakur et al.
    2005).

    Raises PlanError unless p, the number of replicas, is a power of two.
    """
    if replicas < 1 or replicas & (replicas - 1):
        raise PlanError(f"replicas={replicas} is not a power of two, as halving-doubling needs; "
                        "use the ring model.")
    return (2 * math.log2(replicas) * link.latency_seconds
            + 2 * (replicas - 1) / replicas * size_bytes / link.bytes_per_second)


def hierarchical_seconds(inside_seconds: float, nodes: int, replicas_per_node: int, size_bytes: float,
                         between: Link) -> float:
    """Return the seconds of an all-reduce inside each node, followed by one ring between nodes over the shard of s/g
    bytes.

    `inside_seconds` is what the all-reduce over a node's g = `replicas_per_node` replicas takes, by a model or as
    measured; s is `size_bytes`.
    """
    return inside_seconds + ring_seconds(nodes, size_bytes / replicas_per_node, between)


def algorithm_bandwidth(size_bytes: float, seconds: Estimate) -> Estimate:
    """Return algbw = s/t in bytes/s, where s is the full buffer (definition of the NCCL tests)."""
    return seconds.under(size_bytes)


def bus_bandwidth(collective: str, replicas: int, size_bytes: float,
                  seconds: Estimate) -> Estimate:
    """Return busbw in bytes/s: algbw times the share that each link carries (definition of the NCCL tests).

    NaN on one replica, where it is undefined. Raises PlanError for an unknown collective.
    """
    if collective not in BUS_FACTORS:
        raise PlanError(one_of("collective", collective, BUS_FACTORS))
    factor = BUS_FACTORS[collective](replicas) if replicas > 1 else math.nan
    return algorithm_bandwidth(size_bytes, seconds).scaled(factor)


def fit_link(replicas: int, seconds: Mapping[int, float]) -> Link | None:
    """Return the link of a ring all-reduce on `replicas` by least squares of relative errors over sizes in bytes.

    seconds: of each size. None where the times do not grow with the size.
    """
    sizes, times = (np.asarray(list(each), dtype=np.float64) for each in (seconds, seconds.values()))
    design = np.column_stack([np.full(sizes.size, 2.0 * (replicas - 1)), 2 * (replicas - 1) / replicas * sizes])
    # Columns differ by many orders of magnitude.
    scale = design.max(axis=0)
    found, _ = nnls(design / scale / times[:, None], np.ones(sizes.size))
    latency, per_byte = found / scale
    return Link(float(latency), 1 / float(per_byte)) if per_byte > 0 else None


def misfit(replicas: int, seconds: Mapping[int, float], link: Link) -> float:
    """Return the median relative error of the ring's seconds by a link, over the sizes measured."""
    return float(np.median([abs(ring_seconds(replicas, size, link) / time - 1) for size, time in seconds.items()]))
