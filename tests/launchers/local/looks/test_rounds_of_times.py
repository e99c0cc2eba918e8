"""Rounds of a study that times only the batches that accuracy keeps: when it does, which it leaves out and names."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from support.made_rounds import Killed, Rounds
from support.synthetic_records import change, SGD, Study

from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.report import page
from batchscale.analysis.report.live import candidate_tables
from batchscale.analysis.statistics.sequential.spending import NOT_WORSE
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.non_inferiority import loss_tests
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_OK, PlanError
from batchscale.benchmarks.planning.plan import parse, Plan
from batchscale.launchers.local.looks import asked, foreseen

TEXT = """
[plan]
name = "p"
drift_guard = false
[defaults]
dataset = "digits"
model = "mlp_128"
[[experiment]]
name = "sgd"
global_batches = [32, 128, 512]
epochs = 2
seeds = "auto"
[[experiment]]
name = "speed"
kind = "throughput"
global_batches = [32, 128, 512, 1024]
launches = 3
only_kept = true
"""
TRUTH = change(Study(experiments=(SGD,), noise=0.0025), "sgd", "constant", accuracy_gap={128: 0.0, 512: 0.2})


def plan(text: str = TEXT) -> Plan:
    return parse(text)


def made(folder: Path, text: str = TEXT, seeds: int = 1000) -> Rounds:
    return Rounds(folder, plan(text), TRUTH, seeds)


def timed(of: Rounds) -> list[int]:
    """The batches of every timing run that is listed, in order."""
    return [run.config.global_batch for run in of.store.runs() if run.config.kind == "throughput"]


def test_batches_are_timed_in_turn_once_accuracy_is_decided_and_those_given_up_are_not(tmp_path: Path) -> None:
    said: list[str] = []
    of = made(tmp_path / "p")
    assert of.run(said.append) == EXIT_OK
    assert of.rounds[0] == 3 * 3 and of.rounds[-1] == 3 * 3
    assert timed(of) == [32, 128, 1024, 1024, 128, 32, 32, 128, 1024], "those not trained are timed, launches by turns"
    assert any("speed: timed once sgd is decided" in line for line in said)
    out = "speed: not timed, since accuracy keeps none of them: batch 512."
    assert out in said and out in decide_of(Found(read(of.store))).topics["looks"] and not asked.is_open(of.store)
    text = (page.write(of.store, tmp_path / "report") / "index.html").read_text()
    assert out in text and "reach further up than down" in text


def test_the_page_decides_by_the_levels_at_which_batches_are_kept(tmp_path: Path) -> None:
    of = made(tmp_path / "p")
    of.run()
    study = Found(read(of.store))
    table, = candidate_tables(study, decide_of(study))
    looks, level = table["looks"], 0.025
    at = [float(np.exp(np.interp(np.log(level), np.log(looks["whole"]), np.log(own)))) for own in looks["levels"]]
    tests = {(rule, batch): lost for rule, chain in loss_tests(load_arms(study.results)).chains.items()
             for batch, lost in chain.items()}
    listed = {(chain["rule"], test[0]): at[test[-1]] for chain in table["chains"] for test in chain["tests"]}
    assert listed == pytest.approx({cell: lost.level_of_look(lost.estimate.n, level, NOT_WORSE)
                                    for cell, lost in tests.items()})
    assert {lost.looks[-1] for lost in tests.values()} == {16} and len(set(listed.values())) > 1


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_after_any_records_it_times_the_same_batches(tmp_path: Path, every: int) -> None:
    whole, of = made(tmp_path / "whole" / "p"), made(tmp_path / "p", seeds=every - 1)
    assert whole.run() == EXIT_OK
    of.order, kills = random.Random(every), 0
    while True:
        try:
            assert of.run() == EXIT_OK
            break
        except Killed:
            assert asked.is_open(of.store) or any(not run.has_record for run in of.store.runs())
            of.most, kills = every, kills + 1
    assert [run.run_id for run in of.store.runs()] == [run.run_id for run in whole.store.runs()] and kills > 2


@pytest.mark.parametrize(("change", "waits"), [
    (('seeds = "auto"', "seeds = 3"), False), (("only_kept = true", 'only_kept = true\noptimizer = "adam"'), False),
    (("only_kept = true", 'only_kept = true\noptimizer = "sgd"'), True)])
def test_nothing_is_waited_for_without_looks_at_the_same_training(
        tmp_path: Path, change: tuple[str, str], waits: bool) -> None:
    of = made(tmp_path / "p", TEXT.replace(*change))
    of.run()
    assert (512 not in timed(of)) is waits


def test_what_another_experiment_times_as_well_does_not_wait(tmp_path: Path) -> None:
    other = '[[experiment]]\nname = "all"\nkind = "throughput"\nglobal_batches = [512]\nlaunches = 3\n'
    of = made(tmp_path / "p", TEXT + other)
    assert of.run() == EXIT_OK and of.rounds[0] == 3 * 3 + 3 and timed(of).count(512) == 3


def test_times_that_this_machine_cannot_take_leave_nothing_open(tmp_path: Path) -> None:
    of = made(tmp_path / "p")
    of.listed = [one for one in of.listed if one.kind == "accuracy"]
    assert of.run() == EXIT_OK and asked.is_open(of.store), "as after an end before they were listed"
    listed = [run.config for run in of.store.runs()]
    of.store.prepare(listed, {"name": "p", "text": TEXT, "settings": dict(of.plan.settings), "skipped": [
        {"experiment": "speed", "what": "2 replicas", "reason": "this machine has one core"}]})
    assert not asked.is_open(of.store)


def test_what_is_foreseen_counts_no_batch_timed_at_least_and_all_at_most() -> None:
    runs = made(Path("unused")).listed
    least, most = (foreseen.foreseen(plan(), runs, share, lambda of: float(len(of))) for share in (0.0, 1.0))
    assert least.runs == 3 * 3 + 3 * 2 and most.runs == 3 * 16 + 3 * 4


@pytest.mark.parametrize("change", [("[32, 128, 512, 1024]\nlaunches", "[32]\nreplica_batches = [32]\nlaunches"),
                                    ('kind = "throughput"', 'kind = "accuracy"')])
def test_what_cannot_wait_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(PlanError, match="only_kept = true"):
        plan(TEXT.replace(*change))
