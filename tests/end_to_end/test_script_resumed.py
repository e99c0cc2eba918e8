"""A run of a script that is killed goes on with its callbacks as they were: it stops, restores and lowers its rate as
one that was never killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.launching import environment, require_strategy, wait_until

from batchscale.benchmarks.records.store import open_store
from batchscale.launchers.local.worker import is_rank

pytestmark = [pytest.mark.launched, pytest.mark.slow]
SCRIPT = Path(__file__).parents[1] / "support" / "scripts" / "plateaus.py"
SEEN = 12  # epochs before the ranks are killed: the best one is behind them, and rates were lowered
PLAN = """
[plan]
name = "plateaus"
checkpoint_seconds = {seconds}
drift_guard = false
[defaults]
seeds = 1
[[experiment]]
name = "plateaus"
script = "plateaus.py"
global_batches = [8]
strategies = ["{strategy}"]
replicas = [{replicas}]
"""


def record(folder: Path, strategy: str, killed: bool) -> dict[str, Any]:
    """The record of the run, whose ranks are killed once in its midst; its launcher starts them again."""
    folder.mkdir()
    shutil.copy(SCRIPT, folder)
    (folder / "plan.toml").write_text(PLAN.format(strategy=strategy, replicas=1 if strategy == "single" else 2,
                                                  seconds=0 if killed else 600))
    with subprocess.Popen([sys.executable, "-m", "batchscale.launchers.cli", "run", "plan.toml"], cwd=folder,
                          env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as launcher:
        if killed:
            attempt = "results/plateaus/*/attempt-01"
            assert wait_until(lambda: any(len(path.read_text().splitlines()) > SEEN
                                          for path in folder.glob(f"{attempt}/steps.jsonl"))
                              and list(folder.glob(f"{attempt}/checkpoint.json")), 800)
            for process in psutil.Process(launcher.pid).children(recursive=True):
                if is_rank(process):
                    process.kill()
        assert launcher.wait(900) == 0
    found = open_store(folder / "results").runs()[0].record()
    assert found
    return found


@pytest.mark.parametrize("strategy", ["single", "horovod"])
def test_a_killed_run_ends_as_one_that_was_never_killed(tmp_path: Path, strategy: str) -> None:
    if strategy == "horovod":
        require_strategy("horovod-mpi")
    whole, cut = (record(tmp_path / name, strategy, name == "cut") for name in ("whole", "cut"))
    assert cut["resumed"] and not whole["resumed"]
    trajectories = [[{**row, "train_seconds": None} for row in one["evaluations"]] for one in (whole, cut)]
    assert trajectories[0] == trajectories[1]
    said = [sentence for sentence in whole["warnings"] if sentence.startswith(("EarlyStopping", "ReduceLROnPlateau"))]
    assert [sentence for sentence in cut["warnings"] if sentence in said] == said
    assert sum(sentence.startswith("ReduceLROnPlateau") for sentence in said) > 3
    assert any(sentence.startswith("EarlyStopping restored") for sentence in said)
