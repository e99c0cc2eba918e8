"""Who waits for another study on the machine, for whom, and who never waits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import known_workloads

from batchscale.benchmarks.errors import EXIT_INCOMPLETE
from batchscale.launchers import cli
from batchscale.launchers.local.machine_lock import holder, machine_to_itself, open_lock, VARIABLE

HOLD = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
PLAN = """
[plan]
name = "mine"
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = [32]
seeds = 1
"""


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the machine's lock until its input ends."""
    path = tmp_path / "lock"
    monkeypatch.setenv(VARIABLE, str(path))
    os.close(open_lock(path))
    words = [sys.executable, "-c", HOLD, str(path), "/bin/batchscale", "study", "theirs"]
    process = subprocess.Popen(words, cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.communicate("\n")


def test_who_waits_says_for_which_study_since_when_and_how_not(other: subprocess.Popen[str], tmp_path: Path) -> None:
    said: list[str] = []

    def heard(text: str) -> None:
        said.append(text)
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()

    with machine_to_itself(heard):
        pass
    sentence, = said
    assert "`batchscale study theirs` of " in sentence and f"(process {other.pid}) in {tmp_path}, since " in sentence
    assert "Not to wait" in sentence and f"{VARIABLE} (now {tmp_path / 'lock'})" in sentence


def test_a_holder_that_the_system_does_not_name_is_another_study(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with open(open_lock(tmp_path / "lock")) as lock:
        (tmp_path / "locks").write_text(f"1: FLOCK ADVISORY WRITE 0 00:1:{os.fstat(lock.fileno()).st_ino} 0 EOF\nx\n")
        for locks in (tmp_path / "locks", tmp_path / "absent"):
            assert holder(lock.fileno(), locks).startswith("another study is running on this machine")


def test_without_a_budget_and_in_a_dry_run_nothing_is_waited_for(other: subprocess.Popen[str], tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(PLAN)
    known_workloads.invent(tmp_path / "mine.toml", tmp_path / "results" / "mine")
    codes: list[int] = []
    commands = (["plan", "mine.toml"], ["run", "mine.toml", "--budget", "0s"])
    for command in commands:
        thread = threading.Thread(target=lambda: codes.append(cli.main(command)), daemon=True)
        if command[0] == "run":  # signals are for the main thread
            monkeypatch.setattr("signal.signal", lambda *_: None)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
    assert codes == [0, EXIT_INCOMPLETE] and other.poll() is None
