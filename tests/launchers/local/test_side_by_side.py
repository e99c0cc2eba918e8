"""Accuracy runs side by side: workers on devices of their own that each claim the next run of the plan's order, which
is the longest first. How close the wall time comes to what no order can go below, on simulated devices."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import pytest

from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.expected_time import expected_seconds
from batchscale.benchmarks.planning.plan import parse
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local.schedule import stages

GPUS = tuple(map(str, range(8)))
PLAN = """
[plan]
name = "mixed"
drift_guard = false
[defaults]
dataset = "glyphs"
[[experiment]]
name = "small"
model = "mlp_128"
global_batches = [32, 64, 128, 512, 2048]
rules = ["constant", "linear", "sqrt"]
epochs = 3
seeds = %d
[[experiment]]
name = "large"
model = "cnn_small"
optimizer = "adam"
global_batches = [64, 256, 1024]
epochs = 40
seeds = %d
"""


def runs_of(seeds: int) -> list[RunConfig]:
    return expand(parse(PLAN % (seeds, seeds)), lambda name, fraction: 48_000, {}).runs


def slots(runs: Sequence[RunConfig]) -> int:
    """Workers that a study starts side by side on a machine of 8 GPUs and 16 cores."""
    only, = stages(runs, range(16), GPUS)
    assert len({gpu for slot in only.slots for gpu in slot.gpus}) == len(only.slots)
    return len(only.slots)


def wall(seconds: Sequence[float], workers: int) -> float:
    """When the last of them ends, each worker claiming the next one as soon as it is free."""
    free = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def least(seconds: Sequence[float], workers: int) -> float:
    """What no order goes below: the longest, or all spread evenly."""
    return max(max(seconds), sum(seconds) / workers)


@pytest.mark.parametrize("seeds", [3, 6, 16])
def test_mixed_runs_end_within_a_tenth_of_what_no_order_can_go_below(seeds: int) -> None:
    """Also where runs take up to a fifth less or more than was expected of them."""
    runs = runs_of(seeds)
    expected, workers = np.array([expected_seconds(one) for one in runs]), slots(runs)
    assert workers == len(GPUS) and expected.max() > 3 * expected.min()
    noise = np.random.default_rng(seeds)
    for _ in range(50):
        seconds = list(expected * noise.uniform(0.8, 1.2, len(runs)))
        assert wall(seconds, workers) <= 1.1 * least(seconds, workers)


def test_the_shortest_first_would_not_be_that_close() -> None:
    runs = runs_of(3)
    assert runs[0].experiment == "large"
    seconds = [expected_seconds(one) for one in runs][::-1]
    assert wall(seconds, 8) > 1.1 * least(seconds, 8)
