"""tf.distribute.MirroredStrategy: one process, one replica per device (logical CPUs where there is no GPU)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from ...data.arrays import Arrays, each
from .base import on_device, Strategy


class Mirrored(Strategy):
    """Training by one process with one replica per device, through tf.distribute.MirroredStrategy."""

    name = "mirrored"

    def __init__(self, devices: Sequence[str]) -> None:
        self._devices = list(devices)
        self._strategy: Any = tf.distribute.MirroredStrategy(self._devices)
        self.replicas = self.local_replicas = self._strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager[Any]:
        return self._strategy.scope()

    def run(self, step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return self._strategy.experimental_local_results(self._strategy.run(step, arguments))[0]

    def replica_index(self) -> Any:
        return tf.distribute.get_replica_context().replica_id_in_sync_group

    def mean(self, gradients: Sequence[Any]) -> Sequence[Any]:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)

    def place(self, array: npt.NDArray[Any]) -> Any:
        """Copy the array to each replica's device; tf.distribute only groups the copies."""
        return self._grouped([array] * len(self._devices))

    def place_shares(self, arrays: Arrays, rows: int) -> Any:
        return each(lambda array: self._grouped(self._shares(array, rows)), arrays)

    def _shares(self, array: Any, rows: int) -> list[Any]:
        """What tf.data made lies in the host's memory and is cut there: each device is sent its own share alone."""
        count, rest = len(self._devices), tuple(array.shape)[1:]
        with tf.device("CPU:0"):
            by_replica = tf.reshape(array, (rows, count, -1, *rest))
            return [tf.reshape(by_replica[:, one], (-1, *rest)) for one in range(count)]

    def _grouped(self, arrays: Sequence[Any]) -> Any:
        copies = [self._on(device, array) for device, array in zip(self._devices, arrays, strict=True)]
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: copies[context.replica_id_in_sync_group])

    @staticmethod
    def _on(device: str, array: npt.NDArray[Any]) -> Any:
        with tf.device(device):
            return on_device(device, array)

    def copies(self, variable: Any) -> list[npt.NDArray[Any]]:
        return [copy.numpy() for copy in self._strategy.experimental_local_results(variable)]

    def average(self, variables: Sequence[Any]) -> None:
        for variable in variables:
            first, *others = self.copies(variable)
            variable.assign(first + sum(other - first for other in others) / self.replicas)

    def library(self) -> dict[str, Any]:
        operations = self._strategy.extended._cross_device_ops
        options = getattr(self._strategy.extended, "_communication_options", None)
        way = {"communication": options.implementation.value} if options and self._devices[0].startswith("GPU") else {}
        return {"cross_device_ops": type(operations).__name__, **way}
