"""A Keras script in, a report out: on one process and on two ranks of Horovod."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.launching import batchscale, require_strategy

from batchscale.benchmarks.records.store import open_store

pytestmark = [pytest.mark.launched, pytest.mark.slow]
SCRIPT = Path(__file__).parents[1] / "support" / "scripts" / "one_output.py"
WORDS = ("one_output.py", "--batches", "8,16", "--rules", "constant,linear", "--seeds", "2", "--epochs", "2",
         "--strategies", "single,horovod", "--replicas", "1,2", "--arg=RMSprop", "--arg=rho=0.8")


def test_a_script_is_studied_as_it_is_and_the_command_that_status_prints_goes_on(tmp_path: Path) -> None:
    require_strategy("horovod-mpi")
    shutil.copy(SCRIPT, tmp_path)
    first = batchscale("study", *WORDS, "--budget", "0s", cwd=tmp_path)
    assert "one_output.py gives to fit: 157 examples and 40 to test by, 1 epoch at batch 8, keras:RMSprop rho=0.8 at " \
           "0.015625, sparse_categorical_crossentropy, accuracy" in first.stdout, first.stderr
    told = batchscale("status", "results/one_output", cwd=tmp_path).stdout
    command = next(line for line in told.splitlines() if line.startswith("to go on: ")).removeprefix("to go on: ")
    assert command == f"batchscale run {' '.join(WORDS)} --results results"
    done = batchscale("study", *WORDS, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results" / "one_output" / "report" / "index.html").exists()
    store = open_store(tmp_path / "results" / "one_output")
    accuracy = [record for record in store.records() if record["config"]["kind"] == "accuracy"]
    configs = [record["config"] for record in accuracy]
    assert {(one["strategy"], one["replicas"], one["global_batch"]) for one in configs} == {
        (strategy, count, batch) for strategy, count in (("single", 1), ("horovod", 1), ("horovod", 2))
        for batch in (8, 16)}
    assert all(any("shuffle=False" in warning for warning in one["warnings"]) for one in accuracy)
