"""Decisions where nothing is better than the margin allows, and comparisons where nothing is slower than allowed."""

from __future__ import annotations

import pytest
from simulation import comparison, decision
from simulation.table import SEED

SAMPLED = [cell for cell in decision.CELLS if cell.startswith("gap")]
CHOSEN = [cell for cell in decision.CELLS if cell not in SAMPLED]


@pytest.mark.parametrize("cell", ["1 rule at the margin", "identical results"])
def test_a_few_studies_recommend_no_batch_that_loses_the_margin(cell: str) -> None:
    found = decision.simulate(cell, 6, SEED)
    assert found.seen <= 1 / 6 and "power 0%" not in found.note


def test_a_few_intervals_hold_the_gap_on_all_examples() -> None:
    assert decision.simulate("gap on all examples from 360", 10, SEED).seen >= 0.8


@pytest.mark.parametrize("cell", ["1 configuration 4.9 % slower, noise 2 %, 6 launches",
                                  "12 configurations 5 % slower, noise 3 %, 6 launches"])
def test_a_few_comparisons_fail_nothing_that_is_allowed(cell: str) -> None:
    assert comparison.simulate(cell, 10, SEED).seen <= 0.2


@pytest.mark.slow
@pytest.mark.parametrize("cell", CHOSEN)
def test_wrong_batches_are_recommended_in_at_most_a_twentieth(cell: str) -> None:
    found = decision.simulate(cell, 300, SEED)
    assert found.seen <= 0.05, found


@pytest.mark.slow
@pytest.mark.parametrize("cell", SAMPLED)
def test_intervals_hold_the_gap_on_all_examples(cell: str) -> None:
    found = decision.simulate(cell, 300, SEED)
    assert found.seen >= 0.92, found


@pytest.mark.slow
@pytest.mark.parametrize("cell", comparison.FALSE)
def test_comparisons_fail_falsely_in_at_most_a_twentieth(cell: str) -> None:
    found = comparison.simulate(cell, 300, SEED)
    assert found.seen <= 0.05, found
