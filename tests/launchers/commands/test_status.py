"""What `status` prints: a line for each experiment with what came of it, nouns, and a command that works from here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from support.stored_study import folder, STUDY

from batchscale.benchmarks.errors import EXIT_INCOMPLETE
from batchscale.benchmarks.records.manifest import read
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers import cli


def test_each_experiment_has_a_line_with_its_results_so_far(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["status", str(folder(tmp_path / "mine"))])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["experiment", "done", "running", "failed", "to", "do", "so", "far"]
    records = list(Store(tmp_path / "mine").records())
    for name in dict.fromkeys(record["config"]["experiment"] for record in records):
        own = [record for record in records if record["config"]["experiment"] == name]
        line = next(line for line in lines if line.split()[0] == name)
        assert line.split()[1:5] == [str(len(own)), "0", "0", "0"]
    accuracy = next(line for line in lines if line.split()[0] == STUDY.experiments[0].name)
    smallest, largest = (f"at batch {batch:,}" for batch in (min(STUDY.experiments[0].batches),
                                                             max(STUDY.experiments[0].batches)))
    assert "test accuracy 0." in accuracy and smallest in accuracy and largest in accuracy


def test_the_command_to_go_on_works_from_the_folder_in_which_it_is_printed(
        tmp_path: Path, config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "a home"
    store = Store(home / "results" / "mine")
    store.prepare([config()], {"name": "mine", "source": "mine.toml", "folder": str(home)})
    monkeypatch.chdir(home)
    assert cli.main(["status", "results"]) == EXIT_INCOMPLETE
    assert capsys.readouterr().out.splitlines()[-1] == "to go on: batchscale run mine.toml --results results"
    monkeypatch.chdir(tmp_path)
    assert cli.main(["status", "a home/results/mine"]) == EXIT_INCOMPLETE
    words = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("to go on: "))
    assert words == ["cd", str(home), "&&", "batchscale", "run", "mine.toml", "--results", "results"]


def test_the_command_to_go_on_holds_what_was_set(tmp_path: Path, config: Callable[..., RunConfig],
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "mine-seeds=2")
    store.prepare([config()], {"name": "mine-seeds=2", "source": "mine.toml", "sets": ["rules=[\"sqrt\"]", "seeds=2"]})
    assert cli.main(["status", str(store.folder)]) == EXIT_INCOMPLETE
    words = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("to go on: "))
    assert words == ["batchscale", "run", "mine.toml", "--set", 'rules=["sqrt"]', "--set", "seeds=2", "--results",
                     str(tmp_path)]


def test_an_interrupted_run_is_not_called_failed(tmp_path: Path, config: Callable[..., RunConfig],
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config(seed=seed) for seed in range(2)], {"name": "mine"})
    for status, kind, said in (("preempted", "interrupted", "stopped on request"), ("failed", "failed", "failed")):
        claimed = store.claim_next(store.runs())
        assert claimed is not None
        run, attempt = claimed
        run.fail(attempt, status, 0, "it was so")
        cli.main(["status", str(store.folder)])
        out = capsys.readouterr().out
        assert f"first {kind} run: {run.run_id}: {said}" in out and f"1 {said}" in out.splitlines()[0]
        if status == "preempted":
            for path in run.folder.glob("attempt-*"):
                path.rename(tmp_path / path.name)
            store.prepare([config(seed=1)], {"name": "mine"})


def test_a_manifest_without_its_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"runs": []}))
    assert read(tmp_path).folder == ""
