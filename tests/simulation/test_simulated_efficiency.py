"""Efficiency over launches of which one was disturbed: the interval holds the truth, and no headline rests on it."""

from __future__ import annotations

import pytest
from simulation.efficiency import CELLS, simulate
from simulation.table import SEED

DISTURBED = [cell for cell in CELLS if "disturbed by half" in cell]


@pytest.mark.parametrize("cell", DISTURBED)
def test_a_disturbed_launch_is_named_and_the_interval_holds_the_truth(cell: str) -> None:
    found = simulate(cell, 5, SEED)
    assert found.seen >= 0.8 and "headline withheld in 100%, the launch named in 100%" in found.note
    assert "an interval at or below zero in 0%" in found.note


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_intervals_of_efficiency_hold_the_truth_as_often_as_they_say(cell: str) -> None:
    found = simulate(cell, 300, SEED)
    assert found.seen >= 0.92, found
    assert "an interval at or below zero in 0%" in found.note
    assert cell not in DISTURBED or "headline withheld in 100%" in found.note
