"""An all-reduce read off its sizes, and carried over to other ranks: held to rings and trees whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.laws.allreduce import halving_doubling_seconds, hierarchical_seconds, Link, ring_seconds
from batchscale.analysis.laws.network.timed import TimedAllReduce

LINK, INSIDE = Link(5e-6, 25e9), Link(1e-6, 200e9)
SIZES = [8 * 2 ** power for power in range(31)]


def timed(seconds: dict[int, float], ranks: int = 16, nodes: int = 0) -> TimedAllReduce:
    return TimedAllReduce("mine.txt", ranks, nodes, seconds)


def switching(size: int) -> float:
    """Seconds with a protocol that is left at 16 MB for one of more latency and more bandwidth."""
    return 5e-5 + size / 2e10 if size <= 2 ** 24 else 4e-4 + size / 1.5e11


def test_a_size_that_was_timed_has_its_own_time_whatever_the_protocol() -> None:
    found = timed({size: switching(size) for size in SIZES})
    for size in SIZES:
        here = found.at(size)
        assert here.value == pytest.approx(switching(size)) and here.low <= here.value <= here.high


def test_sizes_between_lie_within_the_interval_which_is_wide_only_where_the_protocol_changes() -> None:
    found = timed({size: switching(size) for size in SIZES})
    for size in SIZES[:-1]:
        here, true = found.at(1.5 * size), switching(size * 3 // 2)
        assert here.low <= true <= here.high or size == 2 ** 24
    widths = {size: found.at(size).high / found.at(size).low for size in SIZES}
    assert max(widths, key=lambda size: widths[size]) in (2 ** 23, 2 ** 24, 2 ** 25, 2 ** 26)
    assert widths[2 ** 10] < 1.01 and widths[2 ** 32] < 1.2 and widths[2 ** 24] > 1.3


def test_noise_between_sizes_is_held_by_about_95_percent_of_intervals() -> None:
    chance, held = np.random.default_rng(3), []
    for _ in range(60):
        noisy = {size: ring_seconds(16, size, LINK) * math.exp(0.1 * chance.standard_normal()) for size in SIZES}
        for left_out in SIZES[6:-6:4]:
            rest = timed({size: value for size, value in noisy.items() if size != left_out}).at(left_out)
            held.append(rest.low <= noisy[left_out] <= rest.high)
    assert 0.90 < np.mean(held) <= 1.0


def test_below_and_above_the_sizes_timed_the_interval_holds_a_line() -> None:
    known = [size for size in SIZES if 2 ** 12 <= size <= 2 ** 26]
    found = timed({size: ring_seconds(16, size, LINK) for size in known})
    for size in (8, 2 ** 11, 2 ** 27, 2 ** 34):
        here = found.at(size)
        assert here.low <= ring_seconds(16, size, LINK) <= here.high
    assert found.at(2 ** 34).value == pytest.approx(ring_seconds(16, 2 ** 34, LINK), rel=0.01)


@pytest.mark.parametrize("replicas", [2, 4, 8, 32, 128, 1024])
@pytest.mark.parametrize("size", [64, 2 ** 20, 2 ** 28])
def test_other_ranks_lie_within_the_interval_by_whatever_algorithm(replicas: int, size: int) -> None:
    for law in (ring_seconds, halving_doubling_seconds):
        here = timed({each: law(16, each, LINK) for each in SIZES}).on(replicas, size)
        assert here.low * 0.999 <= law(replicas, size, LINK) <= here.high * 1.001


@pytest.mark.parametrize("nodes", [2, 4, 64])
@pytest.mark.parametrize("size", [64, 2 ** 20, 2 ** 28])
def test_more_nodes_lie_within_the_interval_of_two(nodes: int, size: int) -> None:
    def law(of: int, each: int) -> float:
        return hierarchical_seconds(ring_seconds(8, each, INSIDE), of, 8, each, LINK)

    pair = timed({each: law(2, each) for each in SIZES}, nodes=2)
    alone = timed({each: ring_seconds(8, each, INSIDE) for each in SIZES}, 8, 1)
    for inside in (None, alone):
        here = pair.on(8 * nodes, size, inside)
        assert here.low * 0.999 <= law(nodes, size) <= here.high * 1.001
    blind, seeing = pair.on(512, size), pair.on(512, size, alone)
    assert seeing.high <= blind.high and seeing.low >= blind.low, "what is known inside a node narrows it"


def test_the_ranks_timed_need_no_algorithm_and_one_needs_no_exchange() -> None:
    found = timed({size: ring_seconds(16, size, LINK) for size in SIZES}, nodes=2)
    assert found.on(16, 2 ** 20) == found.at(2 ** 20)
    assert found.on(1, 2 ** 20).high == 0
    assert found.on(8, 2 ** 20).low == 0 < found.on(8, 2 ** 20).value, "links inside a node may be far faster"
    one_node = timed({size: ring_seconds(8, size, LINK) for size in SIZES}, 8, 1)
    assert math.isnan(one_node.on(9, 2 ** 20).value) and one_node.on(4, 2 ** 20).value > 0
