"""An interval must cover what it says, and be absent where nothing can be said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.statistics.estimate import (Estimate, exp, exponential, geometric_mean, logarithm,
                                                     mean_estimate, median_estimate, t_interval, unknown,
                                                     without_interval)
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


def test_a_geometric_mean_has_students_interval_of_its_logarithm_and_stays_above_zero() -> None:
    rates = [216_574.0, 568_306.0, 530_499.0]
    found = geometric_mean(rates)
    logs = np.log(rates)
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert found.value == pytest.approx(math.exp(logs.mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    assert found.low > 0 > mean_estimate(rates).low
    with pytest.raises(RecordError, match="1 of 2 are not positive"):
        geometric_mean([1.0, 0.0])
    assert not geometric_mean([2.0, 2.0]).has_interval and math.isnan(geometric_mean([]).value)


def test_an_interval_is_cut_to_what_is_possible_and_covers_as_before() -> None:
    accuracies = np.random.default_rng(3).beta(60, 2, (2000, 3))
    truth, inside, before = 60 / 62, 0, 0
    for values in accuracies:
        whole = mean_estimate(values)
        cut = whole.within(0.0, 1.0)
        assert 0 <= cut.low <= cut.value <= cut.high <= 1
        inside, before = inside + (cut.low <= truth <= cut.high), before + (whole.low <= truth <= whole.high)
    assert inside == before
    assert not Estimate(-2.0, -3.0, -1.0, 3).within(0.0, 1.0).has_interval
    assert Estimate(0.5, math.nan, math.nan, 1).within(0.0, 1.0).value == 0.5


def test_an_estimate_says_what_its_n_counts() -> None:
    found = mean_estimate([1.0, 2.0, 3.0]).per("launches")
    assert (found.counted, found.scaled(2).counted) == ("n = 3 launches",) * 2
    assert found.to_json()["n_of"] == "launches" and "n_of" not in mean_estimate([1.0]).to_json()
    assert [without_interval(1.0, 1).per(of).counted for of in ("launches", "seeds", "")] == \
        ["n = 1 launch", "n = 1 seed", "n = 1"]


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
    assert str(Estimate(1.0, 0.5, 2.0, 3)) == "1.00 (0.50 to 2.00, n = 3)"


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


def test_ends_too_small_or_too_large_for_a_float_are_zero_and_infinite() -> None:
    wide = exponential(Estimate(0.0, -1e4, 1e4, 3))
    assert wide == Estimate(1.0, 0.0, math.inf, 3)
    assert wide.under(5.0) == Estimate(5.0, 0.0, math.inf, 3) and unknown(3).under(5.0).n == 3
    assert logarithm(wide) == Estimate(0.0, -math.inf, math.inf, 3)
    assert (exp(1e4), exp(-1e4)) == (math.inf, 0.0) and exp(1.0) == pytest.approx(math.e)


def test_intervals_overlap_only_where_both_exist() -> None:
    assert Estimate(1, 0, 2, 5).overlaps(Estimate(3, 2, 4, 5))
    assert not Estimate(1, 0, 2, 5).overlaps(Estimate(3, 2.5, 4, 5))
    assert not Estimate(1, 0, 2, 5).overlaps(unknown())
