"""The chance that more seeds decide, and what choosing anew by them gains, held against studies that go on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from batchscale.analysis.statistics.difference import Difference, paired_difference
from batchscale.analysis.statistics.sample_size import chance_to_show, expected_gain

MOST, LEVEL = 16, 0.025


def gone_on(seeds: int) -> tuple[Difference, npt.NDArray[np.float64]]:
    """A study, and float64[studies, MOST] as it may go on. Truths are drawn as its seeds leave them open: the spread
    from its chi-square, the mean around theirs."""
    noise = np.random.default_rng(seeds)
    first = noise.normal(0.6, 1.0, seeds)
    of = paired_difference(first, np.zeros(seeds))
    spread = of.standard_error * np.sqrt(seeds) * np.sqrt((seeds - 1) / noise.chisquare(seeds - 1, 20_000))
    mean = of.estimate.value + spread / np.sqrt(seeds) * noise.normal(size=20_000)
    later = noise.normal(mean[:, None], spread[:, None], (20_000, MOST - seeds))
    return of, np.concatenate([np.broadcast_to(first, (20_000, seeds)), later], axis=1)


@pytest.mark.parametrize("seeds", [4, 8, 14])
def test_the_chance_is_the_share_of_studies_that_pass_when_they_go_on(seeds: int) -> None:
    of, whole = gone_on(seeds)
    passed = stats.ttest_1samp(whole, 0.0, axis=1, alternative="greater").pvalue < LEVEL
    assert chance_to_show(of, of.estimate.value, MOST, LEVEL) == pytest.approx(passed.mean(), abs=0.06)


def test_at_the_most_seeds_the_chance_is_the_test_itself_and_without_spread_there_is_none() -> None:
    of = paired_difference([1.0, 1.2, 0.7, 1.1], [0.0] * 4)
    assert of.above(0.0) < LEVEL
    assert chance_to_show(of, of.estimate.value, 4, LEVEL) == 1
    assert chance_to_show(of, of.estimate.value, 4, of.above(0.0) * 0.99) == 0
    assert chance_to_show(paired_difference([1.0, 1.0], [0.0, 0.0]), 1.0, 9, LEVEL) == 0


@pytest.mark.parametrize("seeds", [4, 8, 14])
def test_the_gain_is_what_choosing_anew_brings_on_average_where_studies_go_on(seeds: int) -> None:
    of, whole = gone_on(seeds)
    brought = np.maximum(-whole.mean(axis=1), 0.0)
    assert expected_gain(of, MOST) == pytest.approx(brought.mean(), abs=4 * brought.std() / math.sqrt(len(whole)))


def test_choosing_anew_gains_nothing_without_more_seeds_or_spread_and_as_normal_values_where_all_is_known() -> None:
    of = paired_difference([1.0, 1.2, 0.7, 1.1], [0.0] * 4)
    assert expected_gain(of, 4) == 0 and expected_gain(paired_difference([1.0, 1.0], [0.0, 0.0]), 9) == 0
    known = replace(of, degrees_of_freedom=math.inf)
    assert expected_gain(known, 400_000) == pytest.approx(expected_gain(replace(of, degrees_of_freedom=1e7), 400_000),
                                                          rel=1e-3)
