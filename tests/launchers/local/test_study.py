"""What a study says and does before its runs start, when the model was edited since."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.planning.plan import Plan, read
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.commands.runs.asked_plan import asked_plan
from batchscale.launchers.local import study
from batchscale.launchers.local.describe import Describer
from batchscale.launchers.local.display import announcement

PLAN = """
[plan]
name = "mine"
drift_guard = false
[[experiment]]
name = "x"
dataset = "digits"
model = "mine:build"
global_batches = [32, 128]
seeds = 2
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "mine.toml").write_text(PLAN)
    return read(str(tmp_path / "mine.toml"))


def begin(plan: Plan, options: study.Options, parameters: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Check and write the plan, the model having so many parameters; the ids of its runs, the first one begun."""
    def describe(asked: Describer, configs: list[RunConfig], store: Store) -> dict[str, Any]:
        assert asked.source == plan.source
        return {config.workload_key: {"train_examples": config.train_examples, "parameters": parameters, "files": None,
                                      "fingerprint": {"layers": str(parameters)}} for config in configs}

    monkeypatch.setattr(Describer, "describe", describe)
    store, expansion, workloads = study.check(plan, options)
    study.keep(store, expansion.runs, workloads, study.facts(plan, expansion))
    runs = store.runs()
    (runs[0].folder / "attempt-01").mkdir(exist_ok=True)
    return [run.run_id for run in runs]


@pytest.mark.parametrize("go_on", [False, True])
def test_an_edited_model_is_said_in_one_sentence_and_never_mixed_unless_asked(
        plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        go_on: bool) -> None:
    options = study.Options(tmp_path / "results", continue_edited=go_on)
    first = begin(plan, options, 195, monkeypatch)
    assert len(first) == 4 and begin(plan, options, 195, monkeypatch) == first and capsys.readouterr().out == ""
    again = begin(plan, options, 1539, monkeypatch)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("edited since 1 run of this plan was made: the layers of mine:build "
                           "(195 parameters then, 1,539 now); ")
    assert (again == first) is go_on and (go_on or not set(again) & set(first))
    assert begin(plan, options, 1539, monkeypatch) == again and capsys.readouterr().out == ""


def test_a_folder_keeps_the_data_that_it_was_begun_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST comes after the first run on its stand-in: every run of the folder stays on that, and it is said."""
    text = PLAN.replace('dataset = "digits"', 'dataset = "mnist"\nstand_in = "digits"').replace("mine:build", "mlp_128")
    (tmp_path / "mine.toml").write_text(text)
    arguments = Namespace(plan=str(tmp_path / "mine.toml"), sets=[], results=tmp_path / "results", arg=[])
    options, here = study.Options(arguments.results), [""]
    monkeypatch.setattr(data, "absent", lambda name: "it is nowhere" if name == "mnist" and not here[0] else "")
    monkeypatch.setattr(data, "train_examples", lambda name, fraction: 1000)
    first = begin(asked_plan(arguments), options, 5, monkeypatch)
    here[0] = "yes"
    plan = asked_plan(arguments)
    assert [line for line in announcement.chosen(plan, tmp_path) if "as " in line and "mnist is here now" in line]
    assert begin(plan, options, 5, monkeypatch) == first
    manifest = Store(arguments.results / "mine").manifest
    assert [(one.asked, one.used) for one in manifest.stand_ins] == [("mnist", "digits")]
    assert "stand_in" not in manifest.text and 'dataset = "digits"' in manifest.text
    other = asked_plan(Namespace(plan=arguments.plan, sets=[], results=tmp_path / "other", arg=[]))
    assert {experiment["dataset"] for experiment in other.experiments} == {"mnist"}


def test_what_is_set_is_recorded_and_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(PLAN.replace("mine:build", "mlp_128"))
    found = {}
    for sets in ([], ["seeds=1"], ["seeds=1", "x.global_batches=[64]"]):
        arguments = Namespace(plan=str(tmp_path / "mine.toml"), sets=sets, results=tmp_path / "results", arg=[])
        plan = asked_plan(arguments)
        runs = begin(plan, study.Options(arguments.results), 5, monkeypatch)
        found[plan.name] = (len(runs), Store(arguments.results / plan.name).manifest.sets)
    assert list(found.values()) == [(4, ()), (2, ("seeds=1",)), (1, ("seeds=1", "x.global_batches=[64]"))]
    assert list(found)[:2] == ["mine", "mine-seeds=1"]
