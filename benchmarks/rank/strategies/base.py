"""What every strategy offers: the seam between one training step and the replicas that share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from ...data.arrays import Arrays, each

# What NCCL says of a rank that is gone, its own machine being well (ncclGetErrorString in its init.cc).
NCCL_PEER_GONE = ("remote process exited or there was a network error", "unhandled system error", "ncclRemoteError",
                  "ncclSystemError")


class Strategy:
    """Training by one process with one replica; subclasses override what differs.

    `rank` of `size` processes; `replicas` in all, `local_replicas` of them in this process.
    """

    name = "single"
    rank = 0
    size = 1
    replicas = 1
    local_replicas = 1

    def scope(self) -> AbstractContextManager[Any]:
        """Return a context in which variables are created on every local replica."""
        return nullcontext()

    def run(self, step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call `step` on every local replica, inside a graph; return the first one's result."""
        return step(*arguments)

    def replica_index(self) -> Any:
        """Return this replica's number among all, inside `run`."""
        return 0

    def mean(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Return the mean of each gradient over all replicas, inside `run`."""
        return gradients

    def place(self, array: npt.NDArray[Any]) -> Any:
        """Copy the array to every local replica's device; the result can be passed to `run`."""
        return on_device("GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0", array)

    def place_each(self, arrays: Arrays) -> Any:
        """Copy the array, or every named one, to every local replica's device."""
        return each(self.place, arrays)

    def place_shares(self, arrays: Arrays, rows: int) -> Any:
        """Copy to every local replica's device what it needs of this process' examples of `rows` steps, which lie in
        order along the first axis: of each step the replica's own share, and no other's."""
        return self.place_each(arrays)

    def copies(self, variable: Any) -> list[npt.NDArray[Any]]:
        """Return the variable's value on each local replica."""
        return [variable.numpy()]

    def average(self, variables: Sequence[Any]) -> None:
        """Set every replica's copy of each variable to the mean of all; copies that are equal stay as they are."""

    def broadcast_weights(self, variables: Sequence[Any]) -> None:
        """Set the variables on every rank to rank 0's values."""

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's small Python value on every rank."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's small Python value, in rank order, on every rank."""
        return [value]

    def barrier(self) -> None:
        """Return when every rank has come here."""

    def lost_a_peer(self, error: BaseException) -> bool:
        """Return whether the error only shows that another rank is gone."""
        return False

    def library(self) -> dict[str, Any]:
        """Return the names and versions of what carries the gradients, for the record."""
        return {}


def on_device(device: str, array: Any) -> Any:
    """Copy an array to a device of this process: what tf.data made is on the host, where `tf.constant` leaves it."""
    if not tf.is_tensor(array):
        return tf.constant(array)
    if array.device.endswith(device):
        return array
    with tf.device(device):
        return tf.identity(array)


def when_done(loss: Any) -> float:
    """Return a loss once all devices of this process have done what they were given; its value is the first one's, for
    which the others need not have ended."""
    value = float(loss)
    if len(tf.config.get_visible_devices("GPU")) > 1:  # logical ones of multiworker are all ranks'
        tf.test.experimental.sync_devices()
    return value
