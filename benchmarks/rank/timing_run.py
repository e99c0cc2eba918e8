"""A throughput run: warm-up apart, then windows of a fixed number of steps between synchronisations."""

from __future__ import annotations

import math
from typing import Any

from . import agreement
from .in_progress import MOST_WINDOW_STEPS, RunInProgress, Segment


def time_windows(run: RunInProgress) -> None:
    """Time the run's windows and let its meters read around them. All ranks take part. Raises RanksDisagree."""
    config, batch, warmup = run.config, run.config.global_batch, max(2, run.config.warmup_steps)
    step_rates = run.rates(1)
    run.set_order(0, 0)
    run.trace(batch, step_rates)
    steps = _window_steps(run, warmup, step_rates)
    for meter in run.recorder.meters:
        meter.before_windows(run)
    for window in range(config.windows):
        start = warmup + window * steps
        run.advance(Segment(batch, 0, start, start + steps), step_rates)
        for meter in run.recorder.meters:
            meter.after_window(run, window)
        run.stop_if_asked()
    for meter in run.recorder.meters:
        meter.after_windows(run, steps)
    with run.watch.activity("evaluate"):
        run.program.settle()
        agreement.check_weights(run.strategy, run.program.variables, "after the timed windows")
    run.recorder.equal_evaluations += 1
    for meter in run.recorder.meters:
        meter.apart(run, step_rates, steps)


def _window_steps(run: RunInProgress, warmup: int, step_rates: Any) -> int:
    """Train the warm-up and return the steps of a window, which rank 0 fixes from the warm-up's second half."""
    config, half = run.config, warmup // 2
    run.advance(Segment(config.global_batch, 0, 0, half, steady=False), step_rates)
    seconds = run.advance(Segment(config.global_batch, 0, half, warmup, steady=False), step_rates)
    wanted = math.ceil(config.window_seconds * (warmup - half) / max(seconds, 1e-6))
    return int(run.strategy.broadcast(min(max(1, wanted), MOST_WINDOW_STEPS)))
