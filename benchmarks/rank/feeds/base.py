"""The seam between the training loop and where its examples come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Part = tuple[Any, Any, Any, int, int, int]
"""x, y, order, start, stop, base: the arguments of one call of the loop, without the rates."""


@dataclass(frozen=True)
class Layout:
    """Place of a step's examples in `order`: row `k - base`, `stride` positions long; `rows` rows, then round again.

    `whole_epoch`: a row is a global batch, in which a replica goes by its number among all; else a row is what one
    replica needs, and each has its own.
    """

    stride: int
    rows: int
    whole_epoch: bool


class Feed(Protocol):
    """Source of the training loop's examples."""

    kind: str

    def layout(self, global_batch: int) -> Layout:
        """Return how a step finds its examples in a part."""

    def set_order(self, order: npt.NDArray[np.int32], base: int, key: Sequence[int] = (0, 0)) -> None:
        """Set the order of the examples from step `base` on; `key`: the seed and the epoch that it is of."""

    def parts(self, start: int, stop: int, global_batch: int) -> Iterator[Part]:
        """Yield the steps [start, stop), in calls of the loop."""

    def left_over(self, global_batch: int) -> tuple[Any, Any, Any]:
        """Return x, y and order of the examples that are left over at the end of the epoch, for all replicas."""
