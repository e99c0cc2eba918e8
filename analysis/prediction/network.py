"""What `--network` says: what exchanging gradients takes, by a link that was given or an all-reduce that was timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...benchmarks.errors import PlanError
from ..importers.benchmarks.collectives import read_timed, said
from ..laws.allreduce import halving_doubling_seconds, hierarchical_seconds, Link, ring_seconds
from ..laws.network.timed import TimedAllReduce
from ..laws.step.laws import OVERLAPS, StepLaws
from ..laws.step.model import StepPoint
from ..laws.step.one_law import StepLaw
from ..laws.step.synchronization import HALVING, HIERARCHICAL, RING
from ..statistics.estimate import Estimate

TIMED = "as timed"
EXAMPLE = "5e-6,8e-11 for 5 microseconds and 12.5 GB/s"


@dataclass(frozen=True)
class Exchange:
    """One account of a step's exchange, `name`, and its seconds, unknown where there is a `refusal`. `law`: whether it
    rests on what was measured, of which a law of the step says more."""

    name: str
    seconds: Callable[[StepLaw | None], Estimate]
    refusal: str = ""
    law: bool = False


@dataclass(frozen=True)
class Network:
    """One or two levels, inside a node first: links, or all-reduces that were timed."""

    links: tuple[Link, ...] = ()
    timed: tuple[TimedAllReduce, ...] = ()

    @property
    def statements(self) -> tuple[str, ...]:
        """Return what each level is, in sentences."""
        where = ("",) if len(self.links) < 2 else (" inside a node", " between nodes")
        links = (f"Network{place}: {link.latency_seconds:g} s per message, {link.bytes_per_second:,.0f} bytes/s."
                 for place, link in zip(where, self.links))
        return (*links, *(f"Network by {each.name}: {said(each)}" for each in self.timed))

    def nodes(self, replicas: int, otherwise: int) -> int:
        """Return the nodes of so many replicas, where the files say how many share one."""
        per_node = self.timed[-1].per_node if self.timed and self.timed[-1].nodes > 1 else 0
        return math.ceil(replicas / per_node) if per_node else otherwise

    def exchanges(self, point: StepPoint, size: float, per_node: int) -> Iterator[Exchange]:
        """Yield what exchanging `size` bytes takes. per_node: replicas of a full node, as measured."""
        if self.timed:
            yield self._timed(point, size)
        elif len(self.links) > 1:
            yield from self._levels(point, size, per_node)
        else:
            yield from self._algorithms(point, size, per_node)

    def _timed(self, point: StepPoint, size: float) -> Exchange:
        outer = self.timed[-1]
        found = outer.on(point.replicas, size, self.timed[0] if len(self.timed) > 1 else None)
        refusal = "" if math.isfinite(found.value) else (
            f"{outer.name} was timed within one node, on {outer.ranks} ranks, and says nothing of more; give what was "
            "timed on several nodes as a second --network")
        return Exchange(TIMED, lambda law: found, refusal)

    def _levels(self, point: StepPoint, size: float, per_node: int) -> Iterator[Exchange]:
        inside, between = self.links
        share = min(per_node, point.replicas)
        if point.replicas % share == 0:
            seconds = hierarchical_seconds(ring_seconds(share, size, inside), point.replicas // share, share, size,
                                           between)
            yield Exchange(HIERARCHICAL, lambda law: _exactly(seconds))

    def _algorithms(self, point: StepPoint, size: float, per_node: int) -> Iterator[Exchange]:
        link, = self.links
        flat = ring_seconds(point.replicas, size, link)
        yield Exchange(RING, lambda law: _exactly(flat))
        if point.replicas & (point.replicas - 1) == 0:
            halved = halving_doubling_seconds(point.replicas, size, link)
            yield Exchange(HALVING, lambda law: _exactly(halved))
        if 1 < per_node < point.replicas and point.replicas % per_node == 0:
            local, nodes = StepPoint(per_node, 1, point.replica_batch), point.replicas // per_node
            # Inside a node at the cost that was measured there; between nodes a ring over the shard of each.
            yield Exchange(HIERARCHICAL, lambda law: _exactly(hierarchical_seconds(
                law.synchronization_seconds(local) if law else math.nan, nodes, per_node, size, link)), law=True)


def _exactly(seconds: float) -> Estimate:
    return Estimate(seconds, seconds, seconds, 0)


def spanning(laws: StepLaws, point: StepPoint, exchange: Callable[[StepLaw], Estimate]) -> Estimate:
    """Return the seconds of a step whose exchange has an interval: from its low end to its high end by the laws.

    One replica batch does not tell how much of an exchange hides behind compute, and laws of it are fitted with nothing
    hidden: then the low end is with as much hidden as any law has it.
    """
    found = laws.predict_seconds(point, lambda law: exchange(law).value)
    high = laws.predict_seconds(point, lambda law: exchange(law).high).high
    if len({each.replica_batch for each in laws.points}) == 1:
        laws = replace(laws, laws=tuple(replace(law, overlap=OVERLAPS[-1]) for law in laws.laws))
    low = laws.predict_seconds(point, lambda law: exchange(law).low).low
    return Estimate(found.value, min(low, found.low), high, found.n)


def beside(alone: Estimate, exchange: Estimate) -> Estimate:
    """Return the seconds of a step of which only one replica's is known: the exchange follows it, or hides behind it
    wholly, which is the low end. A single launch adds no spread of its own."""
    low, high = (alone.low, alone.high) if alone.has_interval else (alone.value, alone.value)
    return Estimate(alone.value + exchange.value, max(low, exchange.low), high + exchange.high, alone.n)


def placed(runs: pd.DataFrame, per_node: int) -> pd.DataFrame:
    """Return the runs with the nodes of those that do not say them, where so many replicas share one; 0: as they are.

    Raises PlanError where more replicas are known to have shared a node.
    """
    if not per_node or runs.empty:
        return runs
    shared = (runs["replicas"] / runs["nodes"]).max()
    if per_node < 0 or shared > per_node:
        raise PlanError(f"--topology {per_node}: {shared:g} replicas shared a node in these results; give the replicas "
                        "of a full node, such as 8.")
    return runs.assign(nodes=runs["nodes"].fillna(np.ceil(runs["replicas"] / per_node)))


def given_network(texts: Sequence[str], ranks: int = 0) -> Network | None:
    """Return the network that each of `texts` describes, inside a node first where there are two: `ALPHA,BETA`, seconds
    per message and seconds per byte, or a file of nccl-tests or OSU. None without any.

    ranks: of the files, where they do not say them. Raises PlanError for other text, unless 0 <= ALPHA < 10 and
    0 < BETA < 1, and for levels that do not go together; RecordError for a file that gives no network.
    """
    given = [text for text in texts if text]
    if not given:
        return None
    if len(given) > 2:
        raise PlanError(f"--network stands {len(given)} times; once, or twice: inside a node, and between nodes.")
    files = [Path(text) for text in given if _is_file(text)]
    if not files:
        return Network(links=tuple(_link(text) for text in given))
    if len(files) < len(given):
        raise PlanError("--network is a file once and numbers once; give both levels as files, or both as ALPHA,BETA.")
    timed = sorted((read_timed(path, ranks) for path in files), key=lambda one: (one.nodes or 2, one.ranks))
    if len(timed) > 1 and (timed[0].nodes != 1 or timed[1].nodes == 1):
        raise PlanError(f"of two files for --network one is timed within one node and one on several; "
                        f"{timed[0].name} has {timed[0].nodes or 'an unknown number of'} nodes and {timed[1].name} "
                        f"{timed[1].nodes or 'an unknown number of'}.")
    return Network(timed=tuple(timed))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _link(text: str) -> Link:
    try:
        alpha, beta = (float(part) for part in text.split(","))
    except ValueError:
        alpha = beta = math.nan
    if not (0 <= alpha < 10 and 0 < beta < 1):
        raise PlanError(f"--network {text[:200]!r} must be ALPHA,BETA: seconds per message and seconds per byte, such "
                        f"as {EXAMPLE}; or a file that nccl-tests or OSU printed.")
    return Link(alpha, 1 / beta)
