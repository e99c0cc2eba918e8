"""Gradients in groups: which belong together, and that a group does not wait for those that are computed after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from support.rank_servers import launched_once

from batchscale.benchmarks.config.strategies import STRATEGIES, variants
from batchscale.benchmarks.rank.training.exchange import Exchange, grouped, LARGEST_BYTES

MEBIBYTE = 2**20
SEVERAL = [name if name in ("mirrored", "horovod-mpi") else pytest.param(name, marks=pytest.mark.slow)
           for name, (strategy, _) in variants().items() if STRATEGIES[strategy].exchanges]


def weight(elements: int) -> Any:
    return SimpleNamespace(shape=SimpleNamespace(num_elements=lambda: elements), dtype=SimpleNamespace(size=4))


@pytest.mark.parametrize(("sizes", "groups"), [
    ([10], [[0]]),
    ([100, 100, 100, 100], [[3], [2], [1], [0]]),
    ([60, 1, 60, 1, 60, 1, 60, 1], [[7, 6], [5, 4], [3, 2], [1, 0]]),
    ([1000, 10, 100, 1], [[3, 2, 1], [0]]),
    ([80 * MEBIBYTE, 20 * MEBIBYTE, 4 * MEBIBYTE, 20 * MEBIBYTE], [[3, 2], [1], [0]]),
])
def test_a_group_holds_about_a_quarter_and_the_last_layers_gradients_go_first(sizes: list[int],
                                                                              groups: list[list[int]]) -> None:
    assert grouped(sizes) == groups
    assert sorted(place for group in grouped(sizes) for place in group) == list(range(len(sizes)))


def test_of_large_models_no_group_of_several_gradients_is_far_above_the_limit() -> None:
    sizes = [3 * MEBIBYTE] * 200
    groups = grouped(sizes)[:-1]
    assert all(abs(sum(sizes[place] for place in group) - LARGEST_BYTES) <= 2 * MEBIBYTE for group in groups)


def test_each_mean_comes_back_at_its_own_place_and_what_is_beside_gradients_goes_last() -> None:
    calls: list[Sequence[int]] = []

    def mean(values: Sequence[int]) -> Sequence[int]:
        calls.append(values)
        return [10 * value for value in values]

    weights = [weight(100)] * 4
    assert Exchange("groups", mean, weights)([1, 2, 3, 4, 99]) == [10, 20, 30, 40, 990]
    assert calls == [[4], [3], [2], [1, 99]], "a sum over all gradients must not hold up the first group"
    calls.clear()
    assert Exchange("one", mean, weights)([1, 2, 3, 4, 99]) == [10, 20, 30, 40, 990]
    assert calls == [[1, 2, 3, 4, 99]]


@pytest.mark.launched
@pytest.mark.parametrize("strategy", SEVERAL)
def test_a_group_is_sent_before_the_gradients_of_the_next_are_there(tmp_path_factory: pytest.TempPathFactory,
                                                                    strategy: str) -> None:
    """In the graph of a step, the first exchange needs no operation that makes a gradient of a later one."""
    folder = launched_once(tmp_path_factory, "exchanged_groups")
    found = json.loads((folder(strategy, "groups") / "groups.json").read_text())
    assert len(found["bytes"]) >= 3 and len(found["waits"]) == len(found["bytes"])
    assert found["waits"] == list(range(len(found["bytes"]))), "none waits for gradients of a later one"
