"""What a law predicts for the size it has not seen."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.laws.scalability import fit_usl
from batchscale.analysis.statistics.held_out import extrapolation_warning, held_out_error
from batchscale.analysis.statistics.line import fit_line


def test_a_true_law_predicts_the_largest_size() -> None:
    counts = [1, 2, 4, 8, 16, 16]
    rates = [100 * n / (1 + 0.03 * (n - 1) + 0.002 * n * (n - 1)) for n in counts]
    rates[-1] *= 1.02
    found = held_out_error(fit_usl, counts, rates)
    assert found.size == 16
    assert found.measured.n == 2
    assert found.relative_error.value == pytest.approx(1 / math.sqrt(1.02) - 1)  # the geometric mean of the two
    assert found.note == ""


def test_a_wrong_law_shows_its_error() -> None:
    # A line through the rising part of a curve that saturates.
    found = held_out_error(fit_line, [1, 2, 4, 8, 16], [100, 190, 350, 500, 560])
    assert found.relative_error.value > 0.5
    assert found.relative_error.low < found.relative_error.value < found.relative_error.high


def test_too_few_sizes_cannot_lose_one() -> None:
    found = held_out_error(fit_usl, [1, 2, 4, 8], [100, 190, 350, 600])
    assert math.isnan(found.relative_error.value)
    assert found.note == "too few points are left to fit without 8"
    assert held_out_error(fit_usl, [], []).note == "no points"


def test_predictions_beyond_four_times_are_doubted() -> None:
    assert extrapolation_warning(64, [1, 4, 16]) == ""
    assert extrapolation_warning(128, [1, 4, 16]).startswith(
        "128 is 8.0 times the largest size measured (16)")
