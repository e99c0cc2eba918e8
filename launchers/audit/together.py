"""Findings about replicas that should train as one: what they did beside what the lone process did."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...benchmarks.text import percent
from .finding import Finding, NOTE, Seen

SAME = 1e-3  # relative: float32 sums in another order differ by less after some steps
ALIKE = 0.98  # cosine of two updates that are one up to rounding
TIMES = 0.2  # how near to N a ratio lies that is called N times


def findings(seen: Seen) -> Iterator[Finding]:
    """Yield what only several replicas show; nothing where the script was run alone."""
    if not seen.ranks:
        return
    if seen.count < 2:
        yield Finding("one-replica", "the script trains on one replica, whatever strategy was asked for",
                      "fit is called under no strategy with several replicas, nor by several ranks",
                      "the other devices do nothing", "build and compile the model within strategy.scope()")
        return
    apart = list(_weights(seen))
    yield from apart
    if not apart or apart[0].name == "weights-not-broadcast":
        yield from _gradient(seen)
    yield from _examples(seen)
    yield from _rate(seen)


def _weights(seen: Seen) -> Iterator[Finding]:
    """Ranks of one training have equal weights after every step."""
    if seen.together.size < 2:
        return
    steps = seen.of_ranks("step")
    if steps and not all(_equal(steps[0], one) for one in steps[1:]):
        yield Finding("gradients-not-averaged", f"the {seen.count} ranks do not average their gradients: each trains a "
                      "model of its own", "each rank took one step from the same weights on its own part of a batch; "
                      f"their updates differ by {percent(_apart(steps[0], steps[1]))}",
                      f"only rank 0's model is kept, which has seen 1/{seen.count} of the examples, at a rate that was "
                      "scaled for all of them: accuracy is that of fewer examples, and no error is shown. Under Keras "
                      "3 Horovod's DistributedOptimizer is one reason: fit calls apply, which it does not override",
                      "average in the optimizer's apply (hvd.allreduce each gradient), or run the script by "
                      "`batchscale study`, whose ranks are checked; MultiWorkerMirroredStrategy averages by itself")
        return
    weights = seen.of_ranks("weights")
    if weights and not all(_equal(weights[0], one) for one in weights[1:]):
        yield Finding("weights-not-broadcast", f"the {seen.count} ranks begin with different weights",
                      "gradients are averaged, and after the first steps the weights still differ by "
                      f"{percent(_apart(weights[0], weights[1]))}",
                      "every rank applies the same update to other weights: the gradient is no rank's own, and "
                      "accuracy falls with the number of ranks", "broadcast rank 0's weights before the first step, or "
                      "set the same seed on all ranks before the model is built")


def _gradient(seen: Seen) -> Iterator[Finding]:
    """The update of N replicas on the parts of a batch is that of one on all of it."""
    alone, steps = seen.arrays.get("step"), seen.of_ranks("step")
    if alone is None or not steps or len(steps[0]) != len(alone) or not float(alone @ alone):
        return
    together = steps[0]
    lengths = float(np.linalg.norm(alone) * np.linalg.norm(together)) or math.inf
    cosine, ratio = float(alone @ together) / lengths, float(alone @ together) / float(alone @ alone)
    if cosine < ALIKE:
        if seen.alone.normalizes:
            yield Finding("batch-norm-per-replica", "batch normalization takes the mean and variance of each replica's "
                          "part, not of the global batch", f"one step of {seen.count} replicas and one of a single "
                          f"replica on the same examples point apart (cosine {cosine:.3f})",
                          "normal in data-parallel training; with fewer than about 16 examples a replica it costs "
                          "accuracy", "BatchNormalization(synchronized=True), or more examples a replica", NOTE)
        else:
            yield Finding("gradient-is-another", f"one step of {seen.count} replicas is not that of one replica on the "
                          "same global batch", f"the same weights and examples; the cosine of both updates is "
                          f"{cosine:.3f}", "the replicas minimize something else than the script alone does",
                          "look for a loss that depends on the other examples of its batch, or a train_step that uses "
                          "a replica's values as the batch's")
    elif _near(ratio, seen.count):
        yield Finding("gradient-summed", f"the gradient of {seen.count} replicas is their sum, {ratio:.3g} times the "
                      "mean over the global batch", "one step from the same weights on the same examples, alone and "
                      "together", f"the rate is in effect {seen.count} times what was set, once more if it was scaled "
                      "too; under Adam it shows in clipping and weight decay alone",
                      "average: op=hvd.Average, or a loss with reduction=\"sum_over_batch_size\"")
    elif _near(ratio, 1 / seen.count):
        yield Finding("gradient-averaged-twice", f"the gradient of {seen.count} replicas is {ratio:.3g} of the mean "
                      "over the global batch", "one step from the same weights and examples, alone and together",
                      f"the rate is in effect 1/{seen.count} of what was set: training is slow",
                      "divide once: either the loss by the global batch, or the sum of gradients by the replicas")
    yield from _metrics(seen)


def _metrics(seen: Seen) -> Iterator[Finding]:
    """A metric of the same examples is the same number."""
    for name, value in seen.alone.step_metrics.items():
        found = [facts.step_metrics.get(name, math.nan) for facts, _ in seen.ranks]
        mean = float(np.mean(found))
        if value and math.isfinite(mean) and _near(mean / value, seen.count):
            yield Finding("metric-summed", f"{name} is summed over the {seen.count} replicas: {mean:.4g} in place of "
                          f"{value:.4g}", "the same examples and weights, alone and together",
                          f"what is reported, and what stops or chooses by it, is {seen.count} times what it means",
                          "average it: hvd.allreduce(value, op=hvd.Average), or a metric that keeps a sum and a count")


def _examples(seen: Seen) -> Iterator[Finding]:
    """Ranks share the examples of an epoch out."""
    orders = seen.of_ranks("order")
    if seen.together.size < 2 or len(orders) < 2:
        return
    total = set(seen.arrays.get("order", np.zeros(0)).tolist())
    sets = [set(order.tolist()) for order in orders]
    if np.array_equal(orders[0], orders[1]):
        yield Finding("same-examples-on-all-ranks", "every rank trains on the same examples in the same order",
                      "the digests of an epoch's examples, rank by rank",
                      f"the average of {seen.count} equal gradients is one of them: {seen.count} ranks do the work of "
                      "one, at a rate that was scaled for more", "give each rank its part: x[hvd.rank()::hvd.size()], "
                      "or dataset.shard(hvd.size(), hvd.rank())")
        return
    union = set.union(*sets)
    shared = len(sets[0] & sets[1])
    if all(len(one & total) >= 0.999 * len(total) for one in sets) and total:
        yield Finding("an-epoch-on-every-rank", f"every rank goes through all examples: an epoch is {seen.count}",
                      "the digests of an epoch's examples, rank by rank, beside those of the script alone",
                      f"epochs, schedules and early stopping count {seen.count} times too few, and time per epoch does "
                      "not fall with replicas", "give each rank its part, or steps_per_epoch divided by hvd.size()",
                      NOTE)
    elif shared > SAME * len(sets[0]) and sum(map(len, sets)) > len(union):
        yield Finding("shards-overlap", f"the ranks' shards share {shared:,} of {len(sets[0]):,} examples",
                      "the digests of an epoch's examples, rank by rank",
                      "these examples count more than the others, and an epoch is longer than it says",
                      "cut disjoint parts: x[hvd.rank()::hvd.size()]")
    missed = len(total - union)
    if total and missed > 0.01 * len(total):
        yield Finding("shards-incomplete", f"no rank trains on {missed:,} of {len(total):,} examples",
                      "the digests of an epoch's examples of all ranks, beside those of the script alone",
                      "the model is trained on less data than there is", "let the shards make up the whole: "
                      "x[hvd.rank()::hvd.size()]; steps_per_epoch rounded up")


def _rate(seen: Seen) -> Iterator[Finding]:
    """The rate should follow the global batch by one rule, once."""
    alone, together = (max([facts.learning_rate or 0.0, *facts.rates]) for facts in (seen.alone, seen.together))
    batch = seen.alone.batch
    if not alone or not together or not batch or not seen.global_batch:
        return
    rate, grown = together / alone, seen.global_batch / batch
    told = (f"alone: batch {batch:,}, highest rate {alone:.4g}; with {seen.count} replicas: global batch "
            f"{seen.global_batch:,}, highest rate {together:.4g}")
    if rate > 1.05 * max(grown, 1.0) and _near(rate, max(grown, 1.0) * seen.count):
        times = "twice" if grown > 1.05 else "while the global batch is the same"
        yield Finding("rate-scaled-twice", f"the learning rate is scaled by the replicas {times}", told,
                      f"the rate is {seen.count} times what the linear rule gives: training is unstable or diverges",
                      "scale once, where the optimizer is made or in the warm-up callback; where fit's batch is the "
                      "global one, multiply it by the replicas")
    elif grown > 1.5 and abs(rate - 1) < 0.05:
        yield Finding("rate-not-scaled", f"the global batch is {grown:g} times that of one replica, and the learning "
                      "rate is the same", told, "larger batches take fewer steps per epoch: at an unchanged rate and "
                      "equal epochs the model ends less trained",
                      f"scale by a rule ({grown:g} times for SGD, {math.sqrt(grown):.3g} for Adam) with warm-up, or "
                      "measure which: batchscale study SCRIPT --rules constant,linear,sqrt", NOTE)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and _apart(one, other) <= SAME


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The difference over the size of the first."""
    if one.shape != other.shape or not np.isfinite(one).all() or not np.isfinite(other).all():
        return math.inf
    return float(np.linalg.norm(one - other)) / (float(np.linalg.norm(one)) or 1.0)


def _near(ratio: float, value: float) -> bool:
    return abs(ratio / value - 1) <= TIMES
