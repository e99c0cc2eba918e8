"""Intervals of the critical batch hold a known truth, in studies simulated from their records on."""

from __future__ import annotations

import pytest
from simulation import critical_batch, noise_scale

FEW = 6


@pytest.mark.parametrize("cell", [critical_batch.CELLS[0], critical_batch.CELLS[3]])
def test_a_few_studies_of_steps_to_a_target_hold_the_truth(cell: str) -> None:
    found = critical_batch.simulate(cell, FEW, seed=1)
    assert found.seen >= 0.65 and 0.1 < found.width < 1  # 4 of 6: by chance below once in a hundred times


@pytest.mark.parametrize("cell", [noise_scale.CELLS[0], noise_scale.CELLS[1], noise_scale.CELLS[3]])
def test_a_few_studies_of_the_noise_scale_hold_the_truth(cell: str) -> None:
    found = noise_scale.simulate(cell, FEW, seed=1)
    assert found.seen >= 0.65 and "0 intervals below zero" in found.note


@pytest.mark.slow
@pytest.mark.parametrize("cell", critical_batch.CELLS)
def test_steps_to_a_target_cover_the_truth(cell: str) -> None:
    found = critical_batch.simulate(cell, 300, seed=20180614)
    assert 0.92 <= found.seen <= 0.98 and "no interval" not in found.note


@pytest.mark.slow
@pytest.mark.parametrize("cell", noise_scale.CELLS)
def test_the_noise_scale_covers_the_truth(cell: str) -> None:
    found = noise_scale.simulate(cell, 300, seed=20180614)
    assert found.seen >= 0.92 and "0 intervals below zero" in found.note
