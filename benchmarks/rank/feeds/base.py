"""The seam between the training loop and where its examples come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

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


def as_placed(values: Any) -> Any:
    """Return whole numbers of 32 bits as ones of 64 where this process has GPUs, all else as it is.

    Beside GPUs TensorFlow keeps int32 in the host's memory, and sends all of a data set's labels in every step to the
    GPU, which waits for them. A step makes int32 again of what it has chosen.
    """
    if values.dtype not in (np.int32, tf.int32) or not tf.config.list_logical_devices("GPU"):
        return values
    if not tf.is_tensor(values):
        return values.astype(np.int64)
    with tf.device("CPU:0"):
        return tf.cast(values, tf.int64)


def sends_ahead() -> bool:
    """Return whether a step's examples are sent while the step before trains: where the devices are not the host.

    A copy waits for what the GPU was given before, and what it is given afterwards for no copy that it does not use:
    sent before the step begins, the next examples travel beside it, and sent after it they would wait for its end, and
    the next step for them.
    """
    return bool(tf.config.list_logical_devices("GPU"))


def examples_at(values: Any, places: Any, types: Any) -> Any:
    """Return the examples at these places of the array, or of every named one, in their own types, where those are
    known. Called inside a step."""
    if isinstance(values, Mapping):
        return {name: examples_at(one, places, types and types[name]) for name, one in values.items()}
    return as_given(tf.gather(values, places), types)


def as_given(values: Any, types: Any) -> Any:
    """Return what `as_placed` made of an array, or of every named one, in its own type again; inside a step."""
    if isinstance(values, Mapping):
        return {name: as_given(one, types and types[name]) for name, one in values.items()}
    return tf.cast(values, tf.int32) if types == np.int32 and values.dtype == tf.int64 else values


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
