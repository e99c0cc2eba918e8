"""Levels of several looks: what they add up to, and that p values and intervals of one difference agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.statistics.difference import at_look, paired_difference, widened
from batchscale.analysis.statistics.sequential.spending import (COMMON, common_class, level_at, levels, look_at,
                                                                NOT_WORSE, over_looks, Side, STUDENT,
                                                                STUDENT_IN_COMMON, WORSE)

COUNTS, FEW = (3, 4, 5, 6, 8, 10, 12), (3, 4, 5, 6)
SIDES = pytest.mark.parametrize("side", [WORSE, NOT_WORSE])


@SIDES
@pytest.mark.parametrize("common", [0.0, 0.25, 4.0, COMMON[-1]])
def test_normal_statistics_err_as_often_as_is_spent(side: Side, common: float) -> None:
    noise, counts, most = np.random.default_rng(1), np.array(COUNTS), COUNTS[-1]
    seeds = np.cumsum(noise.normal(size=(100_000, most)), axis=1)[:, counts - 1] / counts * math.sqrt(most)
    z = (seeds + math.sqrt(common) * noise.normal(size=(100_000, 1))) / np.sqrt(most / counts + common)
    wrong = (z > stats.norm.isf(levels(COUNTS, 0.025, side, common))).any(axis=1)
    spent = 0.025 / (STUDENT_IN_COMMON if common >= 1 else STUDENT)
    assert np.mean(wrong) == pytest.approx(spent, abs=4 * math.sqrt(0.025 / len(z)))


@SIDES
def test_looks_that_have_more_in_common_have_higher_levels_and_between_two_the_lower_ones_are_taken(side: Side) -> None:
    each = np.array([levels(COUNTS, 0.025, side, common) for common in COMMON])
    assert (np.diff(each[:, 1:], axis=0) > 0).all()
    factor = [STUDENT / STUDENT_IN_COMMON if common >= 1 else 1.0 for common in COMMON]
    assert each[:, 0] / factor == pytest.approx(each[0, 0]), "before the first look nothing was spent"
    assert [common_class(common) for common in (-1.0, 0.1, 3.9, 4.0, 1e9, math.inf)] == [0, 0, 2, 4, 64, 64]
    assert level_at(COUNTS, 12, 0.025, side, 3.9) == pytest.approx(levels(COUNTS, 0.025, side, 2.0)[-1], rel=0.02)
    assert over_looks(COUNTS, 12, 0.015, side, 4.0) < over_looks(COUNTS, 12, 0.015, side)


def test_what_all_looks_have_in_common_is_what_more_seeds_do_not_lessen() -> None:
    values = np.random.default_rng(4).normal(0.001, 0.002, 6)
    once = paired_difference(values, np.zeros(6))
    fixed = 3 * once.standard_error ** 2 / 2  # of the mean of the last look's twelve seeds, half the variance: thrice
    of = at_look(widened(once, variance=fixed, freedom=5.0), COUNTS)
    assert of.common_variance == pytest.approx(3.0)
    assert of.level_of_look(12, 0.025, NOT_WORSE) == level_at(COUNTS, 12, 0.025, NOT_WORSE, 2.0)
    assert at_look(once, COUNTS).common_variance == widened(once, variance=fixed).common_variance == 0.0
    assert of.below(of.estimate.high * 1.001) < 0.025 < of.below(of.estimate.high * 0.999)


@SIDES
@pytest.mark.parametrize("looks", [COUNTS, FEW])
def test_students_statistics_of_few_seeds_err_at_most_as_often_as_the_level_says(looks: tuple[int, ...],
                                                                                 side: Side) -> None:
    values = np.random.default_rng(2).normal(size=(100_000, looks[-1]))
    counts = np.array(looks)
    mean = np.cumsum(values, axis=1)[:, counts - 1] / counts
    spread = np.sqrt((np.cumsum(values ** 2, axis=1)[:, counts - 1] - counts * mean ** 2) / (counts - 1) / counts)
    wrong = (stats.t.sf(mean / spread, counts - 1) < levels(looks, 0.025, side)).any(axis=1)
    assert 0.02 < np.mean(wrong) < 0.025 + 3 * math.sqrt(0.025 / len(values))


@SIDES
@pytest.mark.parametrize("seeds", [3, 6, 7, 12])
@pytest.mark.parametrize("alpha", [0.025, 0.025 / 6, 1e-5])
def test_a_sequential_p_value_is_below_the_level_where_that_of_its_look_is_passed(
        seeds: int, alpha: float, side: Side) -> None:
    level = level_at(COUNTS, seeds, alpha, side)
    below, above = (over_looks(COUNTS, seeds, level * factor, side) for factor in (0.999, 1.001))
    assert below < alpha < above
    assert level == pytest.approx(levels(COUNTS, alpha, side)[look_at(COUNTS, seeds)], rel=0.02)
    assert level < alpha


def test_what_is_not_worse_is_shown_later_and_the_last_look_keeps_more_of_its_level() -> None:
    worse, not_worse = (levels(COUNTS, 0.025, side) for side in (WORSE, NOT_WORSE))
    assert not_worse[0] < worse[0] / 3 and not_worse[-1] > 1.5 * worse[-1]


def test_where_there_are_few_seeds_the_last_look_keeps_most_of_the_level_of_what_is_not_worse() -> None:
    few, more = (levels(looks, 0.025, NOT_WORSE)[-1] / 0.025 for looks in (FEW, COUNTS))
    assert few > 0.63 > 0.55 > more > 0.5
    assert levels(FEW, 0.025, WORSE)[-1] / 0.025 < 0.4


def test_without_looks_nothing_changes_and_nan_stays() -> None:
    of = paired_difference([1.0, 2.0, 3.5], [0.0, 0.5, 1.0])
    assert at_look(of, ()) is of and over_looks((), 3, 0.01, WORSE) == 0.01
    assert level_at((), 3, 0.025, WORSE) == 0.025 and math.isnan(over_looks(COUNTS, 3, math.nan, WORSE))


@pytest.mark.parametrize("seeds", [3, 5, 12])
def test_the_repeated_interval_and_the_sequential_p_values_agree(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(0.001, 0.002, seeds)
    once = paired_difference(values, np.zeros(seeds))
    of = at_look(once, COUNTS)
    assert of.estimate.low < once.estimate.low < once.estimate.high < of.estimate.high
    assert of.below(of.estimate.high * 1.001) < 0.025 < of.below(of.estimate.high * 0.999)
    assert of.above(of.estimate.low - 1e-6) < 0.025 < of.above(of.estimate.low + 1e-6)
    assert (of.p_value < 0.05) is (of.estimate.low > 0 or of.estimate.high < 0)
