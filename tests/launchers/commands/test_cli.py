"""Bad input ends in one clear sentence and exit code 2, before any rank starts and with nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import known_workloads, starts
from support.launching import batchscale, environment

from batchscale.benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from batchscale.launchers.commands.options import seconds

PLAN = """
[plan]
name = "mine"
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = [32]
seeds = 1
epochs = 1
"""


def refused(folder: Path, *words: str) -> str:
    """The message of a command that must be refused."""
    done = batchscale(*words, cwd=folder, KERAS_HOME=str(folder))
    assert done.returncode == EXIT_USAGE, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert not (folder / "results").exists()
    return done.stderr


def write(folder: Path, *changes: tuple[str, str]) -> str:
    text = PLAN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "mine.toml").write_text(text)
    return "mine.toml"


@pytest.mark.parametrize(("change", "message"), [
    (("seeds", "sseds"), "Did you mean 'seeds'?"),
    (("[32]", '["x"]'), "must be a whole number"),
    (("[32]", "[33]\nstrategies = ['mirrored']\nreplicas = [2]"), "nearest valid: 32 and 34"),
    (("digits", "digit"), "Did you mean 'digits'?"),
    (("mlp_128", "mlp_129"), "Did you mean 'mlp_128'?"),
    (("digits", "mnist"), "glyphs"),
    (("digits", "npz:nowhere.npz"), "nowhere.npz"),
])
def test_a_bad_plan_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert message in refused(tmp_path, "run", write(tmp_path, change))


@pytest.mark.parametrize(("words", "message"), [
    (("run", "nothing.toml"), "bundled plans"),
    (("run", "quikc"), "Did you mean 'quick'"),
    (("run", "mine.toml", "--only", "experimnt=sgd"), "Did you mean 'experiment'"),
    (("run", "mine.toml", "--only", "seed=99"), "selects none of the"),
    (("run", "mine.toml", "--only", "seed"), "is no condition"),
    (("run", "mine.toml", "--budget", "soon"), "10m"),
    (("report", "nowhere"), "holds no results"),
    (("status", "nowhere"), "holds no results"),
    (("run", "mine.json"), "holds no configuration"),
])
def test_a_bad_command_line_is_refused(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    write(tmp_path)
    assert message in refused(tmp_path, *words)


def test_an_unwritable_results_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    assert "--results" in refused(tmp_path, "run", write(tmp_path), "--results", "file/results")
    assert (tmp_path / "file").read_text() == "kept"


def test_the_dry_run_prints_commands_and_writes_nothing(tmp_path: Path) -> None:
    done = batchscale("plan", write(tmp_path), cwd=tmp_path)
    assert done.returncode == EXIT_OK, done.stderr
    assert "batchscale-rank --results results/mine --shape single-1r-1n-1c" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["mine.toml"]


def test_a_spent_budget_leaves_the_plan_incomplete_and_says_how_to_go_on(tmp_path: Path) -> None:
    plan = write(tmp_path)
    known_workloads.invent(tmp_path / plan, tmp_path / "results" / "mine")
    before = starts.count()
    done = batchscale("run", plan, "--budget", "0s", cwd=tmp_path)
    assert done.returncode == EXIT_INCOMPLETE, done.stderr
    assert "same command again" in done.stdout
    done = batchscale("status", "results", cwd=tmp_path)
    assert done.returncode == EXIT_INCOMPLETE and "3 pending" in done.stdout
    assert "batchscale run mine.toml --results results" in done.stdout
    assert starts.count() == before, "known workloads spare the child process that would describe them"


def test_help_answers_at_once() -> None:
    best = min(_seconds_of_help() for _ in range(3))
    assert best < 0.6, "0.3 s on an idle machine; twice that leaves room for a busy one"


def _seconds_of_help() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", "--help"], check=True, capture_output=True,
                   env=environment())
    return time.perf_counter() - began


@pytest.mark.parametrize(("text", "expected"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("", float("inf"))])
def test_lengths_of_time(text: str, expected: float) -> None:
    assert seconds(text) == expected
