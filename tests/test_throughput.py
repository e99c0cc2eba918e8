"""Global throughput counts the slowest rank of every window."""

from __future__ import annotations

import pytest

from batchscale.analysis.throughput import launch_examples_per_second, slowest_rank_seconds
from batchscale.benchmarks.errors import RecordError


def test_the_slowest_rank_sets_the_pace() -> None:
    seconds = [[1.0, 2.0, 1.0, 1.1, 1.0, 1.0], [1.5, 1.0, 1.25, 1.0, 1.3, 1.2]]
    assert slowest_rank_seconds(seconds).tolist() == [1.5, 2.0, 1.25, 1.1, 1.3, 1.2]
    found = launch_examples_per_second(seconds, examples_per_window=2560)
    # The median window takes (1.25 + 1.3)/2 s; six windows reach from the fastest to the slowest.
    assert found.value == pytest.approx(2560 / 1.275)
    assert (found.low, found.high) == pytest.approx((2560 / 2.0, 2560 / 1.1))
    assert found.n == 6


def test_windows_that_cannot_be_are_refused() -> None:
    impossible: list[list[list[float]]] = [[[1.0, 0.0]], [[1.0, float("nan")]], [[]]]
    for seconds in impossible:
        with pytest.raises(RecordError, match="must be positive"):
            slowest_rank_seconds(seconds)
