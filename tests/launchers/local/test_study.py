"""What a study says and does before its runs start, when the model was edited since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks.planning.plan import Plan, read
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import study
from batchscale.launchers.local.describe import Describer

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
