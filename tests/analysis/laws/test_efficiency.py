"""Efficiencies against a named baseline, with intervals, never clamped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from batchscale.analysis.laws import efficiency
from batchscale.analysis.laws.efficiency import karp_flatt, ScalingPoint
from batchscale.benchmarks.errors import RecordError


def launches(values: Mapping[int, Sequence[float]]) -> dict[int, dict[int, float]]:
    return {replicas: dict(enumerate(own)) for replicas, own in values.items()}


def weak_scaling(values: Mapping[int, Sequence[float]], baseline: int | None = None) -> tuple[ScalingPoint, ...]:
    return efficiency.weak_scaling(launches(values), baseline)


def strong_scaling(values: Mapping[int, Sequence[float]]) -> tuple[ScalingPoint, ...]:
    return efficiency.strong_scaling(launches(values))


# TensorFlow's benchmark page, DGX-1 P100, batch 64 per GPU: images/s on 1 and 8 GPUs.
@pytest.mark.parametrize("one, eight, expected", [
    (219, 1734, 0.9897), (154, 1081, 0.8774), (154, 898, 0.7289)])
def test_published_weak_scaling(one: float, eight: float, expected: float) -> None:
    points = weak_scaling({1: [one], 8: [eight]})
    assert [point.replicas for point in points] == [1, 8]
    assert points[0].efficiency.value == 1.0
    assert points[1].efficiency.value == pytest.approx(expected, abs=5e-5)
    assert not points[1].efficiency.has_interval


def test_launches_give_an_interval() -> None:
    point = weak_scaling({1: [100, 101, 99], 4: [352, 360, 348]})[1]
    assert point.efficiency.value == pytest.approx(0.8833, abs=5e-5)
    assert point.efficiency.low < 0.8833 < point.efficiency.high < 1
    assert point.efficiency.n == 3
    assert point.speedup.low == pytest.approx(4 * point.efficiency.low)


def test_strong_scaling_by_amdahl_has_its_serial_share_everywhere() -> None:
    # T(p) = 0.1 + 0.9/p: the experimentally determined serial share is 0.1 at every p.
    points = strong_scaling({p: [0.1 + 0.9 / p] for p in (1, 2, 4, 8)})
    assert points[3].speedup.value == pytest.approx(1 / (0.1 + 0.9 / 8))
    assert points[3].efficiency.value == pytest.approx(1 / (0.1 + 0.9 / 8) / 8)
    assert [p.karp_flatt.value for p in points[1:]] == pytest.approx([0.1] * 3)
    assert math.isnan(points[0].karp_flatt.value)
    assert {point.kind for point in points} == {"strong"}


def test_the_serial_share_keeps_its_sign() -> None:
    assert karp_flatt(4, 8) == pytest.approx((1 / 4 - 1 / 8) / (1 - 1 / 8))
    assert karp_flatt(8.4, 8) < 0
    assert math.isnan(karp_flatt(1, 1))


def test_a_higher_speedup_means_a_lower_serial_share() -> None:
    point = strong_scaling({1: [1.0, 1.02, 0.98], 4: [0.30, 0.31, 0.29]})[1]
    assert point.karp_flatt.low == pytest.approx(karp_flatt(point.speedup.high, 4))
    assert point.karp_flatt.high == pytest.approx(karp_flatt(point.speedup.low, 4))


def test_the_baseline_need_not_be_one_replica() -> None:
    point = weak_scaling({4: [400], 8: [760], 16: [1400]}, 8)[2]
    assert point.baseline_replicas == 8
    assert point.efficiency.value == pytest.approx(1400 * 8 / (16 * 760))
    assert point.karp_flatt.value == pytest.approx(karp_flatt(1400 / 760, 2))


def test_above_one_hundred_percent_the_baseline_is_suspect() -> None:
    points = weak_scaling({1: [100, 101, 99], 2: [220, 221, 219]})
    assert points[1].efficiency.value == pytest.approx(1.1, abs=1e-4)
    assert points[1].warning.startswith("efficiency 110.0 % is above 100 %: suspect the baseline")
    noisy = weak_scaling({1: [100, 120, 80], 2: [210, 190, 215]})[1]
    assert "does not exclude 100 %" in noisy.warning
    assert points[0].warning == ""


def test_a_baseline_that_was_not_measured_is_refused() -> None:
    with pytest.raises(RecordError, match="baseline_replicas=1 is not known; choose one of: 2, 4"):
        weak_scaling({2: [1.0], 4: [2.0]}, 1)
    assert weak_scaling({}) == ()


def test_one_disturbed_launch_gives_one_value_and_no_interval_outside_the_possible() -> None:
    # A launch at 216,574 examples/s beside 568,306 and 530,499: its two efficiencies once read 0.76 (-0.04 to 1.6) and
    # 0.52 (0.30 to 1.9), by which side of the quotient it stood on.
    rates = {1: [290_000.0, 291_000.0, 289_000.0], 2: [568_306.0, 530_499.0, 216_574.0]}
    weak = weak_scaling(rates)[1]
    strong = strong_scaling({count: [1024 / rate for rate in own] for count, own in rates.items()})[1]
    assert strong.efficiency.value == pytest.approx(weak.efficiency.value)
    assert (strong.efficiency.low, strong.efficiency.high) == pytest.approx((weak.efficiency.low, weak.efficiency.high))
    assert 0 < weak.efficiency.low < 0.93 < weak.efficiency.high
    assert weak.unstable == "the launches on 2 replicas vary by 44 %"
    assert weak_scaling({1: rates[1], 2: [568_306.0, 530_499.0, 561_000.0]})[1].unstable == ""
