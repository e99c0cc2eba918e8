"""The exponent of best rate ~ batch^a: the line, what it is shrunk towards, and what other settings say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.laws.rates.best_rate import BestRate
from batchscale.analysis.laws.rates.exponent import (EXPONENTS, fit_rate_law, FOR_ADAM, FOR_GRADIENT, prior_for,
                                                     prior_from, RateLaw, too_few)

BATCHES = (32, 64, 128, 256, 512, 1024)


def on_a_line(exponent: float, error: float = 0.01, batches: tuple[int, ...] = BATCHES) -> list[BestRate]:
    return [BestRate(batch, math.log(0.01) + exponent * math.log(batch / 32), error, 0, ()) for batch in batches]


def law(best: list[BestRate], adam: bool = False) -> RateLaw:
    found = fit_rate_law(best, FOR_ADAM if adam else FOR_GRADIENT)
    assert found is not None
    return found


@pytest.mark.parametrize("exponent", [-0.2, 0.0, 0.3, 0.5, 1.0, 1.4])
def test_well_measured_rates_give_their_exponent_whatever_the_prior(exponent: float) -> None:
    for adam in (False, True):
        found = law(on_a_line(exponent), adam).exponent
        assert found.value == pytest.approx(exponent, abs=0.02) and found.low < exponent < found.high
        assert found.high - found.low < 0.15 and found.n == len(BATCHES)


def test_poorly_measured_rates_are_drawn_towards_the_prior() -> None:
    rough = on_a_line(0.9, error=1.5, batches=(32, 64, 128))
    assert law(rough, adam=True).exponent.value < 0.45
    assert law(rough).exponent.value < 0.7
    assert law(rough).unshrunk.value == pytest.approx(0.9, abs=0.1)
    width = law(rough).unshrunk.high - law(rough).unshrunk.low
    assert law(rough).exponent.high - law(rough).exponent.low < width


def test_the_line_gives_the_rates_it_was_made_from() -> None:
    found = law(on_a_line(0.5))
    for batch in (32, 512, 2048):
        rate = found.rate(batch)
        assert rate.value == pytest.approx(0.01 * math.sqrt(batch / 32), rel=0.03) and rate.low < rate.value < rate.high
    assert found.rate(8192).high / found.rate(8192).low > found.rate(256).high / found.rate(256).low


def test_a_rate_at_the_edge_bounds_the_exponent_and_is_no_point_of_the_line() -> None:
    inside = on_a_line(0.5, 0.1, (32, 64, 128))
    tried_too_low = [*inside, BestRate(2048, math.log(0.01), 0.2, 1, ())]
    assert law(tried_too_low).exponent.value == pytest.approx(law(inside).exponent.value, abs=0.1)
    as_a_value = [*inside, BestRate(2048, math.log(0.01), 0.2, 0, ())]
    assert law(as_a_value).exponent.value < 0.25
    surprising = [*inside, BestRate(2048, math.log(0.01) + 0.9 * math.log(64), 0.2, 1, ())]
    assert law(surprising).exponent.value > law(inside).exponent.value + 0.1


def test_too_few_batches_have_no_exponent_and_say_why() -> None:
    two = on_a_line(0.5, batches=(32, 64))
    edges = [*two[:1], *(BestRate(batch, 0.0, 0.1, 1, ()) for batch in (64, 128))]
    assert fit_rate_law(two, FOR_ADAM) is None and "2 of the 3 batches" in too_few(two)
    assert fit_rate_law(edges, FOR_ADAM) is None and "1 of 3 batches" in too_few(edges)
    assert not too_few(on_a_line(0.5))


def test_what_theory_says_goes_by_the_optimizer() -> None:
    for name, middle in (("sgd", 0.5), ("nesterov", 0.5), ("adamw", 0.25), ("keras:Lion beta_1=0.95", 0.25),
                         ("mine:optimizer", 0.5)):
        prior = prior_for(name).estimate
        assert prior.value == pytest.approx(middle, abs=0.01) and prior.low < 0 < 2 * middle < prior.high


def test_other_settings_say_where_theirs_lie_and_how_far_they_are_apart() -> None:
    alike = prior_from([on_a_line(0.3)] * 8, FOR_ADAM)
    apart = prior_from([on_a_line(each) for each in np.linspace(0.0, 0.6, 8)], FOR_ADAM)
    assert alike.estimate.value == pytest.approx(0.3, abs=0.03) == apart.estimate.value
    assert (apart.estimate.high - apart.estimate.low) > 1.5 * (alike.estimate.high - alike.estimate.low)
    assert prior_from([on_a_line(0.3, batches=(32, 64))], FOR_ADAM) is FOR_ADAM
    assert "8 other settings" in alike.source and alike.density.shape == EXPONENTS.shape
