"""Training examples that are on the device for the whole run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.arrays import Arrays, count, each
from ...data.order import left_over
from ..strategies.base import Strategy
from .base import as_placed, Layout, Part


class Resident:
    """All examples on every local replica's device; only the order changes from epoch to epoch."""

    kind = "resident"

    def __init__(self, x: Arrays, y: Arrays, strategy: Strategy) -> None:
        self._x, self._y = (strategy.place_each(each(as_placed, part)) for part in (x, y))
        self._strategy = strategy
        self._order: Any = None
        self._host_order: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._examples = count(y)

    def layout(self, global_batch: int) -> Layout:
        """Return the layout of the whole epoch's order, which every replica reads its slice of."""
        return Layout(global_batch, max(1, self._examples // global_batch), True)

    def set_order(self, order: npt.NDArray[np.int32], base: int, key: Sequence[int] = (0, 0)) -> None:
        """Set the order of the examples from step `base` on, int32[steps x batch], and copy it to the devices."""
        self._order, self._base, self._host_order = self._strategy.place(as_placed(order)), base, order

    def parts(self, start: int, stop: int, global_batch: int) -> Iterator[Part]:
        """Yield all steps in one call of the loop."""
        yield self._x, self._y, self._order, start, stop, self._base

    def left_over(self, global_batch: int) -> tuple[Any, Any, Any]:
        """Return all examples, and the places of those that are left over at the end of the epoch."""
        return self._x, self._y, self._strategy.place(as_placed(left_over(self._host_order, global_batch)))
