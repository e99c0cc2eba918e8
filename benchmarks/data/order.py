"""Which example is seen when: one global order per epoch, and each replica's part of each step.

The order depends on the seed and the epoch alone, so every strategy and every replica count sees
the same global batches: step k takes positions [k B, (k+1) B), and replica r of R takes
[r n, (r+1) n) of those, with n = B / R. What is left over at an epoch's end is a smaller batch, where a run takes it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import PlanError
from .random_bits import permutation

_STREAM = 0x0EDE  # keeps this use of a seed apart from every other use of the same number
_SEEDS = 2**32  # SeedSequence splits larger numbers into words, where two inputs could coincide


def epoch_order(seed: int, epoch: int, examples: int, at_least: int = 0) -> npt.NDArray[np.int32]:
    """Return int32[examples], the order of the training examples in epoch 0, 1, ... of a run.

    Where there are fewer examples than `at_least`, they come again in the same order, up to this many positions.
    """
    _check_range("seed", seed, _SEEDS)
    _check_range("epoch", epoch, _SEEDS)
    if examples < 1:
        raise PlanError(f"examples={examples} must be at least 1.")
    order = permutation([_STREAM, seed, epoch], examples)
    return order if at_least <= examples else np.resize(order, at_least)


def steps_per_epoch(examples: int, global_batch: int) -> int:
    """Return floor(N / B), the full global batches of an epoch. Raises PlanError where not even one fits."""
    if not 1 <= global_batch <= examples:
        raise PlanError(f"global_batch={global_batch} must be between 1 and the {examples} "
                        "training examples; lower the global batch or take a larger data set.")
    return examples // global_batch


def replica_batch(global_batch: int, replicas: int) -> int:
    """Return n = B / R, the examples of one replica per step. Raises PlanError where R does not divide B."""
    if replicas < 1:
        raise PlanError(f"replicas={replicas} must be at least 1.")
    if global_batch < 1 or global_batch % replicas:
        below = global_batch // replicas * replicas
        nearest = f"{below} and {below + replicas}" if below > 0 else str(replicas)
        raise PlanError(f"global_batch={global_batch} is not divisible by {replicas} replicas; "
                        f"nearest valid: {nearest}.")
    return global_batch // replicas


def replica_slice(step: int, global_batch: int, replica: int, replicas: int) -> slice:
    """Return the positions of the epoch's order that one replica takes at one step of the epoch."""
    n = replica_batch(global_batch, replicas)
    _check_range("replica", replica, replicas)
    if step < 0:
        raise PlanError(f"step={step} must be at least 0.")
    start = step * global_batch + replica * n
    return slice(start, start + n)


def left_over(order: npt.NDArray[np.int32], global_batch: int) -> npt.NDArray[np.int32]:
    """Return the examples at an epoch's end that are too few for a batch."""
    return order[len(order) // global_batch * global_batch:]


def last_shares(left_over: int, parts: int) -> list[slice]:
    """Return the place of each part in the `left_over` examples of an epoch's last batch: as equal as they can be, the
    larger first, and empty ones where there are fewer examples than parts.

    >>> last_shares(5, 3)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    stops = [part * (left_over // parts) + min(part, left_over % parts) for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in zip(stops, stops[1:])]


def replica_examples(order: npt.NDArray[np.int32], step: int, global_batch: int, replica: int,
                     replicas: int) -> npt.NDArray[np.int32]:
    """Return int32[n], the training examples that one replica sees at one step of the epoch."""
    _check_range("step", step, steps_per_epoch(len(order), global_batch))
    return order[replica_slice(step, global_batch, replica, replicas)]


def _check_range(name: str, value: int, end: int) -> None:
    if not 0 <= value < end:
        raise PlanError(f"{name}={value} is out of range; valid: 0 to {end - 1}.")
