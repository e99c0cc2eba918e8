"""Rules of several nodes that come with the package: what they know, and how well they do."""

from __future__ import annotations

import pytest

from batchscale.analysis.laws.public.nodes import NodesRule, shipped_nodes


def rules() -> tuple[NodesRule, ...]:
    return shipped_nodes().rules


def test_they_name_their_sources_and_their_own_error() -> None:
    assert "Apache-2.0" in shipped_nodes().source and {rule.leaving for rule in rules()} == {True, False}
    for rule in rules():
        assert rule.measured.held >= 0.93 and rule.measured.setups >= 9
        assert rule.measured.median_error < 0.05 and rule.measured.width < 3


def test_the_interval_grows_with_the_doublings_and_is_open_to_congestion_above() -> None:
    for rule in rules():
        one, three = rule.log_ratio(0.02, 1), rule.log_ratio(0.02, 3)
        assert one.low < one.value < one.high and one.high - one.value > one.value - one.low
        assert (three.value, three.low, three.high) == pytest.approx((3 * one.value, 3 * one.low, 3 * one.high))
        assert rule.log_ratio(-0.1, 1) == rule.log_ratio(0.0, 1)
        assert rule.reaches(0.02) and not rule.reaches(rule.reach[1] + 0.01)
