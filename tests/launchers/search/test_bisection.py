"""The search's logic against a memory that is known: every threshold is found, in few questions."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as some

import pytest

from batchscale.launchers.search.bisection import Bounds, largest_that_fits, recommended, verified


@settings(max_examples=400, deadline=None)
@given(some.integers(0, 2**20), some.integers(1, 2**20), some.integers(1, 200),
       some.sampled_from([0.0, 1 / 64, 1 / 16, 0.5]))
def test_any_threshold_is_found_within_the_resolution_in_few_questions(threshold: int, start: int, multiple: int,
                                                                       resolution: float) -> None:
    asked: list[int] = []

    def fits(size: int) -> bool:
        asked.append(size)
        return size <= threshold

    found = largest_that_fits(fits, Bounds(start, 2**30, multiple, resolution))
    assert found.fails is not None and found.fails > threshold
    assert found.largest <= threshold and found.largest % multiple == 0
    assert found.fails - found.largest <= max(multiple, resolution * found.largest)
    assert (found.largest == 0) == (threshold < multiple)
    first, last = max(start, multiple), max(threshold, multiple)
    halvings = math.log2(1 / resolution) if resolution else math.log2(2 * last / multiple)
    assert len(asked) <= abs(math.log2(last / first)) + halvings + 4
    assert len(set(asked)) == len(asked), "no size is tried twice"


@given(some.integers(1, 10_000), some.integers(1, 10_000))
def test_without_a_limit_the_most_that_was_asked_for_is_the_answer(start: int, most: int) -> None:
    found = largest_that_fits(lambda size: size <= most, Bounds(start, most))
    assert (found.largest, found.fails) == (most, None)


@given(some.integers(1, 5000), some.integers(1, 5000))
def test_what_does_not_last_is_taken_to_fail(threshold: int, lasting: int) -> None:
    """A memory that fragments: a longer run needs more than three steps do."""
    found = verified(lambda size: size <= threshold, lambda size: size <= min(lasting, threshold), Bounds(32, 4096))
    assert found.largest <= min(lasting, threshold)
    assert found.largest >= 0.75 * min(lasting, threshold, 4096) - 1
    assert found.fails is None or found.fails > found.largest


@pytest.mark.parametrize(("largest", "multiple", "kept"), [
    (1000, 1, 944), (70, 1, 64), (63, 1, 59), (0, 1, 0), (1, 1, 1), (96, 96, 96), (4096, 32, 3872)])
def test_the_recommended_batch_keeps_five_percent_free_and_is_round(largest: int, multiple: int, kept: int) -> None:
    assert recommended(largest, 0.05, multiple) == kept


@given(some.integers(0, 2**20), some.floats(0, 0.5), some.integers(1, 64))
def test_the_recommended_batch_is_a_multiple_within_the_margin_where_one_is(size: int, margin: float,
                                                                            multiple: int) -> None:
    largest = size // multiple * multiple
    kept = recommended(largest, margin, multiple)
    assert kept % multiple == 0 and 0 <= kept <= largest
    assert kept <= (1 - margin) * largest or kept == multiple
    assert kept > (1 - margin) * largest - 1 - math.lcm(8, multiple)
