"""Energy counters and money."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from batchscale.analysis.laws.cost import cost, energy_joules
from batchscale.analysis.statistics.estimate import Estimate, without_interval
from batchscale.benchmarks.errors import PlanError, RecordError
from batchscale.benchmarks.planning.expected_time import as_on_gpus, EXAMPLE_SECONDS, expected_seconds
from batchscale.benchmarks.runs.run_config import RunConfig


# DAWNBench, fast.ai on p3.16xlarge machines of $24.48 an hour: machines, hours, dollars.
@pytest.mark.parametrize("machines, hours, dollars", [
    (1, 2.9575, 72.40), (4, 0.49509, 48.48), (8, 0.31472, 61.63), (16, 0.30144, 118.07)])
def test_published_costs(machines: int, hours: float, dollars: float) -> None:
    found = cost(without_interval(3600 * hours, 1), machines, 24.48)
    assert found.money.value == pytest.approx(dollars, abs=0.005)
    assert found.device_hours.value == pytest.approx(machines * hours)


def test_twice_the_machines_for_a_little_time() -> None:
    eight = cost(without_interval(3600 * 0.31472, 1), 8, 24.48).money.value
    sixteen = cost(without_interval(3600 * 0.30144, 1), 16, 24.48).money.value
    assert 0.30144 / 0.31472 - 1 == pytest.approx(-0.042, abs=5e-4)
    assert sixteen / eight - 1 == pytest.approx(0.916, abs=5e-4)


def test_the_interval_of_time_is_that_of_money() -> None:
    found = cost(Estimate(3600.0, 3000.0, 4200.0, 5), 2, 3.0).money
    assert (found.value, found.low, found.high, found.n) == pytest.approx((6.0, 5.0, 7.0, 5))
    assert math.isnan(cost(Estimate(3600.0, 3000.0, 4200.0, 5), 2, None).money.value)
    with pytest.raises(PlanError, match="negative"):
        cost(Estimate(3600.0, 3000.0, 4200.0, 5), 2, -1.0)


def test_energy_is_summed_over_gpus_or_absent() -> None:
    assert energy_joules([1000, 5000], [3500, 9000]) == 6.5
    assert energy_joules([1000, None], [3500, None]) is None
    assert energy_joules([], []) is None
    with pytest.raises(RecordError, match="fell from 5000 to 10 mJ"):
        energy_joules([5000], [10])
    with pytest.raises(RecordError, match="same GPUs twice"):
        energy_joules([1], [2, 3])


def test_a_described_workload_is_costed_by_its_counted_operations(config: Callable[..., RunConfig]) -> None:
    run, flops = config(model="ResNet50", epochs=4), 7.76e9
    steps, points, evaluated = 4 * (1146 // 128), 3 + 4, 30_000  # after 1, 2 and 4 steps, and at the ends of 4 epochs
    calculated = (3 * flops * steps * 128 + flops * points * evaluated) / 90e9
    assert expected_seconds(run, {"flops_per_example": flops}) == pytest.approx(0.5 + steps * 60e-6 + calculated)
    assert expected_seconds(run, {"flops_per_example": None}) == expected_seconds(run) < 10


def test_a_tried_example_tells_more_than_counted_operations(config: Callable[..., RunConfig]) -> None:
    """Both kinds of seconds are of processor cores; of GPUs a processor's tell nothing."""
    run, steps, points = config(model="ResNet50", epochs=4), 4 * (1146 // 128), 3 + 4
    tried = {"flops_per_example": 7.76e9, EXAMPLE_SECONDS: 0.6, "validation_examples": 100, "test_examples": 200}
    evaluated = 100 + 200 + min(run.train_subset, run.train_examples)
    found = expected_seconds(run, tried)
    assert found == pytest.approx(0.5 + steps * (60e-6 + 128 * 0.6) + points * evaluated * 0.6 / 3)
    assert as_on_gpus({"key": tried, "other": None}) == {
        "key": {name: tried[name] for name in tried if name != EXAMPLE_SECONDS}, "other": None}
