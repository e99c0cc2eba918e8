"""The rules of public curves that come with the package: which counts they know, and how well they do."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.laws.public.curves import shipped

CASES = {((1, 2, 4), 8), ((1, 2), 8), ((1, 2), 4)}


def test_they_name_their_source_and_their_own_error() -> None:
    known = shipped()
    assert known.licence and known.source and {(rule.given, rule.predicted) for rule in known.rules} == CASES
    for rule in known.rules:
        assert rule.measured.held >= 0.9 and rule.measured.setups >= 10 and rule.measured.curves >= 100
    of_three = known.rule(frozenset({1, 2, 4}), 8)
    assert of_three is not None
    # A ring through the same three, by least squares, is off by 2.7 % in the median and 10.5 % at the 90th percentile.
    assert of_three.measured.median_error < 0.025 and of_three.measured.ninetieth_error < 0.1


@pytest.mark.parametrize("given, predicted, rule", [
    ((1, 2), 8, (1, 2)), ((1, 2), 4, (1, 2)), ((1, 2, 4), 8, (1, 2, 4)), ((1, 2, 3, 4), 8, (1, 2, 4)),
    ((2, 4), 8, ()), ((1, 4), 8, ()), ((1, 2), 16, ()), ((1, 2, 4), 4, ()), ((1, 2, 4, 6), 8, ()), ((), 8, ())])
def test_a_rule_speaks_of_the_counts_that_it_was_fitted_to(given: tuple[int, ...], predicted: int,
                                                           rule: tuple[int, ...]) -> None:
    found = shipped().rule(frozenset(given), predicted)
    assert (found.given if found else ()) == rule


def test_the_interval_grows_with_the_slow_down_and_never_leaves_out_its_middle() -> None:
    for rule in shipped().rules:
        few, many = rule.log_ratio(0.0), rule.log_ratio(rule.reach[1])
        assert many.high - many.low > few.high - few.low > 0
        for slow_down in (rule.reach[0], 0.0, rule.reach[1]):
            found = rule.log_ratio(slow_down)
            assert found.low <= found.value < found.high
            assert found.value == pytest.approx(rule.offset + rule.slope * slow_down)
        assert rule.reaches(0.0) and not rule.reaches(rule.reach[1] + 0.01) and not rule.reaches(math.nan)
