"""An all-reduce that was timed over sizes: its seconds at any size, and on other numbers of ranks.

Libraries change protocol and algorithm with the size, so no single latency and bandwidth holds at all sizes. Between
two sizes that were timed the seconds are read off a line. How they grow with ranks depends on the
algorithm, and on how much of them are messages and how much bytes; times on one number of ranks tell neither, so that
intervals span what all of them leave open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...statistics.estimate import Estimate, exp, Floats, t_critical, unknown

FEWEST_SIZES = 3  # of a curve whose error can be told
NEAR = 2  # stretches either side of a size whose slopes count there
NEIGHBOURS = 3  # sizes either side whose errors count there
ROUNDING = 1e-3  # of seconds that are printed with four figures


@dataclass(frozen=True)
class Way:
    """One algorithm: the factors by which its messages and its bytes grow on other ranks. `nodes`: whether what happens
    inside a node does not grow."""

    messages: float
    bytes: float
    nodes: bool = False

    def growth(self, latency_share: float, inside: float) -> float:
        """Return the seconds over those timed, where so much of them is latency, and `inside` of them within nodes."""
        fixed = inside if self.nodes else 0.0
        return fixed + (1 - fixed) * (latency_share * self.messages + (1 - latency_share) * self.bytes)


@dataclass(frozen=True)
class TimedAllReduce:
    """Seconds of an all-reduce on `ranks` ranks by bytes, at FEWEST_SIZES sizes or more. nodes: that these ranks shared
    alike, 0 where that is not known; name: of the file, for people."""

    name: str
    ranks: int
    nodes: int
    seconds: Mapping[int, float]

    @cached_property
    def _logs(self) -> tuple[Floats, Floats]:
        sizes = np.asarray(sorted(self.seconds), dtype=np.float64)
        return np.log(sizes), np.log(np.asarray([self.seconds[int(size)] for size in sizes]))

    @cached_property
    def _slopes(self) -> Floats:
        """Of each stretch between two sizes, on log scales: 0 is all latency, 1 all bytes."""
        sizes, times = self._logs
        return np.asarray(np.clip(np.diff(times) / np.diff(sizes), 0.0, 1.0))

    @cached_property
    def misses(self) -> Floats:
        """Return the logarithm of the seconds of each size between others over what is read off its neighbours."""
        sizes, times = (np.exp(logs) for logs in self._logs)
        share = (sizes[1:-1] - sizes[:-2]) / (sizes[2:] - sizes[:-2])
        return np.asarray(np.log(times[1:-1] / (times[:-2] + share * (times[2:] - times[:-2]))))

    @property
    def per_node(self) -> int:
        """Return the ranks that share a node; 0 where that is not known."""
        return math.ceil(self.ranks / self.nodes) if self.nodes else 0

    def at(self, size_bytes: float) -> Estimate:
        """Return the seconds at a size, on the ranks that were timed.

        The interval is Student's of how far sizes near it lie from the lines through their neighbours. Below the
        smallest size the time is between that of it and its share in proportion; above the largest it grows as the
        last sizes do, at most in proportion.
        """
        sizes, times = self._logs
        at, count = math.log(size_bytes), len(times)
        first = int(np.clip(np.searchsorted(sizes, at), 1, count - 1))  # the stretch's right end
        near = self.misses[max(0, first - 1 - NEIGHBOURS):first - 1 + NEIGHBOURS]
        miss = max(ROUNDING, float(t_critical(near.size) * np.sqrt(np.mean(near ** 2))))
        middle = math.log(np.interp(size_bytes, np.exp(sizes), np.exp(times)))
        low = high = middle
        if at < sizes[0]:
            low = middle - (sizes[0] - at)
        elif at > sizes[-1]:
            beyond, slopes = at - sizes[-1], self._slopes[-NEAR:]
            last, before = math.exp(times[-1]), math.exp(times[-2])
            more = max(0.0, last - before) / (math.exp(sizes[-1]) - math.exp(sizes[-2]))
            middle = math.log(last + more * (size_bytes - math.exp(sizes[-1])))
            low = min(middle, times[-1] + slopes.min() * beyond)
            high = max(middle, times[-1] + beyond)
        return Estimate(exp(middle), exp(low - miss), exp(high + miss), count)

    def on(self, replicas: int, size_bytes: float, inside: TimedAllReduce | None = None) -> Estimate:
        """Return the seconds on other ranks: those of the fastest algorithm, as libraries choose, in an interval that
        spans all of them, whatever share of the seconds is latency.

        inside: an all-reduce within one node, which a node's own replicas take and which does not grow with nodes.
        Unknown where the times are of one node alone and the replicas are more.
        """
        if inside is not None and replicas <= inside.ranks:
            return inside.on(replicas, size_bytes)
        here = self.at(size_bytes)
        if replicas == self.ranks:
            return here
        if replicas == 1:
            return Estimate(0.0, 0.0, 0.0, here.n)
        if self.nodes == 1 and replicas > self.ranks:
            return unknown()
        latency = self._latency_shares(size_bytes)
        known = min(1.0, inside.at(size_bytes).value / here.value) if inside is not None else 0.0
        ways = tuple(self._ways(replicas))
        growths = [way.growth(share, part) for way in ways for share in latency
                   for part in ((known, 1.0) if way.nodes and inside is None else (known,))]
        middle = min(way.growth(sum(latency) / 2, known) for way in ways)
        # One node's own links may be so fast that its replicas need next to no time.
        least = 0.0 if 1 < self.nodes and replicas <= self.per_node else min(growths)
        return Estimate(here.value * middle, here.low * least, here.high * max(growths), here.n)

    def _latency_shares(self, size_bytes: float) -> tuple[float, float]:
        """The least and the most of the seconds that may be latency, by how time grows at the sizes near."""
        sizes, _ = self._logs
        first = int(np.clip(np.searchsorted(sizes, math.log(size_bytes)), 1, len(sizes) - 1))
        near = self._slopes[max(0, first - NEAR):first + NEAR - 1]
        return float(1 - near.max()), float(1 - near.min())

    def _ways(self, replicas: int) -> Iterator[Way]:
        """A flat ring, halving and doubling or a tree; between the nodes alone, by a ring and by a tree."""
        moved = (1 - 1 / replicas) / (1 - 1 / self.ranks)
        yield Way((replicas - 1) / (self.ranks - 1), moved)
        yield Way(math.log2(replicas) / math.log2(self.ranks), moved)
        if self.nodes > 1 and replicas > self.per_node:
            nodes = math.ceil(replicas / self.per_node)
            between = (1 - 1 / nodes) / (1 - 1 / self.nodes)
            yield Way((nodes - 1) / (self.nodes - 1), between, nodes=True)
            yield Way(math.log2(nodes) / math.log2(self.nodes), between, nodes=True)
