"""Horovod: one process per replica, gradients averaged by a grouped all-reduce inside the compiled step.

Horovod's DistributedOptimizer does nothing around a Keras 3 optimizer, without saying so; the gradients are reduced
here by hand instead, and the agreement checks prove it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import horovod
import horovod.tensorflow as hvd
import tensorflow as tf

from .base import NCCL_PEER_GONE, Strategy

LAUNCHED = ("HOROVOD_RANK", "HOROVOD_GLOO_RENDEZVOUS_ADDR", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
# Horovod waits up to a cycle, 1 ms by default, for more tensors to send together. All gradients of a step go as one
# group, so waiting gains nothing and is most of a short step; shorter cycles cost a rank that owns one core more.
CYCLE_MILLISECONDS = "0.5"
PEER_GONE = ("Horovod has been shut down", "Connection closed by peer", "Connection reset by peer", "Broken pipe",
             "Read timeout", "Timed out waiting", *NCCL_PEER_GONE)


class Horovod(Strategy):
    """Training by one process per replica, through Horovod."""

    name = "horovod"

    def __init__(self) -> None:
        if not any(name in os.environ for name in LAUNCHED):
            # Alone: MPI would try to start a job of its own. The size check says what is wrong.
            os.environ.setdefault("HOROVOD_CONTROLLER", "gloo")
            os.environ.setdefault("HOROVOD_CPU_OPERATIONS", "gloo")
        os.environ.setdefault("HOROVOD_CYCLE_TIME", CYCLE_MILLISECONDS)
        hvd.init()
        self.rank, self.size = hvd.rank(), hvd.size()
        self.replicas = self.size

    def replica_index(self) -> Any:
        return self.rank

    def mean(self, gradients: Sequence[Any]) -> Sequence[Any]:
        return hvd.grouped_allreduce(list(gradients), op=hvd.Average)

    def average(self, variables: Sequence[Any]) -> None:
        if not variables:
            return
        own = [tf.identity(v) for v in variables]
        self.broadcast_weights(variables)
        shifts = hvd.grouped_allreduce([o - v for o, v in zip(own, variables)], op=hvd.Average, name="statistics")
        for variable, shift in zip(variables, shifts):
            variable.assign_add(shift)

    def broadcast_weights(self, variables: Sequence[Any]) -> None:
        hvd.broadcast_variables(list(variables), root_rank=0)

    def broadcast(self, value: Any) -> Any:
        return hvd.broadcast_object(value, root_rank=0)

    def gather(self, value: Any) -> list[Any]:
        return list(hvd.allgather_object(value))

    def barrier(self) -> None:
        hvd.allreduce(tf.zeros([1]), op=hvd.Sum, name="barrier")

    def lost_a_peer(self, error: BaseException) -> bool:
        return any(sentence in str(error) for sentence in PEER_GONE)

    def library(self) -> dict[str, Any]:
        found = {"horovod": horovod.__version__, "controller": "mpi" if hvd.mpi_enabled() else "gloo",
                 "mpi_built": bool(hvd.mpi_built()), "gloo_built": bool(hvd.gloo_built()),
                 "nccl_built": bool(hvd.nccl_built())}
        if hvd.mpi_enabled():
            from mpi4py import MPI
            found["mpi_library"] = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        return found
