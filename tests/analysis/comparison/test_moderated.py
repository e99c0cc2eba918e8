"""Variances of many small samples that borrow from each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.comparison.moderated import FEWEST_SAMPLES, moderated
from batchscale.analysis.statistics.estimate import Floats


def samples(count: int, freedom: int, spreads: float | Floats = 1.0, seed: int = 3) -> Floats:
    noise = np.random.default_rng(seed)
    return np.asarray(spreads ** 2 * noise.chisquare(freedom, count) / freedom)


def test_equal_variances_borrow_from_all_and_unequal_ones_from_few() -> None:
    equal = moderated(samples(64, 4), np.full(64, 4.0))
    assert np.median(equal.freedoms) > 40
    unequal = moderated(samples(64, 4, np.geomspace(0.05, 20, 64)), np.full(64, 4.0))
    assert np.median(unequal.freedoms) < 6


def test_a_sample_that_varies_more_keeps_its_own_variance() -> None:
    own = samples(64, 4)
    own[7] = 100.0
    found = moderated(own, np.full(64, 4.0))
    assert found.variances[7] == 100.0 and np.all(found.variances >= own)


def test_few_samples_and_those_without_spread_stay_as_they_are() -> None:
    few = samples(FEWEST_SAMPLES - 1, 4)
    assert np.array_equal(moderated(few, np.full(few.size, 4.0)).variances, few)
    own = np.append(samples(20, 4), 0.0)
    found = moderated(own, np.full(21, 4.0))
    assert found.variances[-1] == 0.0 and found.freedoms[-1] == 4.0


@pytest.mark.parametrize("spreads", [np.ones(64), np.geomspace(0.4, 2.5, 64)])
def test_the_level_of_each_test_holds_with_equal_and_with_unequal_variances(spreads: Floats) -> None:
    """Means of three values of true mean 0, at the one-sided level .025, over 64 samples and 200 sets of them."""
    noise, wrong = np.random.default_rng(5), 0
    for _ in range(200):
        values = spreads[:, None] * noise.normal(size=(64, 3))
        found = moderated(values.var(axis=1, ddof=1), np.full(64, 2.0))
        t = values.mean(axis=1) / np.sqrt(found.variances / 3)
        wrong += int(np.count_nonzero(stats.t.sf(t, found.freedoms) < 0.025))
    assert wrong / (200 * 64) < 0.03
