"""Training examples that stay on disk: read, decoded and augmented while the device trains on the batch before.

The order is the same as everywhere: one permutation of seed and epoch, each step a slice of it, each process its part
of that. Augmentation is of seed, epoch and example alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...data.disk.augmentation import draws
from ...data.disk.encoded import EncodedImages
from ...data.order import left_over
from ..strategies.base import Strategy
from .base import as_placed, Layout, Part, sends_ahead
from .image_pipeline import ENDLESS, Batches, Chosen, ImagePipeline


class DiskFeed:
    """One step's examples at a time. The pipeline goes on from one call of `parts` to the next, as in an ordinary
    training loop: to start it anew for every window would be timed."""

    kind = "disk"

    def __init__(self, images: EncodedImages, labels: npt.NDArray[Any], strategy: Strategy, dtype: str) -> None:
        self._pipeline = ImagePipeline(images, labels, dtype, augmented=True)
        self._numbers, self._strategy = images.number, strategy
        self._order: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._base, self._key, self._first = 0, (0, 0), 0
        self._left: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._datasets: dict[int, Batches] = {}
        self._last: dict[int, Batches] = {}
        self._open: Any = None
        self._next = (0, 0)
        self._sent: dict[tuple[int, int], tuple[Any, Any]] = {}
        self.ahead = sends_ahead()

    def _share(self, global_batch: int) -> int:
        return global_batch // self._strategy.replicas * self._strategy.local_replicas

    def layout(self, global_batch: int) -> Layout:
        """Return the layout of parts that hold each replica's own examples of a step in order."""
        return Layout(global_batch // self._strategy.replicas, 1, False)

    def set_order(self, order: npt.NDArray[np.int32], base: int, key: Sequence[int] = (0, 0)) -> None:
        """Set the order of the examples from step `base` on; the same order once more is no reason to begin anew.
        `key`: seed and epoch of the order."""
        if (base, *key) == (self._base, *self._key) and np.array_equal(order, self._order):
            return
        self._open = None  # before its order changes
        self._sent.clear()
        self._order, self._base, self._key = order, base, (key[0], key[1])

    def parts(self, start: int, stop: int, global_batch: int) -> Iterator[Part]:
        """Yield the steps [start, stop) in calls of the loop, each with the examples that it reads."""
        share = global_batch // self._strategy.replicas
        positions = self._strategy.place(as_placed(np.arange(share, dtype=np.int32)))
        if self._open is None or (start, global_batch) not in (self._sent or (self._next,)):
            self._start(start, global_batch)
        for step in range(start, stop):
            key = step, global_batch
            x, y = self._sent.pop(key) if key in self._sent else self._send(*key)
            if self.ahead:
                self._sent[step + 1, global_batch] = self._send(step + 1, global_batch)
            yield x, y, positions, step, step + 1, step

    def _send(self, step: int, global_batch: int) -> tuple[Any, Any]:
        """The examples of a step, on their way to the devices."""
        x, y = self._batch(step, global_batch)
        return self._strategy.place_shares(x, 1), self._strategy.place_shares(as_placed(y), 1)

    def left_over(self, global_batch: int) -> tuple[Any, Any, Any]:
        """Return the examples that are left over at the end of the epoch, read once, on every device, and their places.
        """
        rows, place = left_over(self._order, global_batch), self._strategy.place_each
        self._open, self._left = None, rows
        self._sent.clear()
        if len(rows) not in self._last:
            self._last[len(rows)] = self._pipeline.batches(lambda at: self._drawn(self._left[at]), len(rows), len(rows))
        x, y = next(iter(self._pipeline.explained(self._last[len(rows)], lambda: rows)))
        return place(x), place(as_placed(y)), self._strategy.place(as_placed(np.arange(len(rows), dtype=np.int32)))

    def _start(self, step: int, global_batch: int) -> None:
        self._open = None
        self._sent.clear()
        self._first = step
        if global_batch not in self._datasets:
            self._datasets[global_batch] = self._pipeline.batches(
                lambda positions: self._chosen(positions, global_batch), ENDLESS, self._share(global_batch))
        self._open = iter(self._datasets[global_batch])

    def _batch(self, step: int, global_batch: int) -> tuple[Any, Any]:
        try:
            found: tuple[Any, Any] = next(self._open)
        except tf.errors.OpError:
            self._open = None
            self._pipeline.blame(self.rows(step, global_batch))
            raise
        self._next = (step + 1, global_batch)
        return found

    def rows(self, step: int, global_batch: int) -> npt.NDArray[np.integer]:
        """Return the rows of this process' examples of a step."""
        share = self._share(global_batch)
        return self._chosen(np.arange((step - self._first) * share, (step - self._first + 1) * share), global_batch)[0]

    def _chosen(self, positions: npt.NDArray[np.int64], global_batch: int) -> Chosen:
        """The examples at these positions of what this process trains on, counted from the pipeline's first step."""
        share, epoch_steps = self._share(global_batch), max(1, len(self._order) // global_batch)
        step, place = np.divmod(positions, share)
        row = (self._first + step - self._base) % epoch_steps
        at = row * global_batch + self._strategy.rank * share + place
        rows = self._order[at % len(self._order)]  # a batch of more than all examples has some of them again
        return self._drawn(rows)

    def _drawn(self, rows: npt.NDArray[np.int32]) -> Chosen:
        return rows, draws(*self._key, self._numbers[rows])
