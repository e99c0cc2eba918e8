"""What one step waits for: laws of synchronization and of compute that slows with replicas, and what points determine.

Each law is linear in its coefficients, so it is a list of features of a point: per replica, a flat ring,
halving-doubling, rings inside and between nodes (Thakur et al. 2005), and their single terms, which a few points can
still fit. Compute may slow with the replicas that share a node's memory or cores, or wait for the slowest of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...statistics.estimate import Floats
from .model import StepPoint

RING, HALVING, HIERARCHICAL, PER_REPLICA = "flat ring", "halving-doubling", "hierarchical", "per replica"
FIXED, PER_MESSAGE, PER_BYTE, PER_ROUND = "fixed", "messages of a ring", "bytes of a ring", "rounds of halving"
CONGESTED = "congested ring"
CONSTANT, SHARED, WAITING = "", "shared memory or cores", "waiting for the slowest"
# Relative size below which a part of a point outside the span of the measured ones is rounding.
NOTHING = 1e-7
Features = Callable[[StepPoint], tuple[float, ...]]


def _fixed(point: StepPoint) -> tuple[float, ...]:
    return (float(point.replicas > 1),)


def _per_message(point: StepPoint) -> tuple[float, ...]:
    return (2.0 * (point.replicas - 1),)


def _per_byte(point: StepPoint) -> tuple[float, ...]:
    return (2.0 * (point.replicas - 1) / point.replicas,)


def _per_round(point: StepPoint) -> tuple[float, ...]:
    return (2.0 * math.log2(point.replicas),)


def _ring(point: StepPoint) -> tuple[float, ...]:
    return _per_message(point) + _per_byte(point)


def _halving(point: StepPoint) -> tuple[float, ...]:
    return _per_round(point) + _per_byte(point)


def _congested(point: StepPoint) -> tuple[float, ...]:
    """A ring on a link that all pairs share: what stands in a message's way grows with the pairs."""
    return (point.replicas * (point.replicas - 1.0), *_per_byte(point), *_per_message(point))


def _per_replica(point: StepPoint) -> tuple[float, ...]:
    """Intercept and slope, apart on one node and on several."""
    p, local = point.replicas, point.nodes == 1
    own = (float(p > 1), float(p - 2)) if p > 1 else (0.0, 0.0)
    return (*own, 0.0, 0.0) if local else (0.0, 0.0, *own)


def _hierarchical(point: StepPoint) -> tuple[float, ...]:
    m = point.nodes
    g = point.replicas / m
    return 2.0 * (g - 1), 2.0 * (g - 1) / g, 2.0 * (m - 1), 2.0 * (m - 1) / m / g


FEATURES: dict[str, Features] = {
    PER_REPLICA: _per_replica, RING: _ring, HALVING: _halving, HIERARCHICAL: _hierarchical, CONGESTED: _congested}
SINGLE_TERMS: dict[str, Features] = {FIXED: _fixed, PER_MESSAGE: _per_message, PER_BYTE: _per_byte,
                                     PER_ROUND: _per_round}
POWERS_OF_TWO = (HALVING, PER_ROUND)
COMPUTE: dict[str, Features] = {
    CONSTANT: lambda point: (1.0, point.replica_batch),
    SHARED: lambda point: (1.0, point.replica_batch,
                           point.replica_batch * (point.replicas / point.nodes - 1)),
    WAITING: lambda point: (1.0, point.replica_batch, point.replica_batch * math.log2(point.replicas))}


@dataclass(frozen=True)
class Shape:
    """One form of a step: how its compute follows the replicas, and how its synchronization does."""

    compute: str
    synchronization: str

    @property
    def name(self) -> str:
        """The synchronization, and why compute slows where it does."""
        return ", ".join(part for part in (self.synchronization, self.compute) if part)

    def columns(self, points: Sequence[StepPoint]) -> tuple[Floats, Floats]:
        """Return the features of compute and of synchronization, float[points, columns] each."""
        return (np.asarray([COMPUTE[self.compute](point) for point in points], dtype=np.float64),
                np.asarray([self._synchronization(point) for point in points], dtype=np.float64))

    @property
    def _synchronization(self) -> Features:
        return (FEATURES | SINGLE_TERMS)[self.synchronization]

    @property
    def surprise(self) -> int:
        """Return how far this form is from what is expected of a cluster: 0 where compute is constant and links are
        not shared, 1 where compute slows or a link congests."""
        return int(self.compute != CONSTANT or self.synchronization == CONGESTED)

    def applies(self, point: StepPoint) -> bool:
        """Return whether this form exists at the point: halving-doubling needs a power of two."""
        return self.synchronization not in POWERS_OF_TWO or point.replicas & (point.replicas - 1) == 0

    def estimable(self, points: Sequence[StepPoint], point: StepPoint) -> bool:
        """Return whether the point's features lie in the row space of those of the measured points."""
        return _estimable(self, tuple(points), point)


