"""A run that is cut off goes on from its last checkpoint along the same trajectory; a broken one is not believed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import known_workloads
from support.launching import batchscale, environment, require_strategy, wait_until

from batchscale.benchmarks.errors import EXIT_OK
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import open_store

pytestmark = pytest.mark.launched
PLAN = """
[plan]
name = "long"
checkpoint_seconds = {seconds}
drift_guard = false
[defaults]
dataset = "digits"
model = "cnn_small"
optimizer = "momentum"
global_batches = [128]
seeds = 1
epochs = 30
[[experiment]]
name = "spread"
strategies = ["{strategy}"]
replicas = [{replicas}]
"""


def write(folder: Path, strategy: str, replicas: int, seconds: float) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "long.toml").write_text(PLAN.format(strategy=strategy, replicas=replicas, seconds=seconds))
    known_workloads.describe(folder / "results" / "long")
    return folder


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "batchscale.launchers.cli", "run", "long.toml"], cwd=folder,
                            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def only_run(folder: Path) -> Run:
    return open_store(folder / "results").runs()[0]


def finish(folder: Path) -> dict[str, Any]:
    done = batchscale("run", "long.toml", cwd=folder, timeout=300)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    record = only_run(folder).record()
    assert record
    return record


def interrupted(folder: Path, number: int) -> Path:
    """Stop the run in its midst. The folder of its attempt."""
    process = start(folder)
    attempt = "results/long/*/attempt-01"
    steps = f"{attempt}/steps.jsonl"
    kept = f"{attempt}/checkpoint.json" if number == signal.SIGKILL else steps
    assert wait_until(lambda: any(len(p.read_text().splitlines()) > 12 for p in folder.glob(steps))
                      and list(folder.glob(kept)), 120)
    process.send_signal(number)
    assert process.wait(60) == {signal.SIGTERM: 143, signal.SIGKILL: -9}[signal.Signals(number)]
    assert wait_until(lambda: only_run(folder).status() != "running", 60)
    return next(folder.glob(attempt))


def trajectory(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "train_seconds": None} for row in record["evaluations"]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return finish(write(tmp_path_factory.mktemp("undisturbed"), "single", 1, 600))


@pytest.mark.parametrize(("number", "seconds"), [
    (signal.SIGTERM, 600), pytest.param(signal.SIGKILL, 0, marks=pytest.mark.slow)])  # test_interruption.py kills one
def test_a_stopped_or_killed_run_goes_on_from_where_it_was(tmp_path: Path, undisturbed: dict[str, Any], number: int,
                                                           seconds: float) -> None:
    attempt = interrupted(write(tmp_path, "single", 1, seconds), number)
    reached = json.loads((attempt / "checkpoint.json").read_text())
    record = finish(tmp_path)
    assert trajectory(record) == trajectory(undisturbed)
    assert record["resumed"] == [{"attempt": "attempt-01", "phase": 0, "step": reached["step"]}]
    assert 0 < reached["step"] < record["derived"]["steps"] == sum(w["steps"] for w in record["windows"])
    assert record["evaluations"][-1]["train_seconds"] > reached["train_seconds"]
    assert not list(only_run(tmp_path).folder.glob("*/checkpoint*")), "nothing needs them any more"


@pytest.mark.slow  # rank/test_checkpoint.py damages states without a run
@pytest.mark.parametrize("damage", ["arrays", "state", "shapes"])
def test_a_checkpoint_that_is_not_whole_or_does_not_fit_is_not_believed(tmp_path: Path, undisturbed: dict[str, Any],
                                                                        damage: str) -> None:
    attempt = interrupted(write(tmp_path, "single", 1, 0), signal.SIGTERM)
    if damage == "arrays":
        data = bytearray((attempt / "checkpoint.npz").read_bytes())
        data[len(data) // 2] ^= 1
        (attempt / "checkpoint.npz").write_bytes(data)
    elif damage == "state":
        text = (attempt / "checkpoint.json").read_text()
        (attempt / "checkpoint.json").write_text(text[:len(text) // 2])
    else:
        import numpy as np

        from batchscale.benchmarks.rank.checkpoint import sha256
        np.savez(attempt / "checkpoint.npz", np.zeros(3))
        told = json.loads((attempt / "checkpoint.json").read_text())
        (attempt / "checkpoint.json").write_text(json.dumps({**told, "sha256": sha256(attempt / "checkpoint.npz")}))
    record = finish(tmp_path)
    assert record["resumed"] == [] and trajectory(record) == trajectory(undisturbed)


@pytest.mark.slow  # on every strategy equal_weights goes on from a checkpoint bit for bit
@pytest.mark.parametrize("strategy", ["mirrored", "multiworker", "horovod-gloo"])
def test_replicas_go_on_together(tmp_path: Path, strategy: str) -> None:
    require_strategy(strategy)
    whole = finish(write(tmp_path / "whole", strategy, 2, 600))
    interrupted(write(tmp_path / "cut", strategy, 2, 0), signal.SIGTERM)
    record = finish(tmp_path / "cut")
    assert record["resumed"] and trajectory(record) == trajectory(whole)
    assert record["agreement"]["equal_at_evaluations"] == len(record["evaluations"])
    shutil.rmtree(tmp_path)
