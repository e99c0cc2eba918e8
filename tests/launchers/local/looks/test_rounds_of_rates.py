"""Rounds of a study whose rates are halved: what is asked for, killed at any point, and with seeds decided by looks."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.made_rounds import Killed, Rounds
from support.synthetic_records import SGD, Study, Tuning

from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_OK, PlanError
from batchscale.benchmarks.planning.plan import parse
from batchscale.benchmarks.planning.tuning import TO_THE_END
from batchscale.launchers.commands.results.status import by_looks
from batchscale.launchers.local.looks import asked, foreseen

PLAN = """
[plan]
name = "p"
drift_guard = false
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = [32, 512]
rules = ["constant", "tuned"]
halve_after = [2, 4]
epochs = 10
seeds = 4
"""
TRUTH = Study(experiments=(replace(SGD, noise_batches=(), tuning=Tuning(best={32: 0.5, 512: 14.0})),), timing=None,
              memory=None, noise=1e-4)


def made(folder: Path, text: str = PLAN, seeds: int = 1000) -> Rounds:
    return Rounds(folder, parse(text), TRUTH, seeds)


def test_rates_are_halved_and_the_best_one_stands_inside_those_trained_to_the_end(tmp_path: Path) -> None:
    said: list[str] = []
    of = made(tmp_path / "p")
    assert of.run(said.append) == EXIT_OK and of.rounds[0] == 2 * 4 + 2 * 8 * 3
    runs = [run.config for run in of.store.runs() if run.config.rule == "tuned"]
    lengths = Counter((one.global_batch, one.stops_after, one.seed) for one in runs)
    # Around the best rate at 32 the fourth and the fifth are alike, and both end.
    assert {lengths[32, 2, 0], lengths[512, 2, 0]} == {8} and lengths[32, 4, 2] == 3 and not lengths[32, 4, 3]
    # Seeds hardly vary here, so that after three of them the best rate alone takes the fourth.
    assert lengths[32, TO_THE_END, 2] == 3 and lengths[32, TO_THE_END, 3] == 1
    found = {one.global_batch: one for one in read(of.store).tuned}
    assert found[32].chosen.learning_rate == pytest.approx(0.005, rel=0.3) and not found[32].edge
    # The best rate lies beyond the highest of the plan, 0.22: three beyond it are tried until one is seen to be worse.
    assert found[512].chosen.learning_rate == pytest.approx(0.56, rel=0.3) and not found[512].edge
    assert not found[32].warnings and not found[512].warnings
    assert [len(one.stopped) + len(one.trials) for one in found.values()] == [8, 11]
    assert any("batch 512, rates by halving: 8 rates for 2 epochs" in line for line in said)
    assert by_looks(of.store) and not asked.is_open(of.store)


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seeds", ["4", '"auto"\nmax_seeds = 8'])
def test_killed_after_any_records_it_tries_the_same_rates(tmp_path: Path, every: int, seeds: str) -> None:
    """Killed again and again, after so many records each time, which come in any order."""
    text = PLAN.replace("seeds = 4", f"seeds = {seeds}").replace("[2, 4]", "[4]\ntrials = 4")
    whole = made(tmp_path / "whole" / "p", text)
    assert whole.run() == EXIT_OK
    names, said = {run.run_id for run in whole.store.runs()}, asked.lines(whole.store)
    of, kills = made(tmp_path / "p", text, seeds=every - 1), 0
    of.order = random.Random(every)
    while True:
        try:
            assert of.run() == EXIT_OK
            break
        except Killed:
            assert {run.run_id for run in of.store.runs()} <= names
            assert asked.is_open(of.store) or any(not run.has_record for run in of.store.runs())
            of.most, kills = every, kills + 1
    assert {run.run_id for run in of.store.runs()} == names and asked.lines(of.store) == said
    assert kills >= len(names) // every - 1 > 0


def test_what_is_foreseen_is_what_comes_through_each_length() -> None:
    given = parse(PLAN)
    runs = Rounds(Path("unused"), given, TRUTH).listed
    found = foreseen.foreseen(given, runs, 1.0, lambda of: float(len(of)))
    # Of each batch 4 constant, 8 and 4 shortened with 3 seeds, and to the end 2 and the one beside the best, of which
    # two take the fourth seed.
    assert found.runs == 2 * (4 + 3 * (8 + 4) + 3 * 3 + 2)
    # A run that another goes on from takes no time of its own: so many at most as rates and seeds.
    assert found.seconds == 2 * (4 + 3 * 8 + 2)
    line = foreseen.lines(given, runs, lambda of: 1.0)[0]
    assert f"{found.runs} runs expected" in line


@pytest.mark.parametrize(("change", "said"), [
    ("halve_after = [4, 2]", "ascending"), ("halve_after = [10]", "below epochs = 10"),
    ("halve_after = [0]", "above 0"),
    ("trials = 7\nhalve_after = [2, 4]", "give at least 8 trials"),
    ('strategies = ["single", "mirrored"]\nhalve_after = [2]', "give one"),
    ('strategies = ["mirrored"]\nreplicas = [1, 2]\nhalve_after = [2]', "give one")])
def test_a_halving_that_cannot_be_is_refused(change: str, said: str) -> None:
    with pytest.raises(PlanError, match="halve_after") as raised:
        parse(PLAN.replace("halve_after = [2, 4]", change))
    assert said in str(raised.value)
