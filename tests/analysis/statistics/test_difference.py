"""Differences, sameness and undecided cases, against Goyal et al. 2017 and the libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from batchscale.analysis.statistics.difference import (difference, paired_difference, Summary, summary_difference,
                                                       widened)
from batchscale.analysis.statistics.decision_rules import equivalence
from batchscale.analysis.statistics.multiple_testing import holm
from batchscale.analysis.statistics.sample_size import more_seeds, seeds_until_not_worse
from batchscale.analysis.statistics.sign_flip import sign_flip
from batchscale.benchmarks.errors import RecordError

# Goyal et al. 2017: ResNet-50 top-1 error (%) against global batch, mean and std of 5 runs.
REFERENCE = Summary(23.60, 0.12, 5)
GOYAL = {512: (23.48, 0.09), 1024: (23.53, 0.08), 2048: (23.49, 0.11), 4096: (23.56, 0.12),
         8192: (23.74, 0.09), 16384: (24.79, 0.27), 32768: (27.55, 0.28), 65536: (33.96, 0.80)}
ONE = np.random.default_rng(1).normal(0.900, 0.004, 6)
TWO = np.random.default_rng(2).normal(0.897, 0.009, 6)


def published(batch: int) -> Summary:
    return Summary(*GOYAL[batch], 5)


def test_goyal_at_8k_is_not_significantly_worse() -> None:
    found = difference(published(8192), REFERENCE)
    assert found.t == pytest.approx(2.087, abs=5e-4)
    assert found.degrees_of_freedom == pytest.approx(7.42, abs=5e-3)
    assert found.p_value == pytest.approx(0.0731, abs=5e-5)
    assert found.estimate.low < 0 < found.estimate.high
    assert found.estimate.n == 5


@pytest.mark.parametrize("margin, p_value, same", [
    (0.2, 0.1996, False), (0.3, 0.0233, True), (0.5, 4.32e-4, True)])
def test_goyal_at_8k_is_the_same_within_some_margins(margin: float, p_value: float,
                                                     same: bool) -> None:
    found = equivalence(difference(published(8192), REFERENCE), margin, 0.05)
    assert found.p_value == pytest.approx(p_value, abs=5e-5 if p_value > 0.01 else 5e-7)
    assert found.equivalent is same
    assert equivalence(difference(published(8192), REFERENCE), margin).equivalent is (p_value < 0.025)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((0.0140, 0.2660), abs=5e-5)


def test_goyal_at_16k_is_worse() -> None:
    found = difference(published(16384), REFERENCE)
    assert found.t == pytest.approx(9.006, abs=5e-4)
    assert found.degrees_of_freedom == pytest.approx(5.52, abs=5e-3)
    assert found.p_value == pytest.approx(1.665e-4, abs=5e-8)


def test_goyal_adjusted_over_the_batches() -> None:
    adjusted = holm([difference(published(batch), REFERENCE).p_value for batch in GOYAL])
    assert adjusted == pytest.approx(
        (0.4575, 0.6278, 0.5086, 0.6278, 0.3653, 9.987e-4, 2.976e-6, 4.123e-5), rel=2e-4)


def test_holm_keeps_an_undecided_test_in_the_family() -> None:
    assert holm([0.01, 0.02]) == pytest.approx((0.02, 0.02))
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[0] == pytest.approx(0.03) and adjusted[2] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])
    assert holm([]) == ()


def test_values_give_what_the_libraries_give() -> None:
    welch, paired = difference(ONE, TWO), paired_difference(ONE, TWO)
    assert welch.p_value == pytest.approx(stats.ttest_ind(ONE, TWO, equal_var=False).pvalue)
    assert paired.p_value == pytest.approx(stats.ttest_rel(ONE, TWO).pvalue)
    unequal = stats.ttest_ind(ONE, TWO, equal_var=False).confidence_interval()
    assert (welch.estimate.low, welch.estimate.high) == pytest.approx(tuple(unequal))
    assert equivalence(welch, 0.01).p_value == pytest.approx(
        ttost_ind(ONE, TWO, -0.01, 0.01, usevar="unequal")[0])
    assert equivalence(paired, 0.01).p_value == pytest.approx(
        ttost_paired(ONE, TWO, -0.01, 0.01)[0])


def test_a_table_of_differences_stands_in_for_pairs() -> None:
    apart = ONE - TWO
    table = Summary(float(apart.mean()), float(apart.std(ddof=1)), 6)
    assert summary_difference(table).p_value == pytest.approx(paired_difference(ONE, TWO).p_value)


def test_unequal_pairs_and_margins_of_nothing_are_refused() -> None:
    with pytest.raises(RecordError, match="6 and 5 values cannot be paired"):
        paired_difference(ONE, TWO[:5])
    with pytest.raises(RecordError, match="margin=0 decides nothing"):
        equivalence(difference(ONE, TWO), 0)


@pytest.mark.parametrize("first, second", [([0.5], [0.4]), ([0.5, 0.5], [0.4, 0.4])])
def test_arms_without_spread_decide_nothing(first: list[float], second: list[float]) -> None:
    found = difference(first, second)
    assert found.estimate.value == pytest.approx(0.1)
    assert not found.estimate.has_interval and math.isnan(found.p_value)
    assert not equivalence(found, 1.0).equivalent
    assert more_seeds(found, 1.0).more is None
    assert not paired_difference(first, second).estimate.has_interval


def test_the_90_percent_interval_and_the_test_agree() -> None:
    welch = difference(ONE, TWO)
    for margin in (thousandths / 1000 for thousandths in range(1, 31)):
        found = equivalence(welch, margin)
        inside = -margin < found.estimate.low and found.estimate.high < margin
        assert found.equivalent is inside


def test_sign_flips_need_six_pairs() -> None:
    assert sign_flip([1.0, 2, 3, 4, 5, 6]).p_value == 2 / 2 ** 6
    five = sign_flip([1.0, 2, 3, 4, 5])
    assert math.isnan(five.p_value)
    assert five.reason == ("n=5 cannot decide: the smallest p is 0.0625; use at least 6 seeds.")


@pytest.mark.parametrize("n", [6, 7, 13])
def test_sign_flips_count_every_pattern(n: int) -> None:
    # Whole numbers have many ties, which must all be counted.
    values = np.random.default_rng(n).integers(-4, 9, n).astype(np.float64)
    patterns = 1 - 2 * ((np.arange(2 ** n)[:, None] >> np.arange(n)) & 1)
    share = np.mean(np.abs(patterns @ values) >= abs(values.sum()))
    assert sign_flip(values).p_value == share
    assert sign_flip(0.1 * values).p_value == share


def test_sign_flips_of_many_seeds_are_still_exact() -> None:
    found = sign_flip(np.arange(1.0, 31.0))
    assert (found.p_value, found.n, found.reason) == (2 / 2 ** 30, 30, "")
    assert sign_flip([1.0, -1.0] * 4).p_value == 1.0
    assert "limit 40" in sign_flip(np.ones(41)).reason


def test_more_seeds_than_there_are_would_decide_with_the_power_stated() -> None:
    pilot = summary_difference(Summary(0.010, 0.010, 5))
    answer = more_seeds(pilot, margin=0.005)
    assert answer.outcome == "different" and answer.more is not None
    n = 5 + answer.more
    draws = np.random.default_rng(4).normal(0.010, 0.010, (20_000, n))
    low = draws.mean(1) - stats.t.ppf(0.975, n - 1) * draws.std(1, ddof=1) / math.sqrt(n)
    assert np.mean(low > 0.005) == pytest.approx(0.8, abs=0.02)
    assert f"{answer.more} more seeds per arm would show that the arms differ by more than 0.005" \
        in answer.statement


def test_more_seeds_for_sameness() -> None:
    pilot = difference(Summary(0.9, 0.01, 5), Summary(0.9, 0.01, 5))
    answer = more_seeds(pilot, margin=0.005)
    assert answer.outcome == "the same" and answer.more is not None
    n = 5 + answer.more
    rng = np.random.default_rng(5)
    arms = rng.normal(0.9, 0.01, (2, 5000, n))
    apart = arms[0].mean(1) - arms[1].mean(1)
    variances = arms.var(axis=2, ddof=1)
    half = stats.t.ppf(0.975, 2 * n - 2) * np.sqrt(variances.sum(0) / n)
    assert np.mean(np.abs(apart) + half < 0.005) == pytest.approx(0.8, abs=0.03)


def test_more_seeds_can_be_none_needed_or_never_enough() -> None:
    assert more_seeds(difference(published(65536), REFERENCE), 0.5).more == 0
    never = more_seeds(difference(published(8192), REFERENCE), 0.14)
    assert never.more is None and "too near the margin" in never.statement


@pytest.mark.parametrize("seeds", [2, 3, 6])
@pytest.mark.parametrize("variance", [0.0, 1e-7, 1e-6, 1e-5])
def test_a_further_source_of_error_never_makes_an_interval_narrower(seeds: int, variance: float) -> None:
    of = paired_difference(np.random.default_rng(seeds).normal(0, 0.002, seeds), np.zeros(seeds))
    wide = widened(of, variance=variance, freedom=5.0)
    assert wide.estimate.high >= of.estimate.high and wide.fixed_error == pytest.approx(math.sqrt(variance))


def test_what_more_seeds_cannot_lessen_is_said() -> None:
    of = widened(summary_difference(Summary(0.0, 0.002, 6)), variance=0.004 ** 2, freedom=5.0)
    answer = more_seeds(of, 0.005)
    assert answer.more is None and "these examples resolve differences of 0.0078" in answer.statement


def test_equal_values_have_the_least_error_and_one_value_has_none() -> None:
    equal = paired_difference([0.9] * 4, [0.9] * 4)
    assert widened(equal, least_error=0.001).standard_error == 0.001
    assert widened(equal, least_error=0.001).below(0.005) < 0.01
    assert math.isnan(widened(paired_difference([0.9], [0.9]), least_error=0.001).standard_error)


def test_seeds_until_a_loss_is_shown_to_be_below_the_margin() -> None:
    """With the power stated; a gain takes fewer than a loss, and of a loss beyond the margin it is never shown."""
    pilot = summary_difference(Summary(0.001, 0.006, 6))
    more = seeds_until_not_worse(pilot, 0.005, 0.0125)
    assert more is not None
    n = 6 + more
    draws = np.random.default_rng(6).normal(0.001, 0.006, (20_000, n))
    t = (0.005 - draws.mean(1)) / draws.std(1, ddof=1) * math.sqrt(n)
    assert np.mean(stats.t.sf(t, n - 1) < 0.0125) == pytest.approx(0.8, abs=0.03)
    gain = seeds_until_not_worse(summary_difference(Summary(-0.002, 0.006, 6)), 0.005, 0.0125)
    assert gain is not None and gain < more
    assert seeds_until_not_worse(summary_difference(Summary(0.006, 0.006, 6)), 0.005, 0.0125) is None
