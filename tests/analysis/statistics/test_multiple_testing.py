"""Several tests of one family: Holm's, and chains in order, held against all intersections of their hypotheses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, combinations

import numpy as np
import pytest

from batchscale.analysis.statistics.multiple_testing import holm, ordered_chains


def closed(chains: Sequence[Sequence[float]]) -> list[list[float]]:
    """Adjusted p values by the closed test: of every intersection that holds the hypothesis the largest p value, each
    by Bonferroni over the first members of the chains that it touches."""
    names = [(row, place) for row, each in enumerate(chains) for place in range(len(each))]
    found = {name: 0.0 for name in names}
    for size in range(1, len(names) + 1):
        for together in combinations(names, size):
            first: dict[int, int] = {}
            for row, place in together:
                first[row] = min(place, first.get(row, place))
            p_value = min(1.0, min(len(first) * chains[row][place] for row, place in first.items()))
            for name in together:
                found[name] = max(found[name], p_value)
    return [[found[row, place] for place in range(len(each))] for row, each in enumerate(chains)]


@pytest.mark.parametrize("shape", [(3,), (1, 1, 1), (2, 2), (3, 1, 2), (2, 2, 2, 1)])
def test_chains_reject_what_the_closed_test_over_all_intersections_rejects(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(sum(shape))
    for _ in range(20):
        chains = [(noise.random(length) ** 3).tolist() for length in shape]
        for own, expected in zip(ordered_chains(chains), closed(chains)):
            assert own == pytest.approx(expected)


def test_one_chain_is_a_fixed_sequence_and_chains_of_one_are_holm_s() -> None:
    p_values = [0.01, 0.04, 0.03]
    assert ordered_chains([p_values]) == ((0.01, 0.04, 0.04),)
    assert tuple(chain.from_iterable(ordered_chains([[p] for p in p_values]))) == pytest.approx(holm(p_values))


def test_what_has_no_p_value_is_not_rejected_and_still_counts() -> None:
    first, second = ordered_chains([[math.nan, 0.001], [0.02]])
    assert math.isnan(first[0]) and first[1] == 1.0
    assert second == (0.04,)
    assert ordered_chains([]) == () and ordered_chains([[], [0.01]]) == ((), (0.01,))
