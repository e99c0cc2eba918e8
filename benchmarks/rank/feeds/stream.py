"""Training examples from the host's memory, by tf.data in chunks of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...data.arrays import Arrays, count, each, size_bytes
from ...data.order import left_over
from ..strategies.base import Strategy
from .base import as_placed, Layout, Part, sends_ahead

CHUNK_BYTES = 32 * 1024**2


class Stream:
    """Examples stay on the host; tf.data gathers the next chunk of steps while the device trains on this one.

    Chunks have one length, and the pipeline goes on from one call of `parts` to the next: a window that had to start
    it, or to trace the loop for a shorter chunk, would time that and not the training.
    """

    kind = "stream"

    def __init__(self, x: Arrays, y: Arrays, strategy: Strategy) -> None:
        self._x, self._y, self._strategy, self._examples = x, y, strategy, count(y)
        self._example_bytes = size_bytes(x) // self._examples
        self._order: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._base, self._first, self._batch = 0, 0, 0
        self._datasets: dict[int, Any] = {}
        self._open: Any = None
        self._held: tuple[Any, Any, int] | None = None
        self._sent: tuple[Any, Any, int] | None = None
        self.ahead = sends_ahead()

    def _share(self, global_batch: int) -> int:
        return global_batch // self._strategy.replicas * self._strategy.local_replicas

    def _rows(self, global_batch: int) -> int:
        row_bytes = max(1, self._share(global_batch) * self._example_bytes)
        return int(max(1, min(CHUNK_BYTES // row_bytes, self._examples // global_batch)))

    def layout(self, global_batch: int) -> Layout:
        """Return the layout of pieces that hold each replica's own examples of a few steps."""
        return Layout(global_batch // self._strategy.replicas, self._rows(global_batch), False)

    def set_order(self, order: npt.NDArray[np.int32], base: int, key: Sequence[int] = (0, 0)) -> None:
        """Set the order of the examples from step `base` on; the same order once more is no reason to begin anew."""
        if base != self._base or not np.array_equal(order, self._order):
            self._open = self._held = self._sent = None
            self._order, self._base = order, base

    def parts(self, start: int, stop: int, global_batch: int) -> Iterator[Part]:
        """Yield the steps [start, stop) in calls of the loop, each with its piece of the examples."""
        rows, share = self._rows(global_batch), global_batch // self._strategy.replicas
        positions = self._strategy.place(as_placed(np.arange(rows * share, dtype=np.int32)))
        while start < stop:
            x, y, first = self._chunk_of(start, global_batch)
            until = min(stop, first + rows)
            yield x, y, positions, start, until, first
            start = until

    def left_over(self, global_batch: int) -> tuple[Any, Any, Any]:
        """Return the examples that are left over at the end of the epoch, on every device, and their places."""
        rows, place = left_over(self._order, global_batch), self._strategy.place_each
        x, y = (place(each(lambda values: as_placed(values[rows]), part)) for part in (self._x, self._y))
        return x, y, self._strategy.place(as_placed(np.arange(len(rows), dtype=np.int32)))

    def _chunk_of(self, step: int, global_batch: int) -> tuple[Any, Any, int]:
        """The chunk that holds the step, on the devices, and its first step."""
        rows = self._rows(global_batch)
        if self._batch != global_batch or self._held is None or not self._held[2] <= step < self._held[2] + rows:
            coming = self._sent[2] if self._sent else self._first
            if self._batch != global_batch or self._open is None or step != coming:
                self._start(step, global_batch)
            self._held = self._sent or self._send(rows)
            self._sent = self._send(rows) if self.ahead else None
        return self._held

    def _send(self, rows: int) -> tuple[Any, Any, int]:
        """The next chunk, on its way to the devices, and its first step."""
        x, y = (self._strategy.place_shares(each(as_placed, part), rows) for part in next(self._open))
        first, self._first = self._first, self._first + rows
        return x, y, first

    def _start(self, step: int, global_batch: int) -> None:
        self._open = self._held = self._sent = None
        self._first, self._batch = step, global_batch
        if global_batch not in self._datasets:
            spec = tuple(each(lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), part)
                         for part in (self._x, self._y))
            chunks = tf.data.Dataset.from_generator(lambda: self._chunks(self._first, global_batch),
                                                    output_signature=spec)
            self._datasets[global_batch] = chunks.prefetch(2).with_options(_fixed())
        self._open = iter(self._datasets[global_batch])

    def _chunks(self, start: int, global_batch: int) -> Iterator[tuple[Arrays, Arrays]]:
        """This process' examples, step by step, from this step on; beyond the epoch's end, where nobody asks, its order
        comes again."""
        order, base, rows, share = self._order, self._base, self._rows(global_batch), self._share(global_batch)
        epoch_steps = max(1, self._examples // global_batch)  # 1 where examples are repeated to fill a batch
        mine = self._strategy.rank * share + np.arange(share)
        while True:
            steps = (np.arange(start, start + rows) - base) % epoch_steps
            index = order[(steps[:, None] * global_batch + mine).ravel()]
            yield each(lambda a: a[index], self._x), each(lambda a: a[index], self._y)
            start += rows


def _fixed() -> tf.data.Options:
    """Without autotuning: there is nothing to tune, and a pipeline's end may wait for its thread for ever."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return options
