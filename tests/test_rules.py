"""Rates are the formulas: eta(B) by rule, and Goyal's per-iteration warm-up."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable

import numpy as np
import pytest

from batchscale.benchmarks import rules, schedule
from batchscale.benchmarks.config import RunConfig

Make = Callable[..., RunConfig]


@pytest.mark.parametrize("rule,expected", [("constant", 0.01), ("linear", 0.08), ("sqrt", math.sqrt(8) * 0.01)])
def test_peak_rates(config: Make, rule: str, expected: float) -> None:
    assert rules.peak_rate(config(rule=rule, global_batch=256)) == pytest.approx(expected, rel=1e-12)


def test_warm_up_rises_by_iteration_to_the_peak_and_stays(config: Make) -> None:
    made = config(rule="linear", global_batch=64, train_examples=640, warmup_epochs=2.0, epochs=4)
    eta = rules.rates(made)
    t = np.arange(40)
    assert eta.dtype == np.float32 and len(eta) == made.steps == 40
    assert eta == pytest.approx(0.01 + 0.01 * np.minimum(1, (t + 1) / 20), rel=1e-6)


@pytest.mark.parametrize("rule", ["constant", "linear", "sqrt"])
def test_at_the_reference_batch_every_rule_is_the_base_rate(config: Make, rule: str) -> None:
    assert set(rules.rates(config(rule=rule, global_batch=32))) == {np.float32(0.01)}


def test_a_short_warm_up_is_flagged(config: Make) -> None:
    assert any("fewer than 30" in flag for flag in rules.flags(config(rule="linear", global_batch=573, epochs=20)))
    assert rules.flags(config(rule="sqrt", global_batch=573)) == []


def test_evaluation_points_are_powers_of_two_and_epoch_ends(config: Make) -> None:
    assert schedule.evaluation_steps(10, 3) == [1, 2, 4, 8, 10, 16, 20, 30]
    assert schedule.evaluation_steps(1, 10) == list(range(1, 11))
    phase = schedule.phases(config(global_batch=128, train_examples=1280, epochs=2))[0]
    parts = schedule.segments(phase)
    assert parts[0] == (0, 1) and parts[-1][1] == 20
    assert all(stop == start for (_, stop), (start, _) in zip(parts, parts[1:]))
    assert all(start // 10 == (stop - 1) // 10 for start, stop in parts), "no segment crosses the end of an epoch"


def test_examples_in_docstrings() -> None:
    for module in (rules, schedule):
        assert doctest.testmod(module).failed == 0
