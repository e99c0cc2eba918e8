"""The recorder beside a fit: what it writes is read, and nothing that it meets stops a training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import batchscale
import pytest
from support.launching import environment, PROGRAMS, wait_until

from batchscale.benchmarks.errors import BatchscaleError
from batchscale.launchers.cli import main

pytestmark = pytest.mark.launched
STEPS = 2 * 18  # two epochs of 576 examples at batch 32
PROGRAM = [sys.executable, str(PROGRAMS / "recorded_fits.py")]
# A name space of mounts in which two folders are file systems of their own; of one page, which is taken.
MOUNTED = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", """
    mount -t tmpfs -o size=4k none "$0/full"; head -c 4096 /dev/zero >"$0/full/taken"
    mount -t tmpfs -o ro none "$0/read_only"; exec "$@" """]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded")


def mounted(folder: Path) -> list[str]:
    """The command before another one by which it sees file systems that are full and read-only; none, and no folders
    for them, where this machine does not let one mount."""
    places = [folder / "full", folder / "read_only"]
    for place in places:
        place.mkdir()
    if not subprocess.run([*MOUNTED, str(folder), "true"], capture_output=True).returncode:
        return [*MOUNTED, str(folder)]
    for place in places:
        place.rmdir()
    return []


@pytest.fixture(scope="module")
def fits(folder: Path) -> dict[str, Any]:
    around = mounted(folder)
    done = subprocess.run([*around, *PROGRAM, str(folder)], capture_output=True, text=True, env=environment(),
                          timeout=240)
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


@pytest.mark.parametrize(("way", "said"), [
    ("no_folder", "NotADirectoryError"), ("fills_up", "No space left"), ("full", "No space left"),
    ("read_only", "Read-only file system")])
def test_what_cannot_be_written_is_warned_of_once_and_the_training_goes_on(fits: dict[str, Any], way: str,
                                                                           said: str) -> None:
    if way not in fits:
        pytest.skip("this machine lets nobody mount a file system that is full or read-only")
    (warning,) = fits[way]["warnings"]
    assert "the training goes on" in warning and said in warning
    assert (fits[way]["steps"], fits[way]["epochs"]) == (STEPS, 2) and fits[way]["loss"] == fits["good"]["loss"]


@pytest.mark.parametrize(("words", "said"), [
    ({"name": "a/b"}, "names the results folder"), ({"window_seconds": 0.0}, "must be 0.01 or more"),
    ({"batch": 3}, "column|known"), ({"seed": "x"}, "seed='x' must be a whole number")])
def test_what_cannot_be_recorded_is_refused_before_the_training(words: dict[str, Any], said: str) -> None:
    with pytest.raises(BatchscaleError, match=said):
        batchscale.Recorder(**words)


@pytest.mark.slow
def test_of_a_process_that_was_killed_what_it_wrote_is_read(tmp_path: Path) -> None:
    with subprocess.Popen([*PROGRAM, str(tmp_path), "endless"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env=environment()) as training:
        written = wait_until(lambda: any('"epoch": 3' in path.read_text() for path in tmp_path.rglob("*.jsonl")), 120)
        training.kill()
    assert written
    assert main(["import", str(tmp_path / "killed" / "recordings"), "--to", str(tmp_path / "again")]) == 0
    runs = batchscale.load(tmp_path / "again").runs.set_index("kind")
    assert runs.loc["training", "last_step"] >= STEPS and runs.loc["throughput", "examples_per_second"] > 0
    assert all("its process was killed" in flags for flags in runs["flags"])


def test_letting_others_read_takes_a_small_share_of_a_long_training(fits: dict[str, Any]) -> None:
    times, end = fits["publications"]
    assert 60 < times[0] <= 90 and 5 <= len(times) and 5.0 * len(times) < end / 100
