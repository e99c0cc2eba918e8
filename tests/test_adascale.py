"""AdaScale's gain on the four gradients of a small regression."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.adascale import adascale_gain

# mean |g_i|^2 over pairs (0,1), (2,3) and over single examples, and |mean g|^2.
PAIRS, SINGLES, FULL = 0.96875, 1.9375, 0.578125


def test_two_pairs() -> None:
    found = adascale_gain(2, 2, PAIRS, FULL)
    assert (found.variance, found.mean_squared) == (0.78125, 0.1875)
    assert found.gain == pytest.approx(1.675676, abs=5e-7)


def test_four_examples() -> None:
    found = adascale_gain(4, 1, SINGLES, FULL)
    assert (found.variance, found.mean_squared) == pytest.approx((1.8125, 0.125), rel=1e-15)
    assert found.gain == pytest.approx(3.351351, abs=5e-7)


def test_groups_that_are_not_the_reference_batch_are_rescaled() -> None:
    # Single examples stand for pairs: B0 = 2, B = 4, so at most a gain of 2.
    found = adascale_gain(4, 1, SINGLES, FULL, reference_batch=2)
    assert found.variance == pytest.approx(1.8125 / 2)
    assert found.mean_squared == pytest.approx(0.125)
    assert found.gain == pytest.approx((0.90625 + 0.125) / (0.90625 / 2 + 0.125))


def test_the_gain_stays_between_one_and_the_scale() -> None:
    # All noise: mean squared is clipped to 0 and every replica counts in full.
    assert adascale_gain(4, 1, 4.0, 0.5).gain == pytest.approx(4.0)
    # All signal: the variance is floored, and more replicas bring nothing.
    assert adascale_gain(4, 1, 1.0, 1.0).gain == pytest.approx(1.0, abs=1e-6)


def test_one_group_is_no_estimate_of_a_larger_batch() -> None:
    assert adascale_gain(1, 32, 1.0, 1.0).gain == 1.0
    assert math.isnan(adascale_gain(1, 64, 1.0, 1.0, reference_batch=32).gain)
