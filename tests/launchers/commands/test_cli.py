"""Bad input ends in one clear sentence and exit code 2, before any rank starts and with nothing written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import known_workloads, starts
from support.launching import batchscale, environment

from batchscale.benchmarks.errors import EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE, PlanError
from batchscale.benchmarks.planning.plan import bundled, parse
from batchscale.launchers import cli
from batchscale.launchers.commands.options import seconds
from batchscale.launchers.commands.registry import Command, COMMANDS
from batchscale.launchers.local.describe import Describer
from batchscale.launchers.machine import checks

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


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The message of a command that must be refused; rank/test_trial.py has one refused in a process of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def message(*words: str) -> str:
        before = starts.count()
        assert cli.main(words) == EXIT_USAGE
        assert starts.count() == before and not (tmp_path / "results").exists()
        return capsys.readouterr().err
    return message


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
    (("digits", "idx:nowhere"), "there is no folder"),
    (("digits", "npz:nowhere.npz"), "nowhere.npz"),
])
def test_a_bad_plan_is_refused(tmp_path: Path, refused: Callable[..., str], change: tuple[str, str],
                               message: str) -> None:
    """A model that is not known is refused by the process that builds it: rank/test_trial.py."""
    assert message in refused("run", write(tmp_path, change))


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
    (("run", "mine.json", "--set", "seeds=2"), "--set belongs to a plan"),
    (("plan", "mine.toml", "--set", "epchs=2"), "Did you mean 'epochs'?"),
    (("search", "largest-batch", "mine.toml", "--set", "sdg.seeds=2"), "--set experiment='sdg' is not known"),
    (("fetch", "mnst"), "Did you mean 'mnist'?"),
])
def test_a_bad_command_line_is_refused(tmp_path: Path, refused: Callable[..., str], words: tuple[str, ...],
                                       message: str) -> None:
    write(tmp_path)
    assert message in refused(*words)


def test_an_unwritable_results_folder_is_refused(tmp_path: Path, refused: Callable[..., str],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("kept")
    plan = write(tmp_path)
    known_workloads.invent(tmp_path / plan, tmp_path / "known")
    known = json.loads((tmp_path / "known" / "workloads.json").read_text())
    monkeypatch.setattr(Describer, "describe", lambda *_: known)
    assert "--results" in refused("run", plan, "--results", "file/results")
    assert (tmp_path / "file").read_text() == "kept"


def test_the_dry_run_prints_commands_and_writes_nothing(tmp_path: Path) -> None:
    done = batchscale("plan", write(tmp_path), "--offline", cwd=tmp_path)
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


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_example_in_a_command_s_help_is_a_command(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([command.name, "--help"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2:] == ["example:", f"  {command.example}"]
    words = shlex.split(command.example)
    assert words[:2] == ["batchscale", command.name]
    assert cli.parser(command.name).parse_args(words[1:]).command == command.name


def test_batchscale_alone_prints_help_and_knows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == EXIT_OK
    assert capsys.readouterr().out.startswith("usage: batchscale")
    assert cli.main(["--version"]) == EXIT_OK
    assert re.match(r"batchscale \d+\.\d+\.\d+ in /", capsys.readouterr().out)


@pytest.mark.parametrize(("words", "message"), [
    ("stuyd quick", r"stuyd: command='stuyd' is not known; .*Did you mean 'study'\? `batchscale` alone says"),
    ("study quick --budgt=3s", r"option='--budgt' is not known; .*Did you mean '--budget'\? `batchscale study --help`"),
    ("study quick twice", "batchscale study: 'twice' is one argument too many. `batchscale study --help`"),
    ("--zz", r"^batchscale: option='--zz' is not known; choose one of: --help, --version, -h\. `batchscale --help`"),
])
def test_a_misspelt_command_or_option_is_one_sentence(words: str, message: str,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words.split()) == EXIT_USAGE
    said = capsys.readouterr()
    assert re.search(message, said.err) and said.err.count("\n") == 1 and said.out == "", said.err


def test_bundled_plans_are_listed_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plans"]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    for name, path in bundled().items():
        line = next(line for line in lines if line.startswith(name))
        assert line.removeprefix(name).strip() in path.read_text().replace("\n# ", " ")


def test_new_writes_a_plan_and_never_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["new", str(tmp_path / "own.toml"), "--model", "m:build", "--data", "d:load", "--batches", "16", "all",
             "--learning-rate", "0.1", "--jit", "true"]
    assert cli.main(words) == EXIT_OK
    text = (tmp_path / "own.toml").read_text()
    experiment, = parse(text).experiments
    assert (experiment["global_batches"], experiment["learning_rate"], experiment["jit"]) == ((16, "all"), 0.1, True)
    assert cli.main([*words, "--epochs", "3"]) == EXIT_USAGE and "--force" in capsys.readouterr().err
    assert (tmp_path / "own.toml").read_text() == text
    assert cli.main([*words, "--epochs", "3", "--force"]) == EXIT_OK
    assert parse((tmp_path / "own.toml").read_text()).experiments[0]["epochs"] == 3


@pytest.mark.parametrize(("words", "message"), [
    (("--seeds", "many"), "whole number"), (("--learning-rate", "inf"), "must be a number"),
    (("--optimizer", "admw"), "Did you mean"), (("--model", "\udcff"), "no UTF-8 text"),
])
def test_new_refuses_what_a_plan_refuses_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                            words: tuple[str, ...], message: str) -> None:
    path = tmp_path / "own.toml"
    assert cli.main(["new", str(path), "--model", "m:build", "--data", "d:load", *words]) == EXIT_USAGE
    assert message in capsys.readouterr().err and not path.exists()


@pytest.mark.parametrize("words", [(), ("--offline",)])
def test_the_dry_run_looks_at_the_model_unless_offline(tmp_path: Path, words: tuple[str, ...],
                                                       monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: object) -> dict[str, object]:
        raise PlanError("the model ends in a softmax")

    monkeypatch.setattr(Describer, "describe", refuse)
    monkeypatch.chdir(tmp_path)
    code = cli.main(["plan", write(tmp_path), *words])
    shown = capsys.readouterr()
    if words:
        assert code == EXIT_OK and "--offline" in shown.out and "plan mine: 3 runs" in shown.out
    else:
        assert code == EXIT_USAGE and shown.out == ""
        assert shown.err.splitlines() == ["checking data and model", "batchscale plan: the model ends in a softmax"]
    assert sorted(os.listdir(tmp_path)) == ["mine.toml"]


def test_no_run_at_all_says_each_reason_once_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(checks, "strategies_available", lambda: dict.fromkeys(("single", "mirrored"), "no TensorFlow"))
    plan = tmp_path / write(tmp_path, ("seeds = 1", "seeds = 1\nstrategies = ['single', 'mirrored']"))
    for command in ("plan", "study"):
        assert cli.main([command, str(plan), "--results", str(tmp_path / "results")]) == EXIT_ENVIRONMENT
        message = capsys.readouterr().err
        assert message.count("no TensorFlow (single with 1 replica, mirrored with 1 replica)") == 1
        assert "batchscale doctor" in message and not (tmp_path / "results").exists()
