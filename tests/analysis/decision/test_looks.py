"""Seeds decided by looks: what ends early, what goes on, and that the looks follow from the records alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from simulation.accuracy_tables import REFERENCE
from simulation.sequential import BATCHES, MOST, study

from batchscale.analysis.decision.looks import judged as looks_module
from batchscale.analysis.decision.looks.judged import (BEHIND, in_turn, Looks, next_hour, NOT_WORSE, OPEN,
                                                       OUT_OF_REACH, SAME, sequential_looks, TIED, UNLIKELY, WORSE)
from batchscale.analysis.statistics.difference import at_look, Difference, Summary, summary_difference
from batchscale.analysis.statistics.sample_size import chance_to_show
from batchscale.analysis.statistics.sequential import spending
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.tables.results import Results

MIXED = {"constant": (0.0, 0.0025, 0.03)}


@cache
def tables() -> dict[str, Results]:
    return study(np.random.default_rng(7), MIXED)


def first(results: Results, seeds: dict[int, int]) -> Results:
    """The same study when so many seeds of each batch have a record, and no other run is listed."""
    def cut(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["seed"] < frame["global_batch"].map(seeds)]
    return replace(results, runs=cut(results.runs), evaluations=cut(results.evaluations),
                   statuses=cut(results.statuses))


def looks(results: Results) -> Looks:
    found, = sequential_looks(results)
    return found


def test_a_clear_loss_ends_at_the_first_look_and_the_reference_goes_on_while_any_batch_needs_it() -> None:
    found = looks(tables()["looks"])
    answers = {one.global_batch: one for one in found.judged}
    assert answers[2048].answer == WORSE and answers[2048].seeds <= 4
    assert answers[128].answer in (NOT_WORSE, SAME) and answers[128].seeds < MOST and not found.open
    assert found.wanted["constant", REFERENCE] == max(found.wanted.values()) == found.reached
    assert {cell[1]: count for cell, count in found.wanted.items() if cell[1] != REFERENCE} == {
        one.global_batch: one.seeds for one in found.judged}


def test_a_study_that_is_stopped_anywhere_asks_for_the_same_runs_and_ends_with_the_same_answers() -> None:
    """Runs are made one at a time, each after the looks were made anew from the records so far."""
    whole, seeds, steps = tables()["looks"], dict.fromkeys((REFERENCE, *BATCHES), 0), 0
    first_look = dict.fromkeys((REFERENCE, *BATCHES), 3)
    while True:
        before = first(whole, seeds)
        wanted = {cell[1]: count for cell, count in looks(before).wanted.items()} if len(before.statuses) else {}
        lacking = [batch for batch in seeds if seeds[batch] < wanted.get(batch, first_look[batch])]
        if not lacking:
            break
        seeds[lacking[0]] += 1
        steps += 1
    assert seeds == {cell[1]: count for cell, count in looks(whole).wanted.items()}
    assert [(one.global_batch, one.answer) for one in looks(first(whole, seeds)).judged] == [
        (one.global_batch, one.answer) for one in looks(whole).judged]
    assert steps < 0.8 * MOST * len(seeds)


def test_nothing_is_judged_before_the_first_look_and_a_plan_with_a_number_has_none() -> None:
    found = looks(first(tables()["looks"], {REFERENCE: 3, 128: 3, 512: 2, 2048: 3}))
    assert found.reached == 0 and found.open and not found.judged and set(found.wanted.values()) == {3}
    assert sequential_looks(tables()["all"]) == ()


def test_a_batch_that_is_shown_before_one_below_it_waits_without_more_seeds_and_is_kept_with_that_one() -> None:
    """Batch 128 loses half the margin, which takes more seeds than that 512 loses nothing."""
    whole = study(np.random.default_rng(1), {"constant": (0.0025, 0.0, 0.0)})["looks"]
    at_the_end = {one.global_batch: one for one in looks(whole).judged}
    so_far = (looks(first(whole, dict.fromkeys((REFERENCE, *BATCHES), count))) for count in range(4, MOST))
    waiting = next(found for found in so_far if any(one.answer == BEHIND for one in found.judged))
    behind = next(one for one in waiting.judged if one.answer == BEHIND)
    assert waiting.open and not behind.open and at_the_end[128].seeds > behind.seeds
    assert waiting.wanted["constant", behind.global_batch] == behind.seeds == at_the_end[behind.global_batch].seeds
    assert at_the_end[behind.global_batch].answer in (NOT_WORSE, SAME)


def test_the_next_hour_decides_the_batches_that_take_fewest_seeds_while_they_fit() -> None:
    """A run takes 10 to 30 s; 128 and 512 are open after 4 seeds."""
    of = first(tables()["looks"], dict.fromkeys((REFERENCE, *BATCHES), 4))
    found = looks(of)
    (soonest, seeds), *others = in_turn([found])
    assert others and soonest.open and seeds == 2 * (soonest.expected_seeds - 4)
    assert all(soonest.expected_seeds <= one.expected_seeds for one, _ in others)
    each = float(of.runs["train_seconds"].mean())
    none, some, every = (next_hour([found], of, seconds)[0] for seconds in (each, 1.01 * each * seeds, 1e6))
    assert "no further batch" in none and every.count("seeds)") == len(others) + 1
    assert f"{soonest.global_batch:,} (constant, at {soonest.expected_seeds} seeds)" in some
    assert some.count("seeds)") == 1


@pytest.mark.parametrize("batch", BATCHES)
def test_intervals_of_the_looks_are_wider_than_those_of_one_judging(batch: int) -> None:
    alone, repeated = (tables()[name].outcomes["simulated"].looks for name in ("all", "looks"))
    assert alone == () and repeated == (3, 4, 5, 6, 7, 8, 10, 12, 14, 16)
    one = next(each for each in looks(tables()["looks"]).judged if each.global_batch == batch)
    assert one.answer != OPEN and one.loss.low < one.loss.value < one.loss.high


@pytest.mark.parametrize("others, sharing", [((0.0, 0.0, 0.0), 1), ((0.02, 0.03, 0.05), 3)])
def test_a_rule_whose_batches_are_all_kept_hands_its_share_of_the_level_to_the_others(
        monkeypatch: pytest.MonkeyPatch, others: tuple[float, ...], sharing: int) -> None:
    asked: list[float] = []

    def noted(of: Difference, distance: float, seeds: int, alpha: float) -> float:
        asked.append(alpha)
        return chance_to_show(of, distance, seeds, alpha)

    monkeypatch.setattr(looks_module, "chance_to_show", noted)
    losses = {"constant": (0.0025, 0.0025, 0.03), "sqrt": others, "linear": others}
    found = looks(study(np.random.default_rng(1), losses)["looks"])
    assert max(asked) == pytest.approx(spending.level_at(found.counts, MOST, 0.025 / sharing, spending.NOT_WORSE))


@pytest.mark.parametrize("lost, answer", [(0.009, TIED), (0.012, OPEN)])
def test_seeds_that_can_show_no_more_than_a_loss_are_spent_only_where_that_is_likely(lost: float, answer: str) -> None:
    arm, = load_arms(tables()["looks"])
    counts = arm.outcome.looks
    of = at_look(summary_difference(Summary(lost, 0.016, 6)), counts)
    not_worse, apart = looks_module._chances(of, arm.outcome.margin, counts[-1], arm.outcome.alpha)
    assert not_worse < OUT_OF_REACH < 0.3 < apart
    assert looks_module._answer(arm, of, False, of.above(0.0), 1, counts, True) == answer
    assert (apart > UNLIKELY) is (answer == OPEN)
