"""The seam between a run and what is measured beside its training: a meter fills fields of the record.

A module of this folder that defines `METER`, a class, is taken into every run. Its rows are described in
`records/rows.py`, and it reads what it needs from the run in progress at the moments that the hooks name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Protocol

from ...runs.run_config import RunConfig
from ..strategies.base import Strategy
from ..training.program import Program
from .gpu_counters import GpuCounters
from .stopwatch import Stopwatch

Row = dict[str, Any]


class Running(Protocol):
    """Facts that a meter may ask of a run in progress on this rank."""

    config: RunConfig
    watch: Stopwatch  # seconds spent so far, by activity

    @property
    def program(self) -> Program:
        """The compiled model, loss and optimizer with their variables."""

    @property
    def examples(self) -> Any:
        """The data set on this worker: its feed, and the probes that draw examples from it."""

    @property
    def strategy(self) -> Strategy:
        """Strategy by which the replicas train together."""

    @property
    def devices(self) -> Sequence[str]:
        """The names of this process' devices."""

    @property
    def gpus(self) -> GpuCounters:
        """The counters of this process' GPUs."""

    @property
    def evaluations(self) -> list[Row]:
        """The evaluations so far, rows of the record."""


class Meter:
    """One kind of measurement. Every hook does nothing unless a meter overrides it; all ranks call all hooks alike.

    `fields` names the fields of the record that it fills. `every_rank` says whether the record holds the rows of all
    ranks, one after another, or what rank 0 measured. `kept` says whether a checkpoint keeps what was measured so far.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    every_rank: ClassVar[bool] = False
    kept: ClassVar[bool] = False

    def __init__(self) -> None:
        self.values: dict[str, Any] = {field: [] for field in self.fields}

    def begin(self, run: Running) -> None:
        """Prepare before the first step, when program and examples are ready."""

    def before_windows(self, run: Running) -> None:
        """Read what has to be read before the timed windows of a throughput run."""

    def after_window(self, run: Running, window: int) -> None:
        """Read what changes from one timed window to the next; `window` counts from 0."""

    def after_windows(self, run: Running, steps: int) -> None:
        """Read what has to be read after the timed windows, each of `steps` steps."""

    def apart(self, run: Running, rates: Any, steps: int) -> None:
        """Measure last of all, when weights may change; `rates` and `steps` are those of the timed windows."""

    def at_evaluation(self, run: Running, point: Mapping[str, Any]) -> None:
        """Measure at the weights of an evaluation, whose row `point` is."""

    def after_training(self, run: Running) -> None:
        """Measure at the weights that training ended with."""

    def end(self, run: Running) -> None:
        """Read what is read at the end of every run, also of one that diverged."""


def meters() -> tuple[type[Meter], ...]:
    """Return the meters of this folder, by the names of their modules."""
    folder = __name__.rpartition(".")[0]
    return tuple(_meters_of(folder))


def _meters_of(folder: str) -> Iterator[type[Meter]]:
    for module in iter_modules(import_module(folder).__path__):
        meter = getattr(import_module(f"{folder}.{module.name}"), "METER", None)
        if meter is not None:
            yield meter
