"""Rounds of a study whose seeds are decided by looks: what is written, done and asked for, and what a budget holds
back. Records are made up; no rank starts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.made_rounds import Killed, Rounds
from support.synthetic_records import change, SGD, Study

from batchscale.benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, PlanError
from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.plan import parse, Plan
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local.looks import asked, rounds
from batchscale.launchers.local.looks.budget import Budget, in_order, parsed

TEXT = """
[plan]
name = "p"
drift_guard = false
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = [32, 128, 512]
epochs = 2
seeds = %s
"""
LOSES = change(Study(experiments=(SGD,), noise=0.0025), "sgd", "constant", accuracy_gap={512: 0.2})
SLOW = change(Study(experiments=(SGD,), noise=0.0025), "sgd", "constant", accuracy_gap={128: 0.0, 512: 0.003})


def plan(seeds: str = '"auto"') -> Plan:
    return parse(TEXT % seeds)


def runs_of(given: Plan) -> list[RunConfig]:
    return expand(given, lambda name, fraction: 1024, {}).runs


def made_of(folder: Path, given: Plan, seeds: int = 100, of: Study = LOSES) -> Rounds:
    return Rounds(folder, given, of, seeds)


def test_seeds_are_added_until_all_is_decided_and_what_is_not_made_is_in_no_list(tmp_path: Path) -> None:
    said: list[str] = []
    made = made_of(tmp_path / "p", plan())
    assert made.run(said.append) == EXIT_OK
    assert made.rounds[0] == 3 * 3 and sum(made.rounds) < 3 * 16
    runs = made.store.runs()
    assert len(runs) == sum(made.rounds) and all(run.has_record for run in runs)
    assert any("worse: 512" in line for line in said) and not asked.is_open(made.store)
    assert made.run() == EXIT_OK and made.rounds[-1] == 0


def test_batches_one_after_another_take_the_seeds_of_the_first_look_alone(tmp_path: Path) -> None:
    made = made_of(tmp_path / "p", parse((TEXT % '"auto"') + "as_published = true\n"))
    assert sum(one.rule == "as_published" for one in rounds.first_seeds(made.plan, made.listed, 1.0)) == 3
    assert made.run() == EXIT_OK
    seeds = [run.config.seed for run in made.store.runs() if run.config.rule == "as_published"]
    assert seeds == [0, 1, 2] and len(seeds_of(made.store)[32]) > 3


@pytest.mark.parametrize("every", [100, 4])
def test_what_decides_the_claims_takes_its_seeds_at_once_and_is_judged_by_all(tmp_path: Path, every: int) -> None:
    """Batch 512 is worse after three seeds; with 1,024 beside it, it is still the batch of the claims."""
    text = (TEXT % '"auto"\nclaim_seeds = 7').replace("512]", "512, 1024]")
    truth = change(Study(experiments=(SGD,), noise=0.0025), "sgd", "constant", accuracy_gap={512: 0.2, 1024: 0.3})
    made = made_of(tmp_path / "p", parse(text), seeds=every, of=truth)
    while made.run() == EXIT_INCOMPLETE:
        made.most = every
    taken = {batch: len(own) for batch, own in seeds_of(made.store).items()}
    assert taken[512] == 7 and taken[32] >= 7 and taken[1024] == 3 and not asked.is_open(made.store)
    assert made.rounds[0] == 2 * 7 + 2 * 3
    assert any("worse: 512 (constant, 7 seeds), 1,024 (constant, 3 seeds)" in line for line in asked.lines(made.store))


@pytest.mark.parametrize("seeds", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_a_study_that_was_stopped_goes_on_at_the_same_look(tmp_path: Path, seeds: int) -> None:
    whole = made_of(tmp_path / "whole" / "p", plan())
    stopped = made_of(tmp_path / "stopped" / "p", plan(), seeds=seeds)
    whole.run()
    assert stopped.run() == EXIT_INCOMPLETE
    stopped.most = 100
    assert stopped.run() == EXIT_OK
    assert [run.run_id for run in stopped.store.runs()] == [run.run_id for run in whole.store.runs()]


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_after_any_records_it_makes_the_same_runs_and_says_the_same(tmp_path: Path, every: int) -> None:
    """Killed again and again, after so many records each time, which come in any order."""
    whole = made_of(tmp_path / "whole" / "p", plan())
    assert whole.run() == EXIT_OK
    names, said = {run.run_id for run in whole.store.runs()}, asked.lines(whole.store)
    made, kills = made_of(tmp_path / "p", plan(), seeds=every - 1), 0
    made.order = random.Random(every)
    while True:
        try:
            assert made.run() == EXIT_OK
            break
        except Killed:
            assert {run.run_id for run in made.store.runs()} <= names
            made.most, kills = every, kills + 1
    assert {run.run_id for run in made.store.runs()} == names and asked.lines(made.store) == said
    assert kills >= len(names) // every - 1 > 0


def test_a_plan_with_a_number_of_seeds_is_one_round_of_all_its_runs(tmp_path: Path) -> None:
    made = made_of(tmp_path / "p", plan("4"))
    assert made.run() == EXIT_OK and made.rounds == [12]


def test_a_budget_of_runs_takes_the_reference_and_small_batches_of_a_seed_first(tmp_path: Path) -> None:
    made = made_of(tmp_path / "p", plan("4"))
    assert made.run(budget=parsed("4runs", made.plan)) == EXIT_INCOMPLETE
    first = [(run.config.seed, run.config.global_batch) for run in made.store.runs()]
    assert first == [(0, 32), (0, 128), (0, 512), (1, 32)] and made.store.manifest.held_back == 8
    assert made.run(budget=parsed("100runs", made.plan)) == EXIT_OK
    assert made.rounds == [4, 8] and made.store.manifest.held_back == 0
    assert len(in_order(runs_of(made.plan))) == 12


def test_a_budget_decides_first_what_it_is_expected_to_and_puts_off_the_rest(tmp_path: Path) -> None:
    """Batch 128 is not worse and soon shown to be so, 512 loses half the margin and takes many seeds."""
    whole, made = (made_of(tmp_path / name / "p", plan(), of=SLOW) for name in ("whole", "budget"))
    assert whole.run() == EXIT_OK
    most = {batch: len(own) for batch, own in seeds_of(whole.store).items()}
    assert most[128] < most[512]
    said: list[str] = []
    assert made.run(said.append, budget=parsed(f"{3 * 3 + 2 * (most[128] - 3)}runs", made.plan)) == EXIT_INCOMPLETE
    found = {batch: len(own) for batch, own in seeds_of(made.store).items()}
    assert found == {32: most[128], 128: most[128], 512: 3}
    assert "the same: 128" in said[-3] and "open: 512" in said[-3] and "budget is spent" in said[-1]
    assert made.run(budget=parsed("100runs", made.plan)) == EXIT_OK
    assert seeds_of(made.store) == seeds_of(whole.store)


def seeds_of(store: Store) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for run in store.runs():
        assert run.has_record
        found.setdefault(run.config.global_batch, set()).add(run.config.seed)
    return found


def test_money_takes_a_price() -> None:
    with pytest.raises(PlanError, match="price_per_device_hour"):
        parsed("20usd", plan())
    priced = parse(TEXT.replace('name = "p"', 'name = "p"\nprice_per_device_hour = 2.0') % "4")
    assert parsed("20usd", priced).money == 20 and parsed("2h", priced) == Budget(given=True)


@pytest.mark.parametrize("keys, said", [("min_seeds = 2", "min_seeds = 2"), ("max_seeds = 3", "max_seeds = 3")])
def test_looks_need_three_seeds_and_room_for_more(keys: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        parse(TEXT % '"auto"' + keys)
