"""How the gradients of a step go from replica to replica: in one piece, or in groups while the others are computed.

A group is exchanged by an operation of its own, which waits for its gradients alone: the graph starts it while the
backward pass goes on to earlier layers. In one piece, the exchange waits for the last gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...config.choices import GROUPS

GROUP_COUNT = 4
# PyTorch's data parallelism cuts gradients here, too: by far more, nothing is left to be hidden behind.
LARGEST_BYTES = 25 * 2**20

Mean = Callable[[Sequence[Any]], Sequence[Any]]


class Exchange:
    """The mean of a step's gradients over all replicas, each weight's at its own place in the sequence."""

    def __init__(self, way: str, mean: Mean, weights: Sequence[Any]) -> None:
        """`mean`: a strategy's, of the gradients that it is given at once. `weights`: in the order of the model."""
        self._mean = mean
        self._bytes = [weight.shape.num_elements() * weight.dtype.size for weight in weights]
        self._groups = grouped(self._bytes) if way == GROUPS else [list(range(len(self._bytes)))]

    def __call__(self, gradients: Sequence[Any]) -> list[Any]:
        """Return the mean of each, inside a strategy's `run`; what comes behind the weights' own goes with the last
        group."""
        found = list(gradients)
        *first, last = self._groups
        for group in (*first, [*last, *range(len(self._bytes), len(found))]):
            for place, mean in zip(group, self._mean([gradients[place] for place in group]), strict=True):
                found[place] = mean
        return found

    @property
    def group_bytes(self) -> list[int]:
        """Return the size of each group of the weights' gradients, in the order in which they are sent."""
        return [sum(self._bytes[place] for place in group) for group in self._groups]


def grouped(sizes: Sequence[int]) -> list[list[int]]:
    """Return the places of gradients of these sizes by group, the last layer's first, as the backward pass gives them.

    A group takes the next gradient where that brings it nearer to a quarter of all, or to LARGEST_BYTES where a quarter
    is more.

    >>> grouped([400, 100, 300, 100, 300, 100])
    [[5, 4], [3, 2], [1, 0]]
    """
    wanted = min(LARGEST_BYTES, sum(sizes) / GROUP_COUNT)
    groups, held = [list[int]()], 0
    for place in reversed(range(len(sizes))):
        if groups[-1] and abs(held + sizes[place] - wanted) > abs(held - wanted):
            groups.append([])
            held = 0
        groups[-1].append(place)
        held += sizes[place]
    return groups
