"""A study from Python amounts to the command line that says the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import batchscale
import pytest
from support.stored_study import folder, SMALL

from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.planning.plan import Plan
from batchscale.launchers.local import study as local
from batchscale.launchers.local.study import Options
from batchscale.launchers.python import studies

PLAN = '[plan]\nname = "tiny"\n[[experiment]]\nname = "sgd"\ndataset = "glyphs"\nmodel = "mlp_128"\n' \
       'optimizer = "sgd"\nglobal_batches = [32]\n'


class Asked:
    """The plan and options that a study was called with; its results are those of a stored study."""

    plan: Plan
    options: Options
    code = 0

    def __call__(self, plan: Plan, options: Options) -> int:
        self.plan, self.options = plan, options
        folder(options.results / plan.name, study=SMALL)
        return self.code


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    found = Asked()
    monkeypatch.setattr(local, "run", found)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(PLAN)
    return found


def test_a_plan_with_other_keys(asked: Asked, tmp_path: Path) -> None:
    found = batchscale.study("tiny.toml", batches=[32, 512], rules=("constant", "linear"), seeds=2, results="out",
                             only="seed<1", budget="10m", retry=True)
    experiment = asked.plan.experiments[0]
    assert (experiment["global_batches"], experiment["rules"], experiment["seeds"]) == ((32, 512),
                                                                                        ("constant", "linear"), 2)
    assert asked.options == Options(Path("out"), "seed<1", 600.0, retry=True, budget="10m")
    assert found.folder == Path("out", asked.plan.name) and len(found.runs)


def build(input_shape: Any, classes: int) -> None:
    """A model's function, which no test calls."""


def test_functions_are_named_as_a_plan_names_them(asked: Asked) -> None:
    batchscale.study(model=build, data="glyphs", batches=[32, 512], optimizer="adam", results="out")
    experiment = asked.plan.experiments[0]
    assert experiment["model"] == f"{build.__module__}:build" and experiment["dataset"] == "glyphs"
    assert (asked.plan.name, experiment["global_batches"], experiment["optimizer"]) == ("build", (32, 512), "adam")


def test_the_words_of_a_script() -> None:
    words = list(studies._words("train.py", ["--width"], {"global_batches": [32, 64], "margin": 0.01, "seeds": 3}))
    assert words == ["--batches=32,64", "--set=margin=0.01", "--seeds=3", "--arg=--width"]


@pytest.mark.parametrize(("given", "said"), [
    ({}, "needs a script, a plan, or model and data"), ({"model": "mlp_128"}, "needs a script"),
    ({"what": "tiny.toml", "data": "glyphs"}, "leave model and data out"),
    ({"what": "tiny.toml", "batchs": [32]}, "global_batches|not known"),
    ({"what": "tiny.toml", "rules": object()}, "no value of a plan"),
    ({"model": lambda: None, "data": "glyphs"}, "put the function into a file"),
    ({"model": "mlp_128", "data": "glyphs", "sedes": 2}, "Did you mean 'seeds'")])
def test_what_cannot_be_run_is_said_with_the_fix(asked: Asked, given: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        batchscale.study(**given)


def test_runs_that_failed_are_warned_of(asked: Asked) -> None:
    asked.code = 1
    with pytest.warns(UserWarning, match="runs failed; `statuses` says which"):
        batchscale.study("tiny.toml", results="out")


def test_another_thread_is_refused(asked: Asked) -> None:
    said: list[str] = []

    def call() -> None:
        try:
            batchscale.study("tiny.toml")
        except PlanError as error:
            said.append(str(error))
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "main thread" in said[0]