@lru_cache(maxsize=10_000)  # forms at several overlaps, and every interval of a point, ask the same again
def _estimable(shape: Shape, points: tuple[StepPoint, ...], point: StepPoint) -> bool:
    return in_row_space(_joined(shape, points), _joined(shape, [point])[0])


def shapes(points: Sequence[StepPoint], forms: Iterable[str]) -> Iterator[Shape]:
    """Yield every form that these points can bear out: halving for powers of two, nodes where there are several."""
    several = any(point.nodes > 1 for point in points)
    for synchronization in forms:
        if synchronization == HIERARCHICAL and not several:
            continue
        for compute in (CONSTANT,) if synchronization == CONGESTED else COMPUTE:
            shape = Shape(compute, synchronization)
            if all(shape.applies(point) for point in points):
                yield shape


def _joined(shape: Shape, points: Sequence[StepPoint]) -> Floats:
    """Features of the whole step where nothing overlaps: compute once for each micro-step, and synchronization."""
    compute, synchronization = shape.columns(points)
    times = np.asarray([point.accumulation + 1.0 for point in points])
    return np.hstack([compute * times[:, None], synchronization])


def in_row_space(measured: Floats, row: Floats) -> bool:
    """Return whether `row`, float[columns], is a combination of the rows of `measured`, float[points, columns].

    Only then do the measured values determine the value there (estimable functions; Scheffe 1959, section 1.4).
    """
    scale = np.maximum(np.abs(measured).max(axis=0), np.abs(row))
    scale = np.where(scale > 0, scale, 1.0)
    _, values, directions = np.linalg.svd(np.unique(measured / scale, axis=0), full_matrices=False)
    span = directions[values > NOTHING * values[0]] if values.size and values[0] > 0 else directions[:0]
    scaled = row / scale
    left = scaled - span.T @ (span @ scaled)
    return bool(np.linalg.norm(left) <= NOTHING * max(1.0, float(np.linalg.norm(scaled))))


def independent(features: Floats) -> list[int]:
    """Return the columns that say something the earlier ones do not."""
    kept: list[int] = []
    for column in range(features.shape[1]):
        tried = features[:, [*kept, column]]
        scaled = tried / np.maximum(np.abs(tried).max(axis=0), 1e-300)
        if np.linalg.matrix_rank(scaled, tol=1e-9) == len(kept) + 1:
            kept.append(column)
    return kept


def undetermined(points: Sequence[StepPoint], point: StepPoint) -> str:
    """Return why the measured points do not determine the step at this one, and what to measure; "" where they do.

    Judged by forms that know nodes, so that none which ignores them speaks for a network that was not measured:
    compute and synchronization per replica, or rings inside and between nodes.
    """
    if any(Shape(CONSTANT, name).estimable(points, point) for name in (PER_REPLICA, HIERARCHICAL)):
        return ""
    counts = sorted({each.replicas for each in points if each.replicas > 1})
    batches = sorted({each.replica_batch for each in points})
    alike = [each for each in points if (each.nodes > 1) == (point.nodes > 1)]
    if point.nodes > 1 and not any(each.nodes > 1 for each in points):
        return "no run on several nodes was measured: measure two numbers of nodes"
    if point.nodes > 1 and len({each.replicas for each in alike}) < 2:
        return (f"{alike[0].replicas} replicas on {alike[0].nodes} nodes alone cannot tell what a further node costs: "
                "measure another number of nodes")
    if point.replicas > 1 and point.replicas not in counts and len(counts) < 2:
        have = sorted({each.replicas for each in points})
        return (f"{' and '.join(map(str, have))} replica{'s' * (have != [1])} alone cannot tell what a further one "
                "costs: measure another count")
    if len(batches) == 1 and point.replica_batch not in batches:
        return (f"every run had {batches[0]:g} examples per replica, which says nothing of {point.replica_batch:g}: "
                "measure a second replica batch")
    return (f"the measured points do not determine the step of {point.replicas} "
            f"replica{'s' * (point.replicas > 1)} at {point.replica_batch:g} examples each: measure more replica "
            "counts or batches")
