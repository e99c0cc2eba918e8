"""Which options are tied and which one is taken, and how often what is recommended loses the margin after all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulation import decision as simulated
from simulation.accuracy_tables import Arms, results, shared_key

from batchscale.analysis.decision.options import options
from batchscale.analysis.decision.recommendation import Recommendation, recommend
from batchscale.analysis.decision.ties import as_fast
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.non_inferiority import against_own_reference, loss_tests
from batchscale.analysis.tables.results import Results

BATCHES = (32, 128, 512, 2048)


def study(seed: int, seconds: dict[int, float], spread: float = 0.02, lost: dict[int, float] | None = None) -> Results:
    """One rule that loses nothing, whose batches take so long, give or take `spread`."""
    noise = np.random.default_rng(seed)
    offset = 0.003 * noise.normal(size=6)
    accuracy = {shared_key(batch): 0.95 - (lost or {}).get(batch, 0.0) + offset + 1e-4 * noise.normal(size=6)
                for batch in BATCHES}
    times = {batch: seconds[batch] * np.exp(spread * noise.normal(size=6)) for batch in BATCHES}
    return results(Arms(accuracy, accuracy, seconds=times))


def recommended(found: Results) -> Recommendation:
    arms = load_arms(found)
    return recommend(arms, options(arms, found), 0.5)


def test_repeats_take_the_same_of_several_batches_that_are_as_fast() -> None:
    """512 and 2,048 take the same time, so which mean is the lower is chance."""
    seconds = {32: 10.0, 128: 5.0, 512: 3.0, 2048: 3.0}
    repeats = [recommended(study(seed, seconds)) for seed in range(12)]
    fastest = [min((one for one in repeat.tied), key=lambda one: one.seconds.value).global_batch for repeat in repeats]
    assert {one.option.global_batch for one in repeats if one.option} == {512}
    assert set(fastest) == {512, 2048}, "the fastest mean alone would not repeat"
    one = repeats[0]
    assert {option.global_batch for option in one.tied} == {512, 2048}
    assert "Tied with it" in one.reason and "2,048 (constant)" in one.reason
    assert one.to_json()["tied"] == [{"global_batch": batch, "rule": "constant", "placement": "single-1r"}
                                     for batch in (512, 2048)]


def test_a_batch_that_is_clearly_faster_is_taken_and_has_no_ties() -> None:
    one = recommended(study(1, {32: 10.0, 128: 5.0, 512: 3.0, 2048: 2.0}))
    assert one.option and one.option.global_batch == 2048 and len(one.tied) == 1 and "Tied" not in one.reason


def test_a_tied_batch_that_ends_worse_is_not_taken() -> None:
    """Within the margin and as fast, but shown to be less accurate than the other."""
    one = recommended(study(2, {32: 10.0, 128: 5.0, 512: 3.0, 2048: 3.0}, lost={512: 0.003}))
    assert one.option and one.option.global_batch == 2048


def test_a_time_that_was_measured_once_is_taken_as_it_stands() -> None:
    arms = load_arms(found := study(3, {32: 10.0, 128: 5.0, 512: 3.0, 2048: 2.9}))
    once = [replace(one, times={0: one.times[0]}) for one in options(arms, found)]
    assert {one.global_batch for one in as_fast(once)} == {512, 2048}


def test_what_is_shown_by_one_rule_alone_need_not_be_among_several() -> None:
    """One level for all rules: the same numbers decide alone and not among five."""
    values = {shared_key(32): np.full(6, 0.95)}
    apart = 0.001 * np.array([-1.4, 1.2, 0.4, -0.9, 0.6, 0.1])
    alone = {**values, ("constant", -1, 512): 0.9482 + 2.6 * apart}
    five = {**values, **{(rule, -1, 512): 0.9482 + 2.6 * apart * (1 if rule == "constant" else 5)
                         for rule in simulated.RULES}}
    assert against_own_reference(load_arms(results(Arms(alone, alone)))) == {"constant": (512,)}
    among = load_arms(results(Arms(five, five)))
    assert not any(against_own_reference(among).values())
    outcome = among[0].outcome
    assert loss_tests(among).kept(outcome.margin, outcome.alpha) == dict.fromkeys(simulated.RULES, (32,))


@pytest.mark.parametrize("cell", ["3 rules at the margin",
                                  pytest.param("tuned, 8 rates at the margin, large batch varies 3 times as much",
                                               marks=pytest.mark.slow)])
def test_a_recommended_batch_seldom_loses_the_margin(cell: str) -> None:
    """40 studies; the full table has 300."""
    found = simulated.simulate(cell, 40, 11)
    assert found.seen <= 0.05 + 2 * found.standard_error


def test_results_that_are_all_equal_are_the_same_and_the_largest_batch_may_be_recommended() -> None:
    assert simulated.simulate("identical results", 1, 0).seen == 0
