"""Critical batches from steps and from gradient noise: intervals that hold the truth as often as they say."""

from __future__ import annotations

import pytest
from simulation import critical_batch, noise_scale
from simulation.table import SEED

LOST = "B_noise 5,000, 128 examples a probe"


@pytest.mark.parametrize("cell", ["B_crit 100, exp", "B_crit 1,000, exp(-sqrt)"])
def test_a_few_studies_hold_the_critical_batch(cell: str) -> None:
    found = critical_batch.simulate(cell, 6, SEED)
    assert found.seen >= 4 / 6 and found.width < 1


@pytest.mark.parametrize("cell", [LOST, "B_noise from 130 to 2,000"])
def test_a_few_studies_hold_the_noise_scale(cell: str) -> None:
    found = noise_scale.simulate(cell, 16, SEED)
    assert found.seen >= 12 / 16 and "0 intervals below zero" in found.note
    assert ("no interval" in found.note) is (cell == LOST)


@pytest.mark.slow
@pytest.mark.parametrize("cell", critical_batch.CELLS)
def test_intervals_from_steps_hold_the_critical_batch(cell: str) -> None:
    found = critical_batch.simulate(cell, 300, SEED)
    chance = (0.98 * 0.02 / found.studies) ** 0.5  # a standard error of as many studies
    assert 0.92 <= found.seen <= 0.98 + chance, found
    assert abs(found.bias) < 0.1, found


@pytest.mark.slow
@pytest.mark.parametrize("cell", noise_scale.CELLS)
def test_intervals_from_gradients_hold_the_noise_scale(cell: str) -> None:
    found = noise_scale.simulate(cell, 300, SEED)
    assert found.seen >= 0.92, found
    assert "0 intervals below zero" in found.note
