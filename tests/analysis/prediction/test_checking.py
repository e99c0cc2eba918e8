"""What laws missed where they were held out is an error of their own beyond what was measured."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.laws.step.laws import fit_step_laws
from batchscale.analysis.laws.step.model import StepPoint
from batchscale.analysis.prediction.checking import HeldOut
from batchscale.analysis.statistics.estimate import Estimate
from batchscale.analysis.statistics.held_out import HeldOutError

PREDICTED = Estimate(1.0, math.exp(-0.1), math.exp(0.1), 9)


def off_by(ratio: float, doublings: float = 1.0) -> HeldOut:
    return HeldOut((HeldOutError.of(8, [ratio], PREDICTED),), "", 8, doublings)


def test_what_lies_beyond_the_interval_walks_from_doubling_to_doubling() -> None:
    beyond = math.sqrt(math.log(1.3) ** 2 - 0.1 ** 2)
    found = off_by(1.3)
    assert [found.missed(replicas) for replicas in (4, 8, 16, 32, 64)] == pytest.approx(
        [0, 0, beyond, beyond * math.sqrt(2), beyond * math.sqrt(3)])
    assert off_by(1 / 1.3).missed(16) == pytest.approx(beyond), "slower or faster alike"
    assert off_by(1.3, doublings=2).missed(32) == pytest.approx(beyond), "as far as it was held out by"


@pytest.mark.parametrize("found", [off_by(1.05), off_by(1.0), HeldOut((), "every run had 8 replicas")])
def test_nothing_is_added_where_the_interval_held_it_or_nothing_was_held_out(found: HeldOut) -> None:
    assert found.missed(64) == 0


def test_an_error_of_the_laws_adds_to_that_of_their_parameters_as_independent_ones_do() -> None:
    points = [StepPoint(p, 1, batch) for p in (1, 2, 4, 8) for batch in (32, 256) for _ in range(3)]
    seconds = [(4e-3 + 1e-4 * point.replica_batch + 1e-2 * (1 - 1 / point.replicas)) * (1 + 0.01 * (at % 3 - 1))
               for at, point in enumerate(points)]
    laws, there = fit_step_laws(points, seconds), StepPoint(16, 1, 32)
    plain, wider = laws.predict_seconds(there), laws.missing(0.3).predict_seconds(there)
    assert wider.value == plain.value
    for own, other in ((plain.high, wider.high), (plain.low, wider.low)):
        assert math.log(other / plain.value) ** 2 == pytest.approx(math.log(own / plain.value) ** 2 + 0.3 ** 2)
