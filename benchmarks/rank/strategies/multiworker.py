"""tf.distribute.MultiWorkerMirroredStrategy: one process per replica, found by TF_CONFIG, gradients by collectives.

`fit` does not work with it under Keras 3; the suite's own loop does. What ranks tell each other goes by the same
collectives, as sums of whole numbers to which every rank but one adds zeros, so that bits arrive as they left.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from .base import NCCL_PEER_GONE, Strategy
from .mirrored import Mirrored

PEER_GONE = ("Collective ops is aborted", "tasks are unhealthy", "Socket closed", "Connection reset by peer",
             "failed to connect to all addresses", *NCCL_PEER_GONE)
WORD = np.dtype(np.int64)  # what every collective takes, on GPUs and on CPUs


class MultiWorker(Mirrored):
    """Training by one process per replica, through tf.distribute.MultiWorkerMirroredStrategy."""

    name = "multiworker"

    def __init__(self) -> None:
        alone = "TF_CONFIG" not in os.environ  # the size check says what is wrong
        self._strategy = tf.distribute.get_strategy() if alone else tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=communication())
        self.replicas = self.size = self._strategy.num_replicas_in_sync
        self.rank = 0 if alone else self._strategy.cluster_resolver.task_id
        self.local_replicas = 1

    place, place_shares = Strategy.place, Strategy.place_shares

    def average(self, variables: Sequence[Any]) -> None:
        everyones = self.gather([v.numpy() for v in variables]) if variables else [[]]
        for variable, *copies in zip(variables, *everyones):
            first, *others = copies
            variable.assign(first + sum(other - first for other in others) / self.replicas)

    def broadcast_weights(self, variables: Sequence[Any]) -> None:
        for variable, value in zip(variables, self.broadcast([v.numpy() for v in variables])):
            variable.assign(value)

    def broadcast(self, value: Any) -> Any:
        return self._tell(value if self.rank == 0 else None, rows=1, row=0)[0]

    def gather(self, value: Any) -> list[Any]:
        return self._tell(value, rows=self.size, row=self.rank)

    def barrier(self) -> None:
        self._sum(np.zeros(1, WORD))

    def lost_a_peer(self, error: BaseException) -> bool:
        return any(sentence in str(error) for sentence in PEER_GONE)

    def library(self) -> dict[str, Any]:
        options = getattr(self._strategy.extended, "_communication_options", None)
        return {"communication": options.implementation.value if options else ""}

    def _tell(self, value: Any, rows: int, row: int) -> list[Any]:
        """The values of all ranks by row, on every rank; with one row, of the rank that has a value."""
        sent = b"" if value is None and rows == 1 and self.rank else pickle.dumps(value)
        lengths = np.zeros(rows, WORD)
        lengths[row] = len(sent)
        lengths = self._sum(lengths)
        words = -(-int(lengths.max()) // WORD.itemsize)
        table = np.zeros((rows, words), WORD)
        table[row] = np.frombuffer(sent.ljust(words * WORD.itemsize, b"\0"), WORD)
        table = self._sum(table.ravel()).reshape(rows, words)
        return [pickle.loads(content.tobytes()[:length]) for content, length in zip(table, lengths)]

    def _sum(self, own: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.asarray(self._total(tf.constant(own)))

    @cached_property
    def _total(self) -> Any:
        def add(own: Any) -> Any:
            # Without identity the value has no device, by which the collective is chosen.
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(own))
        return tf.function(lambda own: self.run(add, (own,)), autograph=False,
                           input_signature=[tf.TensorSpec([None], tf.int64)])


def communication() -> tf.distribute.experimental.CommunicationOptions:
    """Return NCCL as the way of the collectives where this process has a GPU. TensorFlow's own choice, AUTO, is a ring
    over gRPC through the host's memory, beside GPUs too (AssignCollectiveType in collective_param_resolver_local.cc).
    """
    ways = tf.distribute.experimental.CommunicationImplementation
    way = ways.NCCL if tf.config.get_visible_devices("GPU") else ways.AUTO
    return tf.distribute.experimental.CommunicationOptions(implementation=way)
