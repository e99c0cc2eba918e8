"""A step taken apart: the input without the model, the model without the input, each rank without the others.

All are timed as the real windows are, right after them, in the same process and on the same cores.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ...records import leases
from ..feeds.base import Feed
from ..strategies.base import Strategy
from ..training.program import advance, Program
from .base import Meter, Row, Running

SETTLING_WINDOWS = 2
OWN_WINDOWS = 5
MOST_STEPS = 100_000


class StepPartsMeter(Meter):
    """Times the parts of a step: of what reads from disk its input and its model, of several ranks each one's own.

    Changes the weights, and in the end the ranks' weights part.
    """

    fields = ("input_windows", "synthetic_windows", "own_windows")
    every_rank = True

    def apart(self, run: Running, rates: Any, steps: int) -> None:
        config, feed, program = run.config, run.examples.feed, run.program
        with run.watch.activity("probe"):
            if feed.kind == "disk":
                asked = (config.global_batch, config.windows, config.window_seconds, steps)
                self.values["input_windows"] = of_input(feed, program.strategy, *asked)
                self.values["synthetic_windows"] = of_synthetic(program, feed, rates, *asked)
            if program.strategy.size > 1:
                self.values["own_windows"] = of_rank(program, feed, rates, config.global_batch, math.ceil(steps / 4))


def of_input(feed: Feed, strategy: Strategy, global_batch: int, windows: int, window_seconds: float,
             steps: int) -> list[Row]:
    """Batches read, decoded and put on the device, and nothing done with them."""
    touched = tf.function(lambda x: strategy.run(lambda own: tf.reduce_sum(own[:1]), (x,)), autograph=False)

    def run(start: int, stop: int) -> None:
        x: Any = None
        for x, *_ in feed.parts(start, stop, global_batch):
            pass
        float(touched(x))  # the device has the last one

    return _timed(run, strategy, windows, window_seconds, steps)


def of_synthetic(program: Program, feed: Feed, rates: Any, global_batch: int, windows: int, window_seconds: float,
                 steps: int) -> list[Row]:
    """Return timed windows of the same compiled step on one step's examples that are on the device already."""
    loop = program.loop(global_batch, feed.layout(global_batch))
    x, y, order, *_ = next(iter(feed.parts(0, 1, global_batch)))

    def run(start: int, stop: int) -> None:
        advance(loop, ((x, y, order, step, step + 1, step) for step in range(start, stop)), rates)

    return _timed(run, program.strategy, windows, window_seconds, steps)


def of_rank(program: Program, feed: Feed, rates: Any, global_batch: int, steps: int) -> list[Row]:
    """Return each rank's times of steps without the exchange of gradients: what differs is the rank's own doing.

    In ordinary steps all ranks are as slow as the slowest. Last of all, because the ranks' weights part here.
    """
    loop = program.loop(global_batch, feed.layout(global_batch), exchange=False)
    rows = []
    for window in range(OWN_WINDOWS + 1):
        program.strategy.barrier()
        began = time.perf_counter()
        advance(loop, feed.parts(window * steps, (window + 1) * steps, global_batch), rates)
        rows.append({"rank": program.strategy.rank, "host": leases.host(), "phase": 0, "steps": steps,
                     "seconds": time.perf_counter() - began})
    return rows[1:]  # the first one compiles


def _timed(run: Callable[[int, int], None], strategy: Strategy, windows: int, window_seconds: float,
           steps: int) -> list[Row]:
    """Rows of the record's Window. Two windows of `steps` steps come before: one traces or drains what was ready, by
    the other rank 0 fixes the steps of the rest."""
    rows: list[Row] = []
    start = 0
    for window in range(SETTLING_WINDOWS + windows):
        strategy.barrier()
        began = time.perf_counter()
        run(start, start + steps)
        seconds = time.perf_counter() - began
        rows.append({"rank": strategy.rank, "phase": 0, "start_step": start, "steps": steps, "seconds": seconds,
                     "steady": window >= SETTLING_WINDOWS})
        start += steps
        if window == SETTLING_WINDOWS - 1:
            wanted = math.ceil(window_seconds * steps / max(seconds, 1e-6))
            steps = strategy.broadcast(min(max(1, wanted), MOST_STEPS))
    return rows


METER = StepPartsMeter
