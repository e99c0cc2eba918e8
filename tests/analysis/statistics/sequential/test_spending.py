"""Levels of several looks: what they add up to, and that p values and intervals of one difference agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.statistics.difference import at_look, paired_difference
from batchscale.analysis.statistics.sequential.spending import (level_at, levels, look_at, NOT_WORSE, over_looks,
                                                                STUDENT, WORSE)

COUNTS = (3, 4, 5, 6, 8, 10, 12)
SIDES = pytest.mark.parametrize("spent_as", [WORSE, NOT_WORSE])


@SIDES
def test_normal_statistics_err_as_often_as_is_spent(spent_as: float) -> None:
    draws = np.cumsum(np.random.default_rng(1).normal(size=(100_000, COUNTS[-1])), axis=1)
    counts = np.array(COUNTS)
    z = draws[:, counts - 1] / np.sqrt(counts)
    wrong = (z > stats.norm.isf(levels(COUNTS, 0.025, spent_as))).any(axis=1)
    assert np.mean(wrong) == pytest.approx(0.025 / STUDENT, abs=4 * math.sqrt(0.025 / len(z)))


@SIDES
def test_students_statistics_of_few_seeds_err_at_most_as_often_as_the_level_says(spent_as: float) -> None:
    values = np.random.default_rng(2).normal(size=(100_000, COUNTS[-1]))
    counts = np.array(COUNTS)
    mean = np.cumsum(values, axis=1)[:, counts - 1] / counts
    spread = np.sqrt((np.cumsum(values ** 2, axis=1)[:, counts - 1] - counts * mean ** 2) / (counts - 1) / counts)
    wrong = (stats.t.sf(mean / spread, counts - 1) < levels(COUNTS, 0.025, spent_as)).any(axis=1)
    assert 0.02 < np.mean(wrong) < 0.025 + 3 * math.sqrt(0.025 / len(values))


@SIDES
@pytest.mark.parametrize("seeds", [3, 6, 7, 12])
@pytest.mark.parametrize("alpha", [0.025, 0.025 / 6, 1e-5])
def test_a_sequential_p_value_is_below_the_level_where_that_of_its_look_is_passed(
        seeds: int, alpha: float, spent_as: float) -> None:
    level = level_at(COUNTS, seeds, alpha, spent_as)
    below, above = (over_looks(COUNTS, seeds, level * factor, spent_as) for factor in (0.999, 1.001))
    assert below < alpha < above
    assert level == pytest.approx(levels(COUNTS, alpha, spent_as)[look_at(COUNTS, seeds)], rel=0.02)
    assert level < alpha


def test_what_is_not_worse_is_shown_later_and_the_last_look_keeps_more_of_its_level() -> None:
    worse, not_worse = (levels(COUNTS, 0.025, side) for side in (WORSE, NOT_WORSE))
    assert not_worse[0] < worse[0] / 3 and not_worse[-1] > 1.5 * worse[-1]


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
