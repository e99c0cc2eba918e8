"""Rates by halving, on made-up curves: what is asked for, and which rate stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from batchscale.analysis.study.tuning.halving import better_half, neighbours, searched, SeedsAsked, Tried
from batchscale.analysis.tables.outcome import ACCURACY
from batchscale.analysis.tables.tuned_rates import Trial
from batchscale.benchmarks.planning.tuning import Halving, TO_THE_END

EIGHT = Halving((2, 4), 8, (3, 6))
EPOCHS = 12
SPREAD = 0.01  # over seeds, of every result
Result = Callable[[float, int, int], float]
"""The validation accuracy of a place in the range after so many epochs, by so many seeds."""


def trial(halving: Halving, number: int, length: int, seeds: int, result: Result) -> Trial:
    value = result(halving.places[number], length or EPOCHS, seeds)
    lost = int(np.isnan(value))
    mean = ACCURACY.mean([] if lost else [value] * seeds)
    return Trial(number, halving.places[number], ACCURACY, mean, 0 if lost else seeds, lost, 0, length, SPREAD)


def search(halving: Halving, result: Result) -> tuple[SeedsAsked, int, Trial, int]:
    """Do what is asked for until no more is: all that was, by how many seeds, the best, and in how many rounds."""
    done: dict[int, dict[tuple[int, int], Trial]] = {count: {} for count in halving.counts}
    for rounds in range(100):
        asked, settled, best = searched(halving, lambda count: done[count])
        lacking = [(*key, count) for key, most in asked.items() for count in halving.counts
                   if count <= most and key not in done[count]]
        if not lacking:
            assert best is not None
            return asked, settled, best, rounds
        for number, length, count in lacking:
            done[count][number, length] = trial(halving, number, length, count, result)
    raise AssertionError("asks for more without end")


def peak(at: float) -> Result:
    return lambda place, epochs, seeds: 0.9 - (place - at) ** 2


@pytest.mark.parametrize("at", [0.0625, 0.3, 0.5, 0.875])
def test_the_best_rate_of_all_is_found_between_two_that_were_trained_to_the_end(at: float) -> None:
    asked, settled, best, _ = search(EIGHT, peak(at))
    whole = {number for number, length in asked if length == TO_THE_END}
    assert settled == 6 and best.learning_rate == min(EIGHT.places, key=lambda place: abs(place - at))
    assert neighbours(best.trial, EIGHT.places) <= whole
    # Around 0.5 the fourth best and the fifth are alike, and both end.
    assert [sum(length == stop for _, length in asked) for stop in (2, 4)] == [8, 3 if at == 0.5 else 4]
    assert len(whole) <= 4


def test_a_best_rate_at_the_edge_is_tried_beyond_until_it_is_inside() -> None:
    asked, _, best, _ = search(EIGHT, peak(1.05))
    assert best.trial == 9 and best.learning_rate == pytest.approx(0.875 + 1 / 8)  # the first beyond on that side
    assert (11, TO_THE_END) in asked and (8, TO_THE_END) not in asked
    low = search(EIGHT, peak(-5.0))
    assert low[2].trial == 12, "as far as rates go beyond a plan's"


def test_a_rate_that_was_stopped_too_soon_goes_on_where_it_is_beside_the_best() -> None:
    """A few epochs favour rates that are far too large in the end."""
    early = peak(0.9)

    def result(place: float, epochs: int, seeds: int) -> float:
        return early(place, epochs, seeds) if epochs < EPOCHS else peak(0.25)(place, epochs, seeds)

    asked, _, best, _ = search(EIGHT, result)
    assert best.learning_rate == 0.25 and EIGHT.places.index(0.25) not in {n for n, length in asked if length == 4}


def test_more_seeds_that_choose_another_rate_ask_for_its_neighbour_too() -> None:
    at: Mapping[int, float] = {3: 0.55, 6: 0.63}
    asked, settled, best, _ = search(EIGHT, lambda place, epochs, seeds: peak(at[seeds])(place, epochs, seeds))
    assert best.learning_rate == 0.625 and settled == 6
    assert neighbours(best.trial, EIGHT.places) <= {number for number, length in asked if length == TO_THE_END}


def test_rates_that_diverge_are_not_gone_on_with_and_count_as_seen() -> None:
    def result(place: float, epochs: int, seeds: int) -> float:
        return float("nan") if place > 0.55 else 0.9 - (place - 0.5) ** 2

    asked, settled, best, _ = search(EIGHT, result)
    assert best.learning_rate == 0.5 and settled == 6
    assert not [number for number, length in asked if length != 2 and EIGHT.places[number] > 0.55]
    none = searched(EIGHT, lambda count: {(n, 2): trial(EIGHT, n, 2, 3, lambda *_: float("nan")) for n in range(8)})
    assert none[1] == 6 and {length for _, length in none[0]} == {2}


def test_nothing_is_halved_before_all_have_come_so_far() -> None:
    ended: Tried = {(n, 2): trial(EIGHT, n, 2, 3, peak(0.5)) for n in range(7)}
    asked, settled, best = searched(EIGHT, lambda count: ended)
    assert asked == {(n, 2): 3 for n in range(8)} and not settled and best is None


@pytest.mark.parametrize(("apart", "others"), [(0.002, 6), (0.1, 3)])
def test_a_rate_takes_more_seeds_while_they_may_choose_it_to_some_purpose(apart: float, others: int) -> None:
    """Seeds vary by 0.01, so that by six of them 0.1 is never made up for, and 0.002 now and then."""
    asked, settled, best, _ = search(EIGHT, lambda place, *_: 0.9 - apart * abs(place - 0.5) * 8)
    whole = {number: seeds for (number, length), seeds in asked.items() if length == TO_THE_END}
    assert settled == 6 and best.learning_rate == 0.5 and whole[best.trial] == 6
    assert {whole[number] for number in neighbours(best.trial, EIGHT.places)} == {others}


def test_a_rate_goes_on_after_all_where_more_seeds_of_the_best_disappoint() -> None:
    """One of six seeds of the best rate learns nothing, as happens at rates that are all but too large."""
    def result(place: float, epochs: int, seeds: int) -> float:
        return 0.9 - 0.1 * abs(place - 0.5) * 8 if place != 0.5 or seeds == 3 else 0.5

    asked, settled, best, _ = search(EIGHT, result)
    whole = {number: seeds for (number, length), seeds in asked.items() if length == TO_THE_END}
    assert settled == 6 and best.learning_rate in (0.375, 0.625) and whole[best.trial] == 6


@pytest.mark.parametrize(("trials", "learn", "left"), [(4, 4, 2), (5, 5, 2), (6, 6, 3), (6, 2, 2), (6, 1, 1),
                                                       (6, 0, 1)])
def test_the_better_half_goes_on_without_rates_that_are_the_same_as_those_that_end(
        trials: int, learn: int, left: int) -> None:
    of = Halving((2,), trials, (3,))
    places = {place: number for number, place in enumerate(of.places)}
    order = [trial(of, number, 2, 3, lambda place, *_: 0.9 - 0.1 * places[place] if places[place] < learn else 0.1)
             for number in range(trials)]
    assert [one.trial for one in better_half(order)] == list(range(left))


def test_a_rate_that_was_better_where_it_was_stopped_than_the_best_is_at_the_end_goes_on_after_all() -> None:
    """Rates from 0.3 up learn fast and come to grief; the one that lasts lies beside none of them that did well."""
    def result(place: float, epochs: int, seeds: int) -> float:
        if place > 0.3:
            return 0.8 + 0.1 * place if epochs < EPOCHS else 0.1 + 0.1 * place
        return (0.5 if epochs < EPOCHS else 0.9) - place

    _, settled, best, _ = search(EIGHT, result)
    assert best.learning_rate < 0.3 and settled == 6
