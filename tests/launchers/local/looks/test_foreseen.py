"""What a plan says that it will take: a range where looks decide its seeds, money where it has a price."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.expected_time import expected_seconds, WORKER_START_SECONDS
from batchscale.benchmarks.planning.plan import parse, Plan
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local.looks.budget import money
from batchscale.launchers.local.looks.foreseen import foreseen, lines

TEXT = """
[plan]
name = "p"
drift_guard = false
%s
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = [32, 128, 512]
epochs = 20
seeds = %s
"""
PRICE = "price_per_device_hour = 900.0"


def plan(seeds: str, price: str = "") -> tuple[Plan, list[RunConfig]]:
    given = parse(TEXT % (price, seeds))
    return given, expand(given, lambda name, fraction: 10_000, {}).runs


def minutes(runs: Sequence[RunConfig]) -> float:
    return 60.0 * len(runs)


def test_a_plan_with_looks_has_a_range_of_runs_and_of_their_time() -> None:
    runs, time = lines(*plan('"auto"'), minutes)
    least, most, likely, seldom = map(int, re.findall(r"(\d+)", runs))
    assert (least, most) == (9, 48) and 9 < likely < seldom < 48
    assert time.startswith("time: at least 9 min 0 s, about 18 min 0 s expected") and "of all 48 runs" in time


@pytest.mark.parametrize("share, looks", [(0.0, 1), (0.25, 4), (1.0, 10)])
def test_workers_start_anew_at_each_look_only_where_they_hold_a_gpu(share: float, looks: int) -> None:
    found = foreseen(*plan('"auto"'), share, minutes)
    assert found.seconds == 60.0 * found.runs
    found = foreseen(*plan('"auto"'), share, minutes, gpus=["0"])
    assert found.seconds == 60.0 * found.runs + WORKER_START_SECONDS * (looks - 1)


def test_money_is_that_of_the_runs_which_a_budget_reckons_with() -> None:
    given, runs = plan("4", PRICE)
    said, = lines(given, runs, minutes)
    cost = sum(expected_seconds(one) for one in runs) / 3600 * 900.0
    assert cost > 1 and said == f"money: about {cost:.2f}, by price_per_device_hour"
    assert money(runs, 900.0) == pytest.approx(cost) and lines(*plan("4"), minutes) == []
    paid = lines(*plan('"auto"', PRICE), minutes)[-1]
    values = [float(one) for one in re.findall(r"(\d+\.\d\d)", paid)]
    assert values == sorted(values) and len(set(values)) == 4
