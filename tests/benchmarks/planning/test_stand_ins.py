"""A stand-in serves where the data set of a plan is absent: in the whole plan, said, recorded and never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchscale.benchmarks.errors import DataError, PlanError
from batchscale.benchmarks.planning.plan import parse, Plan
from batchscale.benchmarks.planning.variants import stand_ins

TEXT = """
[plan]
name = "small"
[defaults]
dataset = "mnist"
stand_in = "glyphs"
model = "mlp_128"
global_batches = [32]
[[experiment]]
name = "one"
[[experiment]]
name = "two"
dataset = "digits"
[[experiment]]
name = "three"
dataset = "mnist"
"""
FOLDER = Path("results/small")


def settled(gone: tuple[str, ...] = (), begun: dict[str, str] | None = None) -> Plan:
    return stand_ins.settled(parse(TEXT), lambda name: f"{name} is nowhere" if name in gone else "", begun or {},
                             FOLDER)


def datasets(plan: Plan) -> list[str]:
    return [str(experiment["dataset"]) for experiment in plan.experiments]


def said(plan: Plan) -> str:
    sentence, = stand_ins.sentences(plan.stand_ins, FOLDER)
    return sentence


def test_the_data_set_itself_is_taken_where_it_is_here() -> None:
    plan = settled()
    assert datasets(plan) == ["mnist", "digits", "mnist"] and plan.text == TEXT
    assert said(plan) == "data: mnist (where it is absent, glyphs stands in for it)"


def test_the_stand_in_serves_in_the_whole_plan_also_where_an_experiment_names_the_data_set_itself() -> None:
    plan = settled(gone=("mnist",))
    assert datasets(plan) == ["glyphs", "digits", "glyphs"]
    assert said(plan) == ("data: glyphs stands in for mnist, which is not on this machine; `batchscale fetch mnist` "
                          "brings it")
    assert parse(plan.text).experiments == tuple({**e, "stand_in": ""} for e in plan.experiments)


def test_a_folder_goes_on_with_what_it_was_begun_on() -> None:
    kept = settled(begun={"mnist": "glyphs"})
    assert datasets(kept) == ["glyphs", "digits", "glyphs"]
    assert said(kept) == ("data: glyphs stands in for mnist, as results/small was begun; mnist is here now: give "
                          "another --results to begin with it")
    assert datasets(settled(begun={"mnist": "mnist"})) == datasets(settled(begun={"mnist": "other"})) == datasets(
        settled())


def test_a_folder_that_was_begun_on_the_data_set_never_takes_its_stand_in() -> None:
    with pytest.raises(DataError, match="results/small was begun on mnist, .*never mixed: mnist is nowhere"):
        settled(gone=("mnist",), begun={"mnist": "mnist"})


def test_neither_being_here_is_one_sentence() -> None:
    with pytest.raises(DataError, match="mnist is not here, and glyphs, which .* neither: glyphs is nowhere"):
        settled(gone=("mnist", "glyphs"))


@pytest.mark.parametrize("change, message", [
    (('stand_in = "glyphs"', 'stand_in = "mnist"'), "is the data set itself"),
    (('name = "three"', 'name = "three"\nstand_in = "digits"'), "mnist has two stand-ins, glyphs and digits"),
    (('stand_in = "glyphs"', 'stand_im = "glyphs"'), "Did you mean 'stand_in'")])
def test_a_stand_in_that_makes_no_sense_is_refused(change: tuple[str, str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse(TEXT.replace(*change))


def test_a_plan_without_a_stand_in_is_left_as_it_is() -> None:
    plan = parse(TEXT.replace('stand_in = "glyphs"\n', ""))
    assert stand_ins.settled(plan, lambda name: "nowhere", {}, FOLDER) == plan
