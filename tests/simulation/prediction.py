"""Throughput at replica counts that were not measured, two to eight times as many as were, on clusters whose truth is
known: 1, 2, 4 and 8 replicas, or full nodes of 4, at 32 and 256 examples each, three launches, 2 % noise of a launch.
Predicted are 16, 32 and 64 replicas at 32 examples. One truth looks like a straight line up to 8 replicas and is
congestion: its intervals are wide, for both are possible. *Width* is the upper end over the lower. A refusal covers
anything and is counted in the note; where the truth is not to be known from what was measured, *seen* is the share of
predictions that were refused. Where 1 and 2 replicas were measured, or 1, 2 and 4, up to 8 are predicted with what
public curves of GPUs say: congestion that three counts do not show yet, and memory that two replicas just do not fill,
are on no such machine, and are in no interval. Where a full node and two were measured, more nodes follow by published
tables: steps of some milliseconds that wait for ever more messages between nodes are in none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from simulation.coverage import Coverage
from support.synthetic_records import Study, Timing, results

from batchscale.analysis.laws.step.model import step_seconds
from batchscale.analysis.prediction.forecast import Prediction
from batchscale.analysis.prediction.replicas import forecasts
from batchscale.analysis.tables.results import Results

Truth = Callable[[int, int, float], float]
"""(replicas, nodes, examples per replica) -> seconds of a step."""
BATCHES = (32, 256)
PREDICTED_BATCH = 32
NOISE = 0.02
ONE_NODE = (1, 2, 4, 8)


@dataclass(frozen=True)
class Cell:
    """A cluster: `truth` draws one; `measured` and `predicted` replica counts; nodes of `per_node` replicas. `known`:
    whether the measured points determine the predicted ones."""

    truth: Callable[[np.random.Generator], Truth]
    measured: tuple[int, ...] = ONE_NODE
    predicted: tuple[int, ...] = (16, 32, 64)
    per_node: int = 1024
    batches: tuple[int, ...] = BATCHES
    known: bool = True

    def nodes(self, replicas: int) -> int:
        return math.ceil(replicas / self.per_node)


def _compute(rng: np.random.Generator) -> Callable[[float], float]:
    fixed, each = rng.uniform(2e-3, 6e-3), rng.uniform(0.5e-4, 1.5e-4)
    return lambda examples: fixed + each * examples


def _exchange(rng: np.random.Generator, share: float = 1.0) -> Callable[[int], float]:
    """A ring's messages and bytes, in seconds."""
    message, size = share * rng.uniform(0.5e-4, 1.5e-4), share * rng.uniform(6e-3, 18e-3)
    return lambda p: 2 * (p - 1) * message + (p - 1) / p * size


def _ring(rng: np.random.Generator) -> Truth:
    compute, exchange = _compute(rng), _exchange(rng)
    return lambda p, m, n: compute(n) + exchange(p)


def _overlap(rng: np.random.Generator) -> Truth:
    compute, exchange, overlap = _compute(rng), _exchange(rng), rng.uniform(1.5, 5)
    return lambda p, m, n: step_seconds(compute(n), exchange(p), 0, overlap)


def _stragglers(rng: np.random.Generator) -> Truth:
    """Every step waits for the slowest of p, whose excess grows as the largest of p normal values does."""
    compute, exchange, spread = _compute(rng), _exchange(rng, 0.3), rng.uniform(0.03, 0.1)
    return lambda p, m, n: compute(n) * (1 + spread * math.sqrt(2 * math.log(p))) + exchange(p)


def _shared(rng: np.random.Generator) -> Truth:
    """The time of an example grows with the replicas that read from the same memory."""
    exchange, slowing = _exchange(rng, 0.3), rng.uniform(0.08, 0.3)
    fixed, each = rng.uniform(2e-3, 6e-3), rng.uniform(0.5e-4, 1.5e-4)
    return lambda p, m, n: fixed + each * n * (1 + slowing * (p / m - 1)) + exchange(p)


def _saturated(rng: np.random.Generator) -> Truth:
    """Memory that serves two replicas at their full speed and more in turn: no law here has this edge."""
    compute, exchange = _compute(rng), _exchange(rng, 0.3)
    return lambda p, m, n: compute(n * max(1.0, p / m / 2)) + exchange(p)


def _congestion(rng: np.random.Generator) -> Truth:
    compute, size, pairs = _compute(rng), rng.uniform(2e-3, 6e-3), rng.uniform(1e-4, 3e-4)
    return lambda p, m, n: compute(n) + (p - 1) / p * size + pairs * p * p * (p > 1)


def _congested_ring(rng: np.random.Generator) -> Truth:
    """A ring that costs less for each further replica and congestion that costs more: up to 8 they make a line."""
    compute, exchange, pairs = _compute(rng), _exchange(rng, 0.6), rng.uniform(0.5e-4, 2e-4)
    return lambda p, m, n: compute(n) + exchange(p) + pairs * p * (p - 1)


