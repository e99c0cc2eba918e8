"""Stopped at any point, the same command finishes the plan: no record is replaced, none is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import known_workloads
from support.launching import batchscale, environment, wait_until

from batchscale.benchmarks.errors import EXIT_OK
from batchscale.benchmarks.records.store import open_store, Store

pytestmark = pytest.mark.launched

PLAN = """
[plan]
name = "long"
[defaults]
dataset = "digits"
model = "mlp_128"
[[experiment]]
name = "adam"
optimizer = "adam"
global_batches = [32, 64]
seeds = {seeds}
epochs = {epochs}
"""


def command(folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "log", "ab") as log:
        # Tests that were started in the background ignore Ctrl-C, and what they start would, too.
        return subprocess.Popen([sys.executable, "-m", "batchscale.launchers.cli", "run", "long.toml"], cwd=folder,
                                env=environment(), stdout=log, stderr=subprocess.STDOUT,
                                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def records(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in folder.glob("results/long/*/record.json")}


def ranks(folder: Path) -> list[psutil.Process]:
    """Rank processes at work on this folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if any("rank" in word for word in words) and process.info["cwd"] == str(folder):
            found.append(process)
    return found


def finish(folder: Path) -> Store:
    done = batchscale("run", "long.toml", cwd=folder, timeout=300)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    store = open_store(folder / "results")
    assert {run.status() for run in store.runs()} == {"completed"}
    return store


@pytest.mark.slow  # test_checkpoint.py stops a run amid its epochs
@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_stopped_amid_the_runs_the_same_command_goes_on(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "long.toml").write_text(PLAN.format(seeds=3, epochs=60))
    known_workloads.describe(tmp_path / "results" / "long")
    process = command(tmp_path)
    assert wait_until(lambda: len(records(tmp_path)) >= 2, 90), "two records before it is stopped"
    process.send_signal(number)
    assert process.wait(60) == code
    assert wait_until(lambda: not ranks(tmp_path), 40), "no rank is left behind"
    before = records(tmp_path)
    store = open_store(tmp_path / "results")
    assert len(before) < len(store.runs()), "it was stopped before the end"
    assert not {"failed", "invalid", "running"} & {run.status() for run in store.runs()}
    finish(tmp_path)
    after = records(tmp_path)
    assert {run_id: after[run_id] for run_id in before} == before


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again_at_random_points_it_still_finishes(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    (tmp_path / "long.toml").write_text(PLAN.format(seeds=5, epochs=5))
    seen: dict[str, bytes] = {}
    for _ in range(4):
        process = command(tmp_path)
        time.sleep(chance.uniform(0.2, 14))
        victims = [process.pid, *(p.pid for p in ranks(tmp_path))]
        os.kill(chance.choice(victims), chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        time.sleep(chance.uniform(0, 1))
        process.kill()
        process.wait(30)
        wait_until(lambda: not ranks(tmp_path), 40)
        now = records(tmp_path)
        assert {run_id: now[run_id] for run_id in seen} == seen
        seen = now
    # Attempts are counted: a run that was lost three times is failed until a retry is asked for.
    done = batchscale("run", "long.toml", "--retry", cwd=tmp_path, timeout=300)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert {run.status() for run in open_store(tmp_path / "results").runs()} == {"completed"}
    now = records(tmp_path)
    assert {run_id: now[run_id] for run_id in seen} == seen


@pytest.mark.faults
def test_a_rank_that_dies_costs_its_run_one_attempt_and_no_other_run_anything(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(PLAN.format(seeds=5, epochs=12))
    process = command(tmp_path)
    assert wait_until(lambda: len(records(tmp_path)) >= 2 and len(ranks(tmp_path)) > 0, 90)
    ranks(tmp_path)[0].kill()
    assert process.wait(200) == EXIT_OK, (tmp_path / "log").read_text()
    store = open_store(tmp_path / "results")
    assert {run.status() for run in store.runs()} == {"completed"}
    assert sum(len(run.attempts()) for run in store.runs()) <= len(store.runs()) + 1
