"""Fieller's interval covers a ratio, and is absent where the denominator may be zero."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.statistics.estimate import Estimate
from batchscale.analysis.statistics.ratio import fieller_interval, independent_ratio, paired_ratio, ratio_of_estimates


def test_a_certain_denominator_leaves_the_plain_interval() -> None:
    assert fieller_interval(6.0, 2.0, 0.25, 0.0, 0.0, 2.0) == pytest.approx((2.5, 3.5))


def test_a_denominator_that_may_be_zero_leaves_no_interval() -> None:
    assert all(math.isnan(end) for end in fieller_interval(6.0, 1.0, 0.1, 0.3, 0.0, 2.0))


@pytest.mark.parametrize("ratio", [paired_ratio, independent_ratio])
def test_the_interval_covers_the_ratio(ratio: object) -> None:
    assert callable(ratio)
    trials, inside = 1000, 0
    rng = np.random.default_rng(7)
    for _ in range(trials):
        estimate = ratio(rng.normal(6.0, 1.0, 5), rng.normal(2.0, 0.4, 5))
        inside += estimate.low <= 3.0 <= estimate.high
    # Fieller is exact for pairs; Welch's freedom makes it approximate for groups.
    assert abs(inside / trials - 0.95) <= 3 * math.sqrt(0.95 * 0.05 / trials) + 0.005


def test_pairs_that_rise_and_fall_together_have_a_narrower_interval() -> None:
    below = [1.0, 1.1, 0.9, 1.05, 0.95]
    above = [2.01, 2.19, 1.81, 2.09, 1.9]
    paired, independent = paired_ratio(above, below), independent_ratio(above, below)
    assert paired.value == independent.value == pytest.approx(2.0)
    assert paired.high - paired.low < 0.2 * (independent.high - independent.low)


def test_one_value_or_equal_values_have_no_interval() -> None:
    for estimate in (paired_ratio([3.0], [2.0]), independent_ratio([3.0], [2.0]),
                     independent_ratio([3.0, 3.0], [2.0, 2.0]),
                     paired_ratio([3.0, 3.0], [2.0, 2.0])):
        assert estimate.value == 1.5
        assert not estimate.has_interval
    assert math.isnan(paired_ratio([], []).value)


def test_a_ratio_of_estimates_adds_the_squares_of_their_log_distances() -> None:
    above, below = Estimate(6.0, 3.0, 12.0, 5), Estimate(2.0, 2.0, 4.0, 3)
    found = ratio_of_estimates(above, below)
    assert (found.value, found.n) == (3.0, 3)
    assert found.low == pytest.approx(3 / 2 ** math.sqrt(2)) and found.high == pytest.approx(6)
    assert not ratio_of_estimates(above, Estimate(2.0, -1.0, 4.0, 3)).has_interval
