"""An interval must cover what it says, and be absent where nothing can be said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.statistics.estimate import (Estimate, mean_estimate, median_estimate, t_interval, unknown,
                                                     unstable)
from batchscale.benchmarks.errors import RecordError

# Ten steps at batch 256, two of them twice as long as the others.
STEP_SECONDS = [0.1] * 8 + [0.2] * 2


@pytest.mark.parametrize("n", [2, 5, 19])
def test_t_intervals_cover_the_mean_as_often_as_they_say(n: int) -> None:
    trials = 50_000
    draws = np.random.default_rng(0).normal(3.0, 2.0, (trials, n))
    low, high = t_interval(draws.mean(axis=1), draws.std(axis=1, ddof=1), n)
    coverage = np.mean((low <= 3.0) & (3.0 <= high))
    assert abs(coverage - 0.95) <= 3 * math.sqrt(0.95 * 0.05 / trials)


def test_a_mean_of_few_values_has_the_simulated_interval() -> None:
    rates = [256 / seconds for seconds in STEP_SECONDS]
    estimate = mean_estimate(rates)
    assert estimate.value == pytest.approx(2304.0)
    assert estimate.high - estimate.value == pytest.approx(386.07, abs=0.005)
    assert estimate.value - estimate.low == pytest.approx(386.07, abs=0.005)
    assert estimate.n == 10


@pytest.mark.parametrize("n", [2, 19, 20, 25, 200])
def test_a_mean_has_students_interval_at_any_count(n: int) -> None:
    values = np.random.default_rng(n).normal(1.0, 0.2, n)
    estimate = mean_estimate(values)
    assert (estimate.low, estimate.high) == pytest.approx(t_interval(values.mean(), values.std(ddof=1), n))


@pytest.mark.parametrize("values", [[0.7], [0.1, 0.1, 0.1], [0.1] * 25])
def test_degenerate_values_have_no_interval(values: list[float]) -> None:
    for estimate in (mean_estimate(values), median_estimate(values)):
        assert not estimate.has_interval
        assert estimate.to_json() == {"value": values[0], "low": None, "high": None,
                                      "n": len(values)}


def test_nothing_is_null_and_json_has_no_nan() -> None:
    assert json.dumps(mean_estimate([]).to_json(), allow_nan=False) == (
        '{"value": null, "low": null, "high": null, "n": 0}')
    assert Estimate(1.0, 0.5, math.inf, 3).to_json()["high"] is None
    assert str(unknown()) == "not known"
    assert str(Estimate(1.0, 0.5, 2.0, 3)) == "1 [0.5, 2] (n=3)"


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(RecordError, match="1 of 3 are not finite"):
        mean_estimate([0.5, math.nan, 0.6])


def test_the_median_of_windows_has_the_exact_order_statistic_interval() -> None:
    # Six values: both ends are beyond the median with probability 2/2^6 = 3.1 %; five: 6.2 %.
    assert median_estimate([6, 1, 5, 2, 4, 3]) == Estimate(3.5, 1.0, 6.0, 6)
    assert not median_estimate([1, 2, 3, 4, 5]).has_interval
    twelve = median_estimate(range(1, 13))
    ranks = stats.binom.cdf([2, 3], 12, 0.5)
    assert 2 * ranks[0] <= 0.05 < 2 * ranks[1]
    assert (twelve.low, twelve.high) == (3.0, 10.0)


def test_monotone_functions_carry_the_interval_with_its_ends_in_order() -> None:
    estimate = Estimate(2.0, 1.0, 4.0, 5)
    assert estimate.transformed(lambda x: 1 / x) == Estimate(0.5, 0.25, 1.0, 5)
    assert estimate.scaled(-1.0) == Estimate(-2.0, -4.0, -1.0, 5)
    assert math.isnan(unknown(3).scaled(2.0).low)


def test_intervals_overlap_only_where_both_exist() -> None:
    assert Estimate(1, 0, 2, 5).overlaps(Estimate(3, 2, 4, 5))
    assert not Estimate(1, 0, 2, 5).overlaps(Estimate(3, 2.5, 4, 5))
    assert not Estimate(1, 0, 2, 5).overlaps(unknown())


def test_an_unstable_measurement_says_what_to_do() -> None:
    # std(ddof 1)/mean = 0.04216/0.12; the median absolute deviation of these steps would be 0.
    message = unstable("step_seconds", STEP_SECONDS)
    assert message.startswith("step_seconds is unstable: the standard deviation is 35% of the mean")
    assert "measure again" in message
    assert unstable("step_seconds", [0.100, 0.101, 0.099]) == ""
    assert unstable("step_seconds", [0.1]) == ""
