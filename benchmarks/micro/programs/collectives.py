"""Seconds of one collective operation: all-reduce, broadcast, all-gather over mpi4py buffers or Horovod.

Request: transport (mpi4py, gloo, mpi), ranks, cores, sizes in bytes, collectives, rounds, round_bytes, most_calls. A
round is a barrier, which is not counted, then a fixed number of calls; its time is the largest over ranks. Values are
verified once for each size.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

import numpy as np

from ...errors import RanksDisagree
from ...rank.devices import local_rank
from .answer import prepare, Request, serve

ELEMENT_BYTES = 4  # float32


class Transport(Protocol):
    """Way of ranks to exchange arrays, and the time that a call takes."""

    rank: int
    size: int

    def seconds(self, collective: str, elements: int, calls: int) -> float: ...

    def result(self, collective: str, elements: int) -> Any:
        """Return what each rank holds after one call, when rank r put in r + 1 everywhere (a broadcast is of rank 0's).
        """

    def largest(self, value: float) -> float: ...


class BufferMPI:
    """mpi4py with buffers: the calls that MPI itself has."""

    def __init__(self) -> None:
        from mpi4py import MPI
        self._mpi, self._all = MPI, MPI.COMM_WORLD
        self.rank, self.size = self._all.Get_rank(), self._all.Get_size()

    def _call(self, collective: str, elements: int) -> tuple[Any, Any]:
        own = np.full(elements, self.rank + 1, np.float32)
        if collective == "broadcast":
            return (lambda: self._all.Bcast(own, root=0)), own
        if collective == "all_reduce":
            summed = np.empty_like(own)
            return (lambda: self._all.Allreduce(own, summed, op=self._mpi.SUM)), summed
        gathered = np.empty(elements * self.size, np.float32)
        return (lambda: self._all.Allgather(own, gathered)), gathered

    def seconds(self, collective: str, elements: int, calls: int) -> float:
        """Return the seconds of a call, the mean of `calls` in a row."""
        call, _ = self._call(collective, elements)
        call()
        self._all.Barrier()
        began = self._mpi.Wtime()
        for _ in range(calls):
            call()
        return float(self._mpi.Wtime() - began) / calls

    def result(self, collective: str, elements: int) -> Any:
        """Return the array that this rank holds after one call."""
        call, found = self._call(collective, elements)
        call()
        return found

    def largest(self, value: float) -> float:
        """Return the largest of all ranks' values."""
        return float(self._all.allreduce(value, op=self._mpi.MAX))


class HorovodOperations:
    """Horovod inside a compiled loop, as in training: its cycle of negotiation is part of the time."""

    def __init__(self) -> None:
        import horovod.tensorflow as hvd
        import tensorflow as tf
        hvd.init()
        self._hvd, self._tf = hvd, tf
        self.rank, self.size = hvd.rank(), hvd.size()
        self._loops: dict[str, Any] = {}

    def _operation(self, collective: str, value: Any, name: str) -> Any:
        hvd = self._hvd
        if collective == "all_reduce":
            return hvd.allreduce(value, op=hvd.Sum, name=name)
        return hvd.broadcast(value, 0, name=name) if collective == "broadcast" else hvd.allgather(value, name=name)

    def _loop(self, collective: str) -> Any:
        tf = self._tf

        def repeat(value: Any, calls: Any) -> Any:
            # The sum uses every result: TensorFlow drops an operation on which nothing but order depends.
            def body(k: Any, total: Any) -> tuple[Any, Any]:
                return k + 1, total + self._operation(collective, value, f"{collective}_loop")[0]
            return tf.while_loop(lambda k, _: k < calls, body, [0, np.float32(0)], parallel_iterations=1)[1]

        spec = tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)
        return tf.function(repeat, autograph=False, input_signature=spec)

    def seconds(self, collective: str, elements: int, calls: int) -> float:
        """Return the seconds of a call, the mean of `calls` in one compiled loop."""
        import time
        tf = self._tf
        if collective not in self._loops:
            self._loops[collective] = self._loop(collective)
        loop, value = self._loops[collective], tf.fill([elements], float(self.rank + 1))
        float(loop(value, tf.constant(1)))
        self._hvd.allreduce(tf.zeros([1]), name="barrier")
        began = time.perf_counter()
        float(loop(value, tf.constant(calls)))
        return (time.perf_counter() - began) / calls

    def result(self, collective: str, elements: int) -> Any:
        """Return the array that this rank holds after one call."""
        return self._operation(collective, self._tf.fill([elements], float(self.rank + 1)), "verified").numpy()

    def largest(self, value: float) -> float:
        """Return the largest of all ranks' values."""
        return max(self._hvd.allgather_object(value))


def measure(request: Request) -> dict[str, Any] | None:
    """Return on rank 0 the seconds of the requested collectives by size, verified before they are timed; None
    elsewhere."""
    cores = request["cores"]
    own = cores[local_rank(os.environ) % len(cores)]
    if request["transport"] == "mpi4py":
        os.sched_setaffinity(0, [own])
        transport: Transport = BufferMPI()
    else:
        prepare([own], 1)
        transport = HorovodOperations()
    if transport.size != request["ranks"]:
        raise RanksDisagree(f"{request['ranks']} ranks were asked for and rank {transport.rank} sees "
                            f"{transport.size}; the launcher and the MPI do not belong together.")
    rows = [_row(transport, collective, size, request)
            for collective in request["collectives"] for size in request["sizes"]]
    return {"rows": rows, "request": dict(request)} if transport.rank == 0 else None


def _row(transport: Transport, collective: str, size: int, request: Request) -> dict[str, Any]:
    """`bytes` is the whole buffer: of an all-gather, what every rank holds afterwards."""
    shared = transport.size if collective == "all_gather" else 1
    elements = max(1, size // ELEMENT_BYTES // shared)
    verify(transport, collective, elements)
    calls = max(1, min(request["most_calls"], request["round_bytes"] // size))
    seconds = [transport.largest(transport.seconds(collective, elements, calls)) for _ in range(request["rounds"])]
    return {"collective": collective, "bytes": elements * ELEMENT_BYTES * shared, "calls": calls, "seconds": seconds}


def verify(transport: Transport, collective: str, elements: int) -> None:
    """Raise RanksDisagree when the values are not what the operation gives by definition."""
    numbers = np.arange(1, transport.size + 1, dtype=np.float32)
    expected = {"all_reduce": np.full(elements, numbers.sum()), "broadcast": np.ones(elements),
                "all_gather": np.repeat(numbers, elements)}[collective]
    found = np.asarray(transport.result(collective, elements))
    if not np.array_equal(found, expected):
        raise RanksDisagree(f"{collective} of {elements} numbers gave rank {transport.rank} {found[:3]}... "
                            f"instead of {expected[:3]}...; no time of it means anything.")


if __name__ == "__main__":
    sys.exit(serve(measure))
