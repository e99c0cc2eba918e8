"""The rules by which a difference is called one."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.statistics.decision_rules import (
    BETTER, FEWEST_SEEDS, NOT_WORSE, OPEN, SAME, WORSE, better, not_worse, same, significant, worse)


@pytest.mark.parametrize("p_value, n, expected", [
    (0.049, FEWEST_SEEDS, True), (0.051, FEWEST_SEEDS, False), (0.001, FEWEST_SEEDS - 1, False),
    (math.nan, 10, False)])
def test_a_rule_takes_five_seeds_and_a_p_value_below_five_percent(p_value: float, n: int, expected: bool) -> None:
    assert significant(p_value, n) is expected
    assert bool(same(p_value, n)) is bool(not_worse(p_value, n)) is bool(worse(0.1, p_value, n)) is expected
    assert bool(better(-0.1, p_value, n)) is expected


def test_a_loss_is_never_better_and_a_gain_never_worse() -> None:
    assert not better(0.1, 0.001, 9) and not worse(-0.1, 0.001, 9)
    assert not worse(0.0, 0.001, 9) and not better(0.0, 0.001, 9)


def test_every_answer_carries_its_sentence() -> None:
    answers = (worse(1.0, 0.0, 9), better(-1.0, 0.0, 9), not_worse(0.0, 9), same(0.0, 9), same(0.5, 9))
    assert [answer.sentence for answer in answers] == [WORSE, BETTER, NOT_WORSE, SAME, OPEN]
    assert "5 seeds" in OPEN and "95%" in WORSE
