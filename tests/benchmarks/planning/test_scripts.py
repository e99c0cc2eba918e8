"""Scripts in plans: what of an experiment is the script's, what the plan says beside it, the words that say it."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batchscale.benchmarks.config import optimizers
from batchscale.benchmarks.config.script import parse, ScriptCall
from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning import expansion, plan, scripts, writing
from batchscale.launchers.commands.runs import script_options
from batchscale.launchers.local.scripts import of_script, Words

TAKEN = scripts.Taken(train_examples=1000, test_examples=200, epochs=7, batch_size=64, optimizer="keras:Lion",
                      momentum=0.9, learning_rate=0.25, loss="mean_squared_error", metrics=("script:mae",),
                      precision="float32", published_way=True, notes=("callback EarlyStopping",))


def experiment(**keys: Any) -> dict[str, Any]:
    text = writing.of_script("mine", {"script": "train.py", "global_batches": [32, 64], **keys})
    return dict(plan.parse(text).experiments[0])


def runs(taken: scripts.Taken = TAKEN, **keys: Any) -> list[Any]:
    made = plan.parse(writing.of_script("mine", {"script": "train.py", "global_batches": [32, 64], **keys}))
    own = tuple(scripts.resolved(one, taken) for one in made.experiments)
    return expansion.expand(replace(made, experiments=own), lambda *_: 0, {}).runs


@pytest.mark.parametrize("call", [ScriptCall("train.py"), ScriptCall("a b@2.py", ("--width", "6 4", "|")),
                                  ScriptCall("train.py@3", ("x",)), ScriptCall("train.py", (), 2)])
def test_a_call_of_a_script_is_read_back_from_its_text(call: ScriptCall) -> None:
    assert parse(call.reference) == call


def test_what_the_script_gives_is_run_where_the_plan_says_nothing() -> None:
    run = next(run for run in runs() if run.kind == "accuracy")
    assert (run.dataset, run.model, run.loss) == ("script:train.py", "script:train.py", "script:mean_squared_error")
    assert (run.optimizer, run.base_learning_rate, run.epochs, run.train_examples) == ("keras:Lion", 0.25, 7, 1000)
    assert run.metrics == ("script:mae",) and run.reference_batch == 64 and run.validation_fraction == 0


def test_what_the_plan_says_comes_first() -> None:
    found = runs(optimizer="adam", epochs=2, validation_fraction=0.1, reference_batch=32, as_published=False)
    run = next(run for run in found if run.kind == "accuracy")
    assert (run.optimizer, run.base_learning_rate, run.epochs, run.train_examples) == ("adam", 0.001, 2, 900)
    assert run.reference_batch == 32 and "as_published" not in {run.rule for run in found}


def test_the_last_batch_of_an_epoch_is_kept_as_fit_does_where_the_plan_says_nothing() -> None:
    found = runs(rules=["linear", "adascale"], reference_batch=32, global_batches=[32, 64], optimizer="sgd",
                 accumulation=2)
    kept = {(run.kind, run.rule): run.last_batch for run in found}
    assert kept[("accuracy", "linear")] == kept[("accuracy", "as_published")] == "keep"
    assert kept[("accuracy", "adascale")] == "drop" and kept[("throughput", "constant")] == "drop"
    assert {run.last_batch for run in runs(last_batch="drop")} == {"drop"}


def test_a_loop_that_builds_no_model_anew_is_repeated_beside_the_study() -> None:
    assert "as_published" in {run.rule for run in runs()}
    assert "as_published" not in {run.rule for run in runs(msgspec.structs.replace(TAKEN, published_way=False))}
    assert "as_published" not in {run.rule for run in runs(global_batches=[64])}


def test_a_tuned_arm_has_examples_to_choose_by() -> None:
    assert {run.validation_fraction for run in runs(rules=["tuned"], as_published=False)} == {0.2}


def test_batches_that_nobody_names_are_multiples_of_the_scripts() -> None:
    found = scripts.resolved({**experiment(), scripts.GIVEN: ("script",)}, TAKEN)
    assert found["global_batches"] == (64, 256)


def test_what_is_not_taken_over_is_said() -> None:
    assert scripts.notes(experiment(), TAKEN) == ["train.py: callback EarlyStopping"]
    elsewhere = scripts.notes(experiment(global_batches=[32, 128]), TAKEN)
    assert len(elsewhere) == 2 and "batch 64" in elsewhere[1] and "0.25" in elsewhere[1]


@pytest.mark.parametrize(("keys", "said"), [
    ({"model": "mlp_128"}, "model is what the script train.py gives"),
    ({"loss": "mean_squared_error"}, "loss is what the script"),
    ({"fit": 0}, "fit = 0 is no call of fit"),
    ({"optimizer": "keras:Lyon"}, "Did you mean 'Lion'"),
    ({"optimizer": "keras:Lion learning_rate=1"}, "the rate is the plan's learning_rate"),
    ({"optimizer": "adamm"}, "Did you mean 'adam'"),
    ({"precision": "float64", "taken": "mixed_float16"}, "sets Keras' dtype policy 'mixed_float16' itself"),
])
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], said: str) -> None:
    taken = msgspec.structs.replace(TAKEN, precision=keys.pop("taken", "float32"))
    with pytest.raises(PlanError, match=said):
        runs(taken, **keys)


@pytest.mark.parametrize("key", ["fit", "script_args"])
def test_a_scripts_keys_need_a_script(key: str) -> None:
    text = f'[plan]\nname = "a"\n[[experiment]]\nname = "a"\ndataset = "digits"\nmodel = "mlp_128"\n{key} = 1\n'
    with pytest.raises(PlanError, match=f"{key} belongs to a script"):
        plan.parse(text)


def test_the_words_of_a_command_make_the_plan_and_say_it_again(tmp_path: Path) -> None:
    (tmp_path / "my train.py").write_text("")
    parser = ArgumentParser()
    script_options.add_script(parser)
    words = ["--batches", "32,all", "--rules", "constant,linear", "--seeds", "3", "--learning-rate", "0.5",
             "--arg=--width", "--arg=64"]
    given = script_options.script_words(parser.parse_args(words))
    made = of_script(str(tmp_path / "my train.py"), given)
    one = made.experiments[0]
    assert made.name == "my_train" and made.words == (str(tmp_path / "my train.py"), *words)
    assert one["global_batches"] == (32, "all") and one["rules"] == ("constant", "linear") and one["seeds"] == 3
    assert one["learning_rate"] == 0.5 and one["model"] == "script:'my train.py' --width 64"


def test_an_optimizer_that_is_made_is_described_with_what_it_trains() -> None:
    plain, made = ({run.workload_key for run in runs(optimizer=name, learning_rate=0.1)}
                   for name in ("adam", "keras:Adam beta_1=0.5"))
    assert not plain & made and all("keras:Adam beta_1=0.5" in key for key in made)


def test_a_script_that_is_not_there_is_named() -> None:
    with pytest.raises(PlanError, match="there is no script nowhere.py"):
        of_script("nowhere.py", Words({}))


@pytest.mark.parametrize(("name", "words", "adaptive"), [
    ("keras:Lion beta_1=0.5", "Lion", True), ("adam", "Adam", True), ("keras:SGD momentum=0.9", "SGD", False)])
def test_an_optimizer_of_keras_is_known_by_its_class(name: str, words: str, adaptive: bool) -> None:
    spec = optimizers.known(name)
    assert spec is not None and spec.words == words and spec.adaptive is adaptive
