"""The rules by which a difference is called one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.statistics.decision_rules import (
    BETTER, FEWEST_SEEDS, NOT_WORSE, ONE_SIDED, OPEN, SAME, WORSE, better, equivalence, not_worse, one_sided_level,
    same, shown, significant, worse)
from batchscale.analysis.statistics.difference import paired_difference


@pytest.mark.parametrize("p_value, n, expected", [
    (0.049, FEWEST_SEEDS, True), (0.051, FEWEST_SEEDS, False), (0.001, FEWEST_SEEDS - 1, False),
    (math.nan, 10, False)])
def test_a_difference_takes_an_interval_and_a_p_value_below_five_percent(p_value: float, n: int,
                                                                         expected: bool) -> None:
    assert significant(p_value, n) is bool(worse(0.1, p_value, n)) is bool(better(-0.1, p_value, n)) is expected
    one_sided = p_value / 2
    assert shown(one_sided, n) is bool(same(one_sided, n)) is bool(not_worse(one_sided, n)) is expected


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_a_verdict_and_the_interval_beside_it_agree(seeds: int) -> None:
    """From two seeds on: at every one the verdict is that of the printed interval, on either side of its end."""
    values = np.random.default_rng(seeds).normal(0.001, 0.002, seeds)
    of = paired_difference(values, np.zeros(seeds))
    for margin in (of.estimate.high * 1.001, of.estimate.high * 0.999):
        within = of.estimate.high < margin
        assert bool(not_worse(of.below(margin), seeds)) is within
        farther = max(abs(of.estimate.low), of.estimate.high)
        assert equivalence(of, margin).equivalent is bool(same(equivalence(of, margin).p_value, seeds))
        assert equivalence(of, margin).equivalent is (farther < margin)


def test_looks_at_more_and_more_seeds_share_five_percent() -> None:
    levels = [one_sided_level(look) for look in range(60)]
    assert levels[0] == ONE_SIDED and sum(levels) <= 0.05 * (1 + 1e-12)


def test_a_loss_is_never_better_and_a_gain_never_worse() -> None:
    assert not better(0.1, 0.001, 9) and not worse(-0.1, 0.001, 9)
    assert not worse(0.0, 0.001, 9) and not better(0.0, 0.001, 9)


def test_every_answer_carries_its_sentence() -> None:
    answers = (worse(1.0, 0.0, 9), better(-1.0, 0.0, 9), not_worse(0.0, 9), same(0.0, 9), same(0.5, 9))
    assert [answer.sentence for answer in answers] == [WORSE, BETTER, NOT_WORSE, SAME, OPEN]
    assert all("95 %" in answer.sentence for answer in answers)
