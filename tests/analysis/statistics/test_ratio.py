"""Fieller's interval covers a ratio, and is absent where the denominator may be zero."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.statistics.estimate import Estimate, t_critical
from batchscale.analysis.statistics.ratio import fieller_interval, log_ratio, median_ratio, quotient


def test_a_certain_denominator_leaves_the_plain_interval() -> None:
    assert fieller_interval(6.0, 2.0, 0.25, 0.0, 0.0, 2.0) == pytest.approx((2.5, 3.5))


def test_a_denominator_that_may_be_zero_leaves_no_interval() -> None:
    assert all(math.isnan(end) for end in fieller_interval(6.0, 1.0, 0.1, 0.3, 0.0, 2.0))


def test_the_interval_covers_the_ratio() -> None:
    trials, inside = 1000, 0
    rng = np.random.default_rng(7)
    for _ in range(trials):
        above, below = rng.normal(6.0, 1.0, 5), rng.normal(2.0, 0.4, 5)
        (numerator, both), (_, denominator) = np.cov(above, below) / 5
        low, high = fieller_interval(above.mean(), below.mean(), numerator, denominator, both, float(t_critical(4)))
        inside += low <= 3.0 <= high
    # Fieller is exact for pairs.
    assert abs(inside / trials - 0.95) <= 3 * math.sqrt(0.95 * 0.05 / trials) + 0.005


def by_launch(values: object) -> dict[int, float]:
    return {launch: float(value) for launch, value in enumerate(np.asarray(values).tolist())}


@pytest.mark.parametrize("shared, apart", [(0.0, 0), (0.15, 0), (0.0, 3)])
def test_a_ratio_of_times_covers_the_truth_and_stays_above_zero(shared: float, apart: int) -> None:
    trials, inside = 2000, 0
    rng = np.random.default_rng(11)
    for _ in range(trials):
        launch = rng.normal(0.0, shared, 3)
        above, below = (by_launch(np.exp(centre + launch + rng.normal(0, 0.03, 3))) for centre in (math.log(1.8), 0.0))
        found = log_ratio({launch + apart: value for launch, value in above.items()}, below)
        assert 0 < found.low < found.value < found.high
        inside += found.low <= 1.8 <= found.high
    assert abs(inside / trials - 0.95) <= 3 * math.sqrt(0.95 * 0.05 / trials) + 0.01 * (apart > 0)


def test_a_ratio_is_paired_by_launch_and_no_direction_is_favoured() -> None:
    one, two = {0: 100.0, 1: 120.0, 2: 80.0}, {2: 152.0, 0: 190.0, 1: 228.0}
    found, turned = log_ratio(two, one), log_ratio(one, two)
    assert found.value == pytest.approx(1.9) and not found.has_interval or found.high - found.low < 1e-9
    noisy = log_ratio({**two, 1: 200.0}, one)
    back = log_ratio(one, {**two, 1: 200.0})
    assert (1 / back.high, 1 / back.low) == pytest.approx((noisy.low, noisy.high))
    assert turned.value == pytest.approx(1 / 1.9) and noisy.counted == "n = 3 launches"


def test_a_launch_that_the_other_side_lacks_is_left_out() -> None:
    assert log_ratio({0: 2.0, 1: 3.0, 2: 9.0}, {0: 1.0, 1: 1.0}).value == pytest.approx(math.sqrt(6))
    alone = log_ratio({4: 3.0}, {0: 2.0, 1: 2.0})
    assert alone.value == pytest.approx(1.5) and not alone.has_interval
    assert math.isnan(log_ratio({}, {0: 1.0}).value)


def test_a_disturbed_launch_does_not_move_the_median() -> None:
    quiet, disturbed = by_launch([1.8] * 7), {**by_launch([1.79, 1.8, 1.81, 1.8, 1.82, 1.78, 1.8]), 3: 0.9}
    found = median_ratio(disturbed, by_launch([1.0] * 7))
    assert found.value == pytest.approx(1.8, abs=0.011) and found.has_interval and found.n == 7
    assert not median_ratio({0: 2.0, 1: 2.1}, {0: 1.0, 1: 1.0}).has_interval
    assert median_ratio({5: 2.0}, quiet).value == pytest.approx(2 / 1.8)
    assert math.isnan(median_ratio({}, quiet).value)


def test_one_value_or_equal_values_have_no_interval() -> None:
    for estimate in (log_ratio({0: 3.0}, {0: 2.0}), log_ratio({0: 3.0, 1: 3.0}, {0: 2.0, 1: 2.0})):
        assert estimate.value == 1.5
        assert not estimate.has_interval


def test_a_quotient_adds_the_squares_of_their_log_distances() -> None:
    above, below = Estimate(6.0, 3.0, 12.0, 5), Estimate(2.0, 2.0, 4.0, 3)
    found = quotient(above, below)
    assert (found.value, found.n) == (3.0, 3)
    assert found.low == pytest.approx(3 / 2 ** math.sqrt(2)) and found.high == pytest.approx(6)
    assert not quotient(above, Estimate(2.0, -1.0, 4.0, 3)).has_interval
    widest = quotient(above, Estimate(2.0, 1e-320, math.inf, 3))
    assert (widest.value, widest.low, widest.high) == (3.0, 0.0, math.inf)
