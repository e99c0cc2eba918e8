"""Cost models of the all-reduce and the bandwidths drawn from measurements."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.laws.allreduce import (algorithm_bandwidth, bus_bandwidth, halving_doubling_seconds,
                                                hierarchical_seconds, Link, ring_seconds)
from batchscale.analysis.statistics.estimate import Estimate
from batchscale.benchmarks.errors import PlanError

LINK = Link(latency_seconds=5e-6, bytes_per_second=12.5e9)
BYTES = 102.4e6
MEASURED = Estimate(0.016, 0.0128, 0.020, 5)


def test_a_ring_of_eight() -> None:
    # 14 * 5 us + 1.75 * 102.4 MB / 12.5 GB/s = 0.07 ms + 14.336 ms.
    assert ring_seconds(8, BYTES, LINK) == pytest.approx(14.406e-3, rel=1e-12)
    assert ring_seconds(1, BYTES, LINK) == 0.0


def test_halving_doubling_moves_the_same_bytes_in_fewer_messages() -> None:
    assert halving_doubling_seconds(8, BYTES, LINK) == pytest.approx(6 * 5e-6 + 14.336e-3)
    with pytest.raises(PlanError, match="replicas=6 is not a power of two"):
        halving_doubling_seconds(6, BYTES, LINK)


def test_a_hierarchy_sends_one_shard_between_nodes() -> None:
    inside, between = Link(1e-6, 100e9), Link(5e-6, 12.5e9)
    expected = (2 * 7 * 1e-6 + 2 * 7 / 8 * BYTES / 100e9
                + 2 * 3 * 5e-6 + 2 * 3 / 4 * (BYTES / 8) / 12.5e9)
    local = ring_seconds(8, BYTES, inside)
    assert hierarchical_seconds(local, 4, 8, BYTES, between) == pytest.approx(expected)
    assert hierarchical_seconds(local, 1, 8, BYTES, between) == local, "one node has nothing to send to another"
    assert hierarchical_seconds(0.0, 8, 1, BYTES, between) == ring_seconds(8, BYTES, between)


def test_bandwidth_is_bytes_over_time_with_the_ends_swapped() -> None:
    found = algorithm_bandwidth(BYTES, MEASURED)
    assert (found.value, found.low, found.high) == pytest.approx((6.4e9, 5.12e9, 8.0e9))


@pytest.mark.parametrize("collective, factor", [
    ("all_reduce", 1.75), ("reduce_scatter", 0.875), ("all_gather", 0.875), ("broadcast", 1.0)])
def test_bus_bandwidth(collective: str, factor: float) -> None:
    assert bus_bandwidth(collective, 8, BYTES, MEASURED).value == pytest.approx(factor * 6.4e9)
    assert math.isnan(bus_bandwidth(collective, 1, BYTES, MEASURED).value)


def test_a_ring_without_latency_runs_at_bus_bandwidth() -> None:
    seconds = ring_seconds(8, BYTES, Link(0.0, 12.5e9))
    found = bus_bandwidth("all_reduce", 8, BYTES, Estimate(seconds, math.nan, math.nan, 1))
    assert found.value == pytest.approx(12.5e9)


def test_an_unknown_collective_is_refused() -> None:
    with pytest.raises(PlanError, match="Did you mean 'all_reduce'"):
        bus_bandwidth("allreduce", 8, BYTES, MEASURED)
