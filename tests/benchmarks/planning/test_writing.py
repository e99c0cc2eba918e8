"""A plan that `batchscale new` writes is a plan: every key keeps its value, and nothing that was chosen is dropped."""

from __future__ import annotations

import re
from typing import Any

import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.config.optimizers import OPTIMIZERS
from batchscale.benchmarks.planning import writing
from batchscale.benchmarks.planning.expansion import expand
from batchscale.benchmarks.planning.key_view import EXPERIMENT, PLAN
from batchscale.benchmarks.planning.plan import parse, Plan

MODEL = {"model": "mlp_128", "dataset": "digits"}
VALUES: dict[str, Any] = {"text": "x", "texts": ["a", "b"], "whole": 7, "wholes": [3, 5], "number": 0.125,
                          "numbers": [0.5, 2.0], "batch": 7, "batches": [16, "all"], "flag": True}


def written(**chosen: Any) -> Plan:
    return parse(writing.text("mine", {**MODEL, **chosen}))


def held(plan: Plan, name: str) -> list[Any]:
    return [e[name] for e in plan.experiments if name in e]


def test_model_and_data_are_enough_and_the_smallest_batch_is_the_reference() -> None:
    plan = written()
    assert plan.name == "mine" and [e["name"] for e in plan.experiments] == ["accuracy"]
    assert held(plan, "global_batches") == [(32, 128, 512)] and held(plan, "seeds") == [5]
    assert held(written(global_batches=[256, 64, "all"]), "reference_batch") == [64]


@pytest.mark.parametrize("replicas", [(1,), (2,)])
@pytest.mark.parametrize("name", [name for name in EXPERIMENT if name not in ("name", "kind", "replicas")])
def test_every_key_that_is_chosen_is_in_the_plan(name: str, replicas: tuple[int, ...]) -> None:
    key = EXPERIMENT[name]
    value = next(filter(None, key.choices), None) or VALUES[key.kind]
    if key.kind == "texts" and key.choices:
        value = list(key.choices[:2])
    text = writing.text("mine", {**MODEL, "replicas": replicas, name: value})
    assert re.search(rf"^{name} = ", text, re.MULTILINE)
    others = {"scaling", "momentum", "nodes", "script", "script_args", "fit"}  # which ask for other keys
    if name not in (others if replicas == (2,) else others | {"exchange"}):
        assert (tuple(value) if isinstance(value, list) else value) in held(parse(text), name)


@pytest.mark.parametrize("name", [name for name in PLAN if name != "name"])
def test_every_setting_that_is_chosen_is_in_the_plan(name: str) -> None:
    value = PLAN[name].choices[-1] if PLAN[name].choices else VALUES[PLAN[name].kind]
    assert written(**{name: value}).settings[name] == (tuple(value) if isinstance(value, list) else value)


def test_more_replicas_are_timed_against_one_in_an_experiment_of_their_own() -> None:
    plan = written(replicas=[2, 4], global_batches=[64])
    assert held(plan, "kind") == ["accuracy", "throughput"] and held(plan, "replicas") == [(1,), (1, 2, 4)]
    assert held(plan, "replica_batches") == [(64,)] and held(plan, "scaling") == ["", "weak"]
    assert held(written(replicas=[2], scaling="strong", global_batches=[64]), "global_batches") == [(64,), (64,)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_runs_of_a_new_plan_can_be_listed_with_every_optimizer(optimizer: str) -> None:
    chosen: dict[str, Any] = {} if OPTIMIZERS[optimizer].default_rate else {"learning_rate": 0.1}
    runs = expand(written(optimizer=optimizer, replicas=[2], **chosen), data.train_examples, {}).runs
    assert {run.kind for run in runs} == {"accuracy", "throughput"}


def test_every_line_that_is_commented_out_may_be_taken_in_as_it_stands() -> None:
    text = writing.text("mine", MODEL)
    lines = [line for line in text.splitlines() if re.match(r"# \w+ = \S", line)]
    assert len(lines) > 5
    for line in lines:
        name = line[2:].partition(" ")[0]
        if name != "momentum":
            plan = parse(text.replace(line, line[2:]))
            assert name in plan.settings or held(plan, name)


def test_text_is_quoted_and_the_file_s_name_stays_in_its_comment() -> None:
    assert written(question='a "b" \\ é\n').settings["question"] == 'a "b" \\ é\n'
    assert parse(writing.text("mine", MODEL, "a\n[plan]\nb.toml")).name == "mine"
