"""The generated tokens: a Markov chain whose entropy is the floor that is said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data.sources import tokens


def test_targets_are_the_next_tokens_of_the_stated_size() -> None:
    found = data.load("tokens")
    assert found.size == data.describe_size("tokens")
    assert found.train_x.dtype == found.train_y.dtype == np.int32
    assert np.array_equal(found.train_x[:, 1:], found.train_y[:, :-1])
    assert (found.train_x.min(), found.train_x.max()) == (0, found.classes - 1)
    assert f"{tokens.least_loss(tokens.transitions()):.4f}" in found.source


def test_the_entropy_rate_is_that_of_chains_known_in_closed_form() -> None:
    fair = np.full((4, 4, 4), 0.25)
    assert tokens.entropy_rate(fair) == pytest.approx(math.log(4))
    assert tokens.least_loss(fair) == pytest.approx(math.log(4))
    # c repeats the one before last with probability 0.9: pairs are uniform, and each step has the entropy of a coin.
    echo = np.where(np.eye(2)[:, None, :], 0.9, 0.1) * np.ones((2, 2, 2))
    coin = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert tokens.entropy_rate(echo) == pytest.approx(coin)
    assert tokens.least_loss(echo) == pytest.approx((math.log(2) + 31 * coin) / 32)


def test_pairs_occur_as_the_stationary_distribution_says_at_both_ends() -> None:
    chain = tokens.transitions()
    pairs = tokens.stationary(chain)
    assert np.einsum("ab,abc->bc", pairs, chain) == pytest.approx(pairs, abs=1e-12)
    x = data.load("tokens").train_x
    for place in (0, 30):
        counts = np.bincount(x[:, place] * 16 + x[:, place + 1], minlength=256)
        # Chi-squared with 255 degrees of freedom: mean 255, standard deviation 22.6.
        assert float(np.sum((counts - 20_000 * pairs.ravel())**2 / (20_000 * pairs.ravel()))) < 255 + 5 * 22.6


def test_the_sequences_follow_the_chain() -> None:
    """The mean of -ln P over all targets from the third token on, against its own standard error."""
    chain, found = tokens.transitions(), data.load("tokens")
    x, y = found.train_x, found.train_y
    losses = -np.log(chain[x[:, :-1], x[:, 1:], y[:, 1:]]).mean(axis=1)
    error = losses.std() / math.sqrt(len(losses))
    assert abs(losses.mean() - tokens.entropy_rate(chain)) < 5 * error < 0.02
