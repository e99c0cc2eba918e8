"""The best rate of a batch, and when it is only known to lie beyond those tried."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.laws.rates.best_rate import best_rates, BestRate, TriedRate
from batchscale.analysis.laws.rates.surface import fit_rate_surface

RATES = [0.01 * 2.0 ** (step / 2) for step in range(-6, 7)]


def tried(best: float, batch: int = 32, rates: list[float] = RATES, level: float = 1.0) -> list[TriedRate]:
    return [TriedRate(batch, rate, level + 0.1 * math.log(rate / best) ** 2) for rate in rates]


def one(trials: list[TriedRate]) -> BestRate:
    found, = best_rates(trials)
    return found


@pytest.mark.parametrize("best", [0.004, 0.01, 0.0113, 0.03])
def test_the_vertex_of_an_exact_parabola_is_the_best_rate(best: float) -> None:
    found = one(tried(best))
    assert found.learning_rate.value == pytest.approx(best) and found.side == 0
    assert found.error == pytest.approx(0, abs=1e-6)
    assert found.learning_rate.low <= found.learning_rate.value <= found.learning_rate.high


@pytest.mark.parametrize(("best", "side"), [(1.0, 1), (0.0001, -1)])
def test_a_best_rate_at_the_edge_is_no_value(best: float, side: int) -> None:
    found = one(tried(best))
    assert found.side == side
    assert found.learning_rate.high == math.inf if side > 0 else found.learning_rate.low == 0


def test_training_that_failed_says_nothing_of_the_shape_below() -> None:
    cliff = [TriedRate(32, trial.learning_rate, 7.0 if trial.learning_rate > 0.02 else trial.value)
             for trial in tried(0.01)]
    assert one(cliff).learning_rate.value == pytest.approx(0.01)
    lost = [TriedRate(32, trial.learning_rate, math.nan if trial.learning_rate > 0.02 else trial.value)
            for trial in tried(0.01)]
    assert one(lost).learning_rate.value == pytest.approx(0.01)


def test_where_rates_beyond_the_best_one_failed_it_is_not_at_the_edge() -> None:
    trials = [TriedRate(32, trial.learning_rate, math.nan if trial.learning_rate > 0.02 else trial.value)
              for trial in tried(0.1)]
    found = one(trials)
    assert found.side == 0 and 0.02 <= found.learning_rate.value <= RATES[RATES.index(0.02) + 1]


def test_without_a_clear_bend_any_rate_tried_may_be_the_best() -> None:
    flat = [TriedRate(32, rate, 1.0 + 0.1 * ((7 * index + 2) % 5)) for index, rate in enumerate(RATES)]
    found = one(flat)
    assert found.side == 0 and found.error > 1 and found.log_rate == pytest.approx(math.log(0.01))


def test_few_rates_take_their_error_from_the_seeds() -> None:
    few = [TriedRate(32, rate, 1 + math.log(rate / 0.01) ** 2, error) for rate in (0.005, 0.01, 0.02)
           for error in (0.01,)]
    assert one(few).error == pytest.approx(0.01 / math.sqrt(2) / (2 * math.log(2)), rel=1e-3)
    assert best_rates(few[:2]) == ()


def test_the_surface_of_an_exact_quadratic_is_that_quadratic() -> None:
    trials = [trial for batch in (32, 64, 128, 256)
              for trial in tried(0.01 * math.sqrt(batch / 32), batch, level=math.log2(batch) ** 2)]
    surface = fit_rate_surface(best_rates(trials))
    assert surface is not None and surface.rms == pytest.approx(0, abs=1e-9)
    value, = surface.values(np.array([128.0]), np.array([0.03]))
    assert value == pytest.approx(49 + 0.1 * math.log(0.03 / 0.02) ** 2)
    assert fit_rate_surface(best_rates(trials)[:2]) is None
