"""--set: any key of a plan from the command line; what it fits, what it leaves, what it is refused for."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning.plan import parse
from batchscale.benchmarks.planning.variants.set_keys import folder_name, set_words

TEXT = """
[plan]
name = "small"
[defaults]
dataset = "mnist"
stand_in = "glyphs"
model = "mlp_128"
seeds = 2
[[experiment]]
name = "sgd"
global_batches = [32, 128]
[[experiment]]
name = "adam.w"
optimizer = "adam"
global_batches = [32]
seeds = 3
[[experiment]]
name = "speed"
kind = "throughput"
scaling = "weak"
replica_batches = [64]
strategies = ["mirrored"]
replicas = [1, 2]
"""


def values(key: str, *sets: str) -> list[Any]:
    return [experiment.get(key) for experiment in parse(TEXT, sets=sets).experiments]


@pytest.mark.parametrize("word, key, expected", [
    ("dataset=fashion_mnist", "dataset", ["fashion_mnist"] * 3), ("seeds=5", "seeds", [5, 5, 5]),
    ("adam.w.seeds=5", "seeds", [2, 5, 2]), (" seeds = 5 ", "seeds", [5, 5, 5]),
    ("learning_rate=0.5", "learning_rate", [0.5, 0.5, 0.5]), ("jit=true", "jit", [True, True, True]),
    ('model="cnn_small"', "model", ["cnn_small"] * 3),
    ("dataset=npz:/a b/c=d#e.npz", "dataset", ["npz:/a b/c=d#e.npz"] * 3),
    ("sgd.rules=linear", "rules", [("linear",), ("constant",), ("constant",)]),
    ('rules=["constant", "sqrt"]', "rules", [("constant", "sqrt")] * 3)])
def test_a_key_is_set_wherever_it_may_be(word: str, key: str, expected: list[Any]) -> None:
    assert values(key, word) == expected


def test_a_key_of_the_whole_plan_is_set_there() -> None:
    assert parse(TEXT, sets=["margin=0.02"]).margin == 0.02


@pytest.mark.parametrize("word, key, expected, note", [
    ("global_batches=[64]", "global_batches", [(64,), (64,), None],
     "--set global_batches=[64] leaves speed as before: there is no global_batches to change."),
    ("replicas=[1, 4]", "replicas", [(1,), (1,), (1, 4)],
     "--set replicas=[1, 4] leaves sgd and adam.w as before: replicas = 4 gives no run under strategies = ['single']"),
    ("momentum=0.5", "momentum", [0.9, 0.9, 0.9], "")])
def test_an_experiment_that_may_not_have_it_stays_and_is_named(word: str, key: str, expected: list[Any],
                                                               note: str) -> None:
    if not note:
        with pytest.raises(PlanError, match="momentum = 0.5 does nothing under optimizer = 'sgd'"):
            parse(TEXT, sets=[word])
        return
    made = parse(TEXT, sets=[word])
    assert [experiment.get(key) for experiment in made.experiments] == expected
    assert len(made.notes) == 1 and made.notes[0].startswith(note)


@pytest.mark.parametrize("word, message", [
    ("datset=x", "--set key='datset' is not known.*Did you mean 'dataset'"), ("seeds", "sets nothing; write KEY=VALUE"),
    ("=5", "sets nothing"), ("adm.w.seeds=3", "--set experiment='adm.w' is not known.*Did you mean 'adam.w'"),
    ("sgd.margin=0.1", "a key of the whole plan; write margin=0.1"), ("name=x", "key='name' is not known"),
    ("seeds=many", "seeds = 'many' must be a whole number"), ("optimizer=adm", "Did you mean 'adam'"),
    ("rules=[linear]", "the value is not valid TOML"), ("seeds=5\nepochs=3", "has several lines"),
    ("margin=0.9", "is a fraction"), ("sgd.sgd=3", "key='sgd' is not known")])
def test_what_cannot_be_set_is_refused_with_the_fix(word: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse(TEXT, sets=[word])


def test_a_data_set_that_is_asked_for_by_name_has_no_stand_in_but_its_own() -> None:
    assert values("stand_in") == ["glyphs"] * 3 and values("stand_in", "dataset=fashion_mnist") == [""] * 3
    assert values("stand_in", "stand_in=digits", "dataset=fashion_mnist") == ["digits"] * 3


def test_the_text_is_the_plan_as_it_is_run_and_reads_back() -> None:
    sets = ["dataset=fashion_mnist", "adam.w.seeds=5", "margin=0.02"]
    made = parse(TEXT, sets=sets)
    again = parse(made.text)
    assert again.experiments == made.experiments and again.settings == made.settings
    assert tomllib.loads(made.text)["experiment"][1]["seeds"] == 5
    assert set(made.sets) == set(sets) and parse(TEXT, sets=made.sets) == made
    assert parse(TEXT).text == TEXT


def test_settings_never_share_a_folder_whatever_their_order() -> None:
    assert parse(TEXT, sets=["seeds=2", "dataset=x:y"]).name == parse(TEXT, sets=["dataset=x:y", "seeds=2"]).name
    given = [["dataset=npz:a/b"], ["dataset=npz:a_b"], ["seeds=2"], ["seeds=3"], ["sgd.seeds=3"],
             ["dataset=" + "x" * 500], ["dataset=" + "x" * 501], ["dataset=../../up"], ["global_batches=[1, 2]"], []]
    names = [folder_name("small", words) for words in given]
    assert len(set(names)) == len(given) and all(len(name) < 100 and "/" not in name for name in names)
    assert names[8].startswith("small-global_batches=1_2-") and names[-1] == "small"
    assert parse(TEXT, sets=["seeds=3", "seeds=4"]).sets == ("seeds=4",)
    assert set_words(["a=1", "b=2"]) == ["--set", "a=1", "--set", "b=2"]
