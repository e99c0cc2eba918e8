"""Verdicts where the truth is plain: seldom against it, and in a null study seldom any claim supported."""

from __future__ import annotations

import pytest
from simulation.claims import CELLS, NOTHING, simulate
from simulation.table import SEED


@pytest.mark.parametrize("cell", ["5: still falling at the end", "7: the largest batch has learned nothing", NOTHING])
def test_few_studies_show_no_verdict_against_the_truth(cell: str) -> None:
    assert simulate(cell, 3, SEED).seen == 0


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_verdicts_are_wrong_in_at_most_a_twentieth(cell: str) -> None:
    found = simulate(cell, 300, SEED)
    assert found.seen <= 0.05, found
    assert cell == NOTHING or found.natural >= 0.9, found
