"""The recorder beside a fit: what it writes is read, and nothing that it meets stops a training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import batchscale
import pytest
from support.launching import environment, PROGRAMS

from batchscale.benchmarks.errors import BatchscaleError

pytestmark = pytest.mark.launched
STEPS = 2 * 18  # two epochs of 576 examples at batch 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture(scope="module")
def fits(folder: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(PROGRAMS / "recorded_fits.py"), str(folder)], capture_output=True,
                          text=True, env=environment(), timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_fit_becomes_runs_with_the_settings_that_it_tells(fits: dict[str, Any], folder: Path) -> None:
    assert fits["good"]["warnings"] == []
    runs = batchscale.load(folder / "good").runs.set_index("kind")
    assert set(runs.index) == {"training", "throughput", "memory"}
    run = runs.loc["training"]
    told = {"model": "small", "optimizer": "SGD", "loss": "mse", "strategy": "single", "global_batch": 32,
            "train_examples": 576, "epochs": 2, "rule": "constant", "seed": 3, "parameters": 27, "last_step": STEPS}
    assert {name: run[name] for name in told} == told
    assert run["train_loss"] == pytest.approx(fits["good"]["loss"]) and run["flags"] == ""
    assert 0.1 * 0.9 ** 4 < run["peak_learning_rate"] < 0.1  # of a schedule, at the end of the first epoch
    assert runs.loc["throughput", "examples_per_second"] > 0 and runs.loc["memory", "peak_bytes"] > 10**8


@pytest.mark.parametrize(("way", "said"), [("no_folder", "NotADirectoryError"), ("full_disk", "No space left")])
def test_what_cannot_be_written_is_warned_of_once_and_the_training_goes_on(fits: dict[str, Any], way: str,
                                                                           said: str) -> None:
    (warning,) = fits[way]["warnings"]
    assert "the training goes on" in warning and said in warning
    assert (fits[way]["steps"], fits[way]["epochs"]) == (STEPS, 2) and fits[way]["loss"] == fits["good"]["loss"]


@pytest.mark.parametrize(("words", "said"), [
    ({"name": "a/b"}, "names the results folder"), ({"window_seconds": 0.0}, "must be 0.01 or more"),
    ({"batch": 3}, "column|known"), ({"seed": "x"}, "seed='x' must be a whole number")])
def test_what_cannot_be_recorded_is_refused_before_the_training(words: dict[str, Any], said: str) -> None:
    with pytest.raises(BatchscaleError, match=said):
        batchscale.Recorder(**words)
