"""A study whose seeds are decided by looks, ended from outside after any of its records, in any order of arrival: what
it then asks for, and what it comes to when it goes on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from simulation.accuracy_tables import Arms, REFERENCE, results
from simulation.sequential import BASE, NOISE, PLAN, study

from batchscale.analysis.decision.looks.judged import BEHIND, Looks, OPEN, sequential_looks
from batchscale.analysis.tables.results import Results
from batchscale.analysis.tables.tuned_rates import not_chosen, tuned_batches
from batchscale.benchmarks.schedules.rules import TUNED_RULE

PLANNED = "planned"
Key = tuple[str, int, int]  # rule, batch and seed, of a tuned arm all its trials


@cache
def whole(kind: str) -> Results:
    """All seeds of a study: of the constant rule, or of a tuned arm whose rates are alike, so that seeds that come in
    later choose others."""
    noise = np.random.default_rng(5)
    if kind == "constant":
        return study(noise, {"constant": (0.0025, 0.0, 0.03)})["looks"]
    offset = noise.normal(0, 0.003, 10)
    tuned = {(TUNED_RULE, trial, batch): BASE - loss + offset + noise.normal(0, NOISE, 10)
             for batch, loss in ((REFERENCE, 0.0), (128, 0.001), (2048, 0.03)) for trial in range(3)}
    return results(Arms(tuned, tuned), plan_text=PLAN + "max_seeds = 10\n")


def keys_of(frame: pd.DataFrame) -> list[Key]:
    return list(zip(frame["rule"], frame["global_batch"].astype(int), frame["seed"].astype(int)))


def left(kind: str, done: set[Key], asked: set[Key]) -> Results:
    """What reading finds when these runs have records and those that were asked for are listed."""
    of = whole(kind)
    runs, evaluations = (frame[[key in done for key in keys_of(frame)]].reset_index(drop=True)
                         for frame in (of.all_runs, of.all_evaluations))
    statuses = of.statuses[[key in asked for key in keys_of(of.statuses)]].copy()
    statuses.loc[[key not in done for key in keys_of(statuses)], "status"] = PLANNED
    tuned = tuned_batches(runs, statuses)
    out = not_chosen(runs, tuned)
    beside = evaluations["run_id"].isin(runs[out]["run_id"])
    return replace(of, runs=runs[~out], evaluations=evaluations[~beside], statuses=statuses, tuned=tuned,
                   not_chosen=runs[out], not_chosen_evaluations=evaluations[beside])


def looks(of: Results) -> Looks:
    found, = sequential_looks(of)
    return found


def asked_by(one: Looks) -> set[Key]:
    return {(*cell, seed) for cell, count in one.wanted.items() for seed in range(count)}


def answers(one: Looks) -> dict[int, tuple[str, int, float]]:
    return {each.global_batch: (each.answer, each.seeds, each.loss.value) for each in one.judged}


@pytest.mark.parametrize("kind", ["constant", TUNED_RULE])
@pytest.mark.parametrize(("order", "every"), [(1, 4), pytest.param(2, 1, marks=pytest.mark.slow),
                                              pytest.param(3, 1, marks=pytest.mark.slow)])
def test_ended_after_any_records_it_asks_for_nothing_else_and_comes_to_the_same(kind: str, order: int,
                                                                                every: int) -> None:
    """The looks are made anew after every so many records, which come in any order, as several workers finish them."""
    noise, at_once = np.random.default_rng(order), looks(whole(kind))
    final, done = asked_by(at_once), set[Key]()
    asked = {key for key in keys_of(whole(kind).statuses) if key[2] < at_once.counts[0]}
    while True:
        now = looks(left(kind, done, asked))
        assert asked_by(now) <= final
        for batch, found in answers(now).items():
            assert found[0] in (OPEN, BEHIND) or found == answers(at_once)[batch], (batch, found)
        asked |= asked_by(now)
        if not (waiting := sorted(asked - done)):
            break
        done |= {waiting[place] for place in noise.permutation(len(waiting))[:every]}
    assert done == final and answers(now) == answers(at_once) and now.reached == at_once.reached
    assert len(final) < len(set(keys_of(whole(kind).statuses)))


def test_rates_that_later_seeds_choose_change_no_look_before_them() -> None:
    of = whole(TUNED_RULE)
    found = looks(of)
    assert found.reached > found.counts[0]
    chosen = {one.global_batch: one.standing for one in of.tuned}
    first = {one.global_batch: one.standing for one in left(TUNED_RULE, asked_by(found), asked_by(found)).tuned}
    assert any(chosen[batch][seed] != trial for batch, own in first.items() for seed, trial in own.items())