def _nodes(rng: np.random.Generator) -> Truth:
    """Rings inside nodes, and one between nodes over the shard of each, on a link that is slower."""
    compute, inside = _compute(rng), _exchange(rng, 0.3)
    message, size = rng.uniform(1e-4, 5e-4), rng.uniform(10e-3, 40e-3)
    return lambda p, m, n: (compute(n) + inside(p // m)
                            + 2 * (m - 1) * message + (m - 1) / m * size / (p / m))


TRUTHS: Mapping[str, Callable[[np.random.Generator], Truth]] = {
    "ring": _ring, "ring that overlaps with compute": _overlap, "stragglers": _stragglers, "shared memory": _shared,
    "shared memory from two replicas on": _saturated, "congestion": _congestion,
    "ring that congests, nearly a line up to 8": _congested_ring}
CELLS: Mapping[str, Cell] = {
    **{name: Cell(truth) for name, truth in TRUTHS.items()},
    "ring, one batch": Cell(_ring, batches=(PREDICTED_BATCH,), predicted=(16, 32)),
    "full nodes": Cell(_nodes, measured=(1, 4, 8, 16, 32), predicted=(64,), per_node=4),
    "one, two and four nodes": Cell(_nodes, measured=(1, 2, 4, 8, 16), predicted=(32, 64), per_node=4),
    "1, 2 and 4 on one node, 8 on two": Cell(_nodes, per_node=4),
    **{f"{name}; 1, 2 and 4": Cell(truth, measured=(1, 2, 4), predicted=(8,)) for name, truth in TRUTHS.items()},
    **{f"{name}; 1 and 2": Cell(truth, measured=(1, 2), predicted=(4, 8)) for name, truth in TRUTHS.items()},
    "8 on two nodes alone": Cell(_nodes, measured=(8,), per_node=4, known=False)}
# Nothing that was measured, there or on the machines of public curves, tells of these.
UNSEEN = ("1, 2 and 4 on one node, 8 on two", "congestion; 1, 2 and 4",
          "ring that congests, nearly a line up to 8; 1, 2 and 4", "congestion; 1 and 2",
          "shared memory from two replicas on; 1 and 2")


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Simulate `studies` clusters of one cell, from tables to predictions, and hold each prediction to the truth."""
    of, rng = CELLS[cell], np.random.default_rng([seed, list(CELLS).index(cell)])
    seen: dict[int, list[bool]] = {count: [] for count in of.predicted}
    widths: dict[int, list[float]] = {count: [] for count in of.predicted}
    shares = []
    for _ in range(studies):
        truth = of.truth(rng)
        for one in _predictions(of, truth, rng):
            if one.refusal:
                continue
            step = truth(one.replicas, of.nodes(one.replicas), one.replica_batch)
            found, share = one.step_seconds, truth(1, 1, one.replica_batch) / step
            seen[one.replicas].append(found.low <= step <= found.high)
            widths[one.replicas].append(found.high / found.low)
            shares.append(one.efficiency.low <= share <= one.efficiency.high)
    asked, made = studies * len(of.predicted), sum(map(len, seen.values()))
    if not of.known:
        return Coverage(cell, 1.0, 1 - made / asked, math.nan, studies, "share of predictions refused")
    hits = sum(map(sum, seen.values()))
    note = "; ".join(f"{count}: {np.mean(seen[count]):.0%}, width {np.median(widths[count]):.2f}"
                     for count in of.predicted if seen[count])
    note += f"; efficiency {np.mean(shares):.0%}" if shares else ""
    note += f"; {1 - made / asked:.1%} refused, of the others {hits / max(made, 1):.1%} hold the truth" if (
        made < asked) else ""
    middle = float(np.median([width for each in widths.values() for width in each])) if made else math.nan
    return Coverage(cell, 0.95, (hits + asked - made) / asked, middle, studies, note)


def _predictions(of: Cell, truth: Truth, rng: np.random.Generator) -> Iterator[Prediction]:
    made = _tables(of.measured, of.batches)
    runs = made.runs.copy()
    runs["nodes"] = [of.nodes(int(count)) for count in runs["replicas"]]
    steps = [truth(int(replicas), int(nodes), float(batch))
             for replicas, nodes, batch in zip(runs["replicas"], runs["nodes"], runs["replica_batch"])]
    runs["step_seconds"] = steps * np.exp(rng.normal(0, NOISE, len(runs)))
    runs["examples_per_second"] = runs["global_batch"] / runs["step_seconds"]
    found, = forecasts(replace(made, runs=runs), of.predicted)
    yield from (one for one in found.predictions if one.replica_batch == PREDICTED_BATCH)


@lru_cache
def _tables(measured: tuple[int, ...], batches: tuple[int, ...]) -> Results:
    """The tables of such a study, whose times each simulated study replaces."""
    timing = Timing(replicas=measured, replica_batches=batches, global_batches=(), strategies=("mirrored",))
    made = results(Study(experiments=(), timing=timing, memory=None, train_examples=65_536))
    return replace(made, runs=made.runs[made.runs["experiment"] != "drift_guard"])
