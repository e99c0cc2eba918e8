"""A run in progress on this rank: its program and examples, and the ways to move it on by some steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from ..config.script import is_script
from ..data.order import epoch_order
from ..runs.run_config import RunConfig
from ..schedules.rates import rates
from .meters.base import Row
from .meters.gpu_counters import GpuCounters
from .meters.stopwatch import Stopwatch
from .recorder import Interrupted, Recorder
from .script import taken
from .session import Examples, Session
from .strategies.base import Strategy
from .training.program import advance, Program

MOST_WINDOW_STEPS = 100_000


@dataclass(frozen=True)
class Segment:
    """Steps [start, stop) of one phase, at one global batch, between which nothing but training happens. `last`: the
    examples of the last step where those are an epoch's left over ones, else 0."""

    global_batch: int
    phase: int
    start: int
    stop: int
    steady: bool = True
    last: int = 0


@dataclass
class RunInProgress:
    """One run on this rank. Meters see it as `meters.base.Running`."""

    config: RunConfig
    session: Session
    recorder: Recorder = field(default_factory=Recorder, kw_only=True)

    def __post_init__(self) -> None:
        self.watch = Stopwatch(self.session.watchdog.progress)

    @cached_property
    def examples(self) -> Examples:
        """The data set, loaded and placed when it is first asked for. Raises DataError."""
        with self.watch.activity("data"):
            return self.session.examples(self.config)

    @cached_property
    def program(self) -> Program:
        """The compiled model with its weights drawn anew from the run's seed."""
        examples = self.examples
        with self.watch.activity("build"):
            program = self.session.program(self.config, examples)
            program.reset(self.config.seed)
        return program

    @property
    def strategy(self) -> Strategy:
        """Strategy by which the replicas train together."""
        return self.session.strategy

    @property
    def devices(self) -> Sequence[str]:
        """The names of this process' devices."""
        return self.session.devices

    @property
    def gpus(self) -> GpuCounters:
        """The counters of this process' GPUs."""
        return self.session.gpus

    @property
    def evaluations(self) -> list[Row]:
        """The evaluations so far, rows of the record."""
        return self.recorder.evaluations

    def rates(self, steps: int, batch: int = 0) -> Any:
        """Return the learning rates of the first `steps` steps on the device, float32[steps], float64 for weights of
        that type. A schedule of a script goes by examples, at `batch` or the run's own."""
        config = self.config
        found = rates(config, steps, np.float64 if config.precision == "float64" else np.float32)
        if is_script(config.model):
            places = np.divmod(np.arange(len(found)), max(1, config.epoch_steps(batch := batch or config.global_batch)))
            factors = taken.rate_factors(config, self.program.model, places[0], places[1] * batch)
            found = found if factors is None else (found * factors).astype(found.dtype)
        return tf.constant(found)

    def set_order(self, epoch: int, base: int) -> None:
        """Give the feed the order of an epoch, whose first step is step `base`."""
        with self.watch.activity("data"):
            config = self.config
            order = epoch_order(config.seed, epoch, config.train_examples, config.global_batch)
            self.examples.feed.set_order(order, base, (config.seed, epoch))

    def trace(self, batch: int, step_rates: Any, last: int = 0) -> None:
        """Trace and optimise the graph by a call of no steps, which touches no weight. `last`: the examples of an
        epoch's last step where those are fewer than a batch."""
        program, feed = self.program, self.examples.feed
        with self.watch.activity("trace"):
            feed.set_order(epoch_order(self.config.seed, 0, self.config.train_examples), 0)
            loop = program.loop(batch, feed.layout(batch))
            for part in feed.parts(0, 1, batch):
                advance(loop, [(*part[:3], 0, 0, 0)], step_rates)
            if last:
                advance(program.last_loop(last), [(*feed.left_over(batch)[:3], 0, 0, 0)], step_rates)

    def use_once(self, batch: int, step_rates: Any, last: int = 0) -> None:
        """Make two steps and put the weights back, where a first step costs what no later one does: on GPUs handles of
        libraries, choices of kernels, communicators and kernels that the driver compiles, elsewhere what jit compiles.
        It would count as training of the first run of a process, and of no other. All ranks call it, after `trace` and
        before the optimizer is reset."""
        if not (self.config.jit or tf.config.list_logical_devices("GPU")):
            return
        program, feed = self.program, self.examples.feed
        with self.watch.activity("trace"):
            before = [self.strategy.copies(variable)[0] for variable in program.variables]
            loop = program.loop(batch, feed.layout(batch))
            for part in feed.parts(0, 1, batch):
                for _ in range(2):
                    advance(loop, [(*part[:3], 0, 1, 0)], step_rates)
            if last:
                advance(program.last_loop(last), [(*feed.left_over(batch)[:3], 0, 1, 0)], step_rates)
            for variable, value in zip(program.variables, before):
                variable.assign(value)

    def advance(self, segment: Segment, step_rates: Any) -> float:
        """Train the segment between two synchronisations, as one window. Return its seconds."""
        program, feed, batch = self.program, self.examples.feed, segment.global_batch
        loop = program.loop(batch, feed.layout(batch))
        self.strategy.barrier()
        before = self.watch.seconds["train"]
        whole = segment.stop - (segment.last > 0)
        with self.watch.activity("train"):
            if segment.start < whole:
                advance(loop, feed.parts(segment.start, whole, batch), step_rates)
            if segment.last:
                part = (*feed.left_over(batch), whole, segment.stop, whole)
                advance(program.last_loop(segment.last), [part], step_rates)
        seconds = self.watch.seconds["train"] - before
        self.recorder.windows.append({
            "rank": self.strategy.rank, "phase": segment.phase, "start_step": segment.start,
            "steps": program.steps_done(segment.stop) - segment.start, "seconds": seconds, "steady": segment.steady})
        return seconds

    def stop_if_asked(self) -> None:
        """Stop on all ranks where one was asked to. Raises Interrupted."""
        asked = [reason for reason in self.strategy.gather(self.session.interrupted()) if reason]
        if asked:
            raise Interrupted(asked[0])
