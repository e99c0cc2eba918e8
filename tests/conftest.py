"""What tests share: configurations, plans, results folders, and rank groups that are launched once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks.config import RunConfig
from batchscale.launchers import doctor

LOCKS = tempfile.TemporaryDirectory()  # a study that runs on this machine does not hold up the tests
os.environ["BATCHSCALE_LOCK"] = f"{LOCKS.name}/lock"
PROGRAMS = Path(__file__).parent / "programs"
CONFIG: dict[str, Any] = {
    "experiment": "sgd", "kind": "accuracy", "dataset": "digits", "model": "mlp_128", "optimizer": "sgd",
    "global_batch": 128, "train_examples": 1146, "seed": 0, "epochs": 2}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order-seed", type=int, metavar="SEED", help="files and the tests of each in a random order")


def pytest_report_header(config: pytest.Config) -> str:
    seed = config.getoption("--order-seed")
    return "" if seed is None else f"order: random, --order-seed {seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file's tests stay together, since they share what is made once for the file."""
    if (seed := config.getoption("--order-seed")) is None:
        return
    chance = random.Random(seed)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    groups = list(files.values())
    for group in groups:
        chance.shuffle(group)
    chance.shuffle(groups)
    items[:] = [item for group in groups for item in group]


@pytest.fixture
def config() -> Callable[..., RunConfig]:
    """A small valid configuration, with changes."""
    return lambda **changes: RunConfig(**{**CONFIG, **changes})


def environment(**more: str) -> dict[str, str]:
    """A child's environment: this Python's programs first, the tests' own tree importable, quiet TensorFlow."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def batchscale(*words: str, cwd: Path, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it, from `cwd`."""
    return subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", *words], cwd=cwd, timeout=timeout,
                          capture_output=True, text=True, env=environment(**more))


def require_strategy(name: str) -> None:
    """Skip, with the reason, where this machine cannot start the strategy."""
    if reason := doctor.strategies_available()[name]:
        pytest.skip(f"{name}: {reason}")


def launched_once(folders: pytest.TempPathFactory, program: str, *more: str,
                  timeout: float = 480) -> Callable[[str], Path]:
    """strategy -> folder, named as it, that PROGRAM STRATEGY FOLDER MORE... wrote on two replicas. Each strategy is
    launched once, also when it fails."""
    @lru_cache
    def launch(strategy: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        folder = folders.mktemp("launched") / strategy
        folder.mkdir()
        words = rank_words(strategy, 2, [sys.executable, str(PROGRAMS / program), strategy, str(folder), *more])
        return folder, subprocess.run(words, capture_output=True, text=True, timeout=timeout, env=environment())

    def folder_of(strategy: str) -> Path:
        require_strategy(strategy)
        folder, done = launch(strategy)
        assert done.returncode == 0, done.stderr[-3000:]
        return folder
    return folder_of


def rank_words(strategy: str, ranks: int, words: list[str]) -> list[str]:
    """The command that starts `words` as a rank group, or plainly."""
    if strategy == "multiworker":
        return [sys.executable, "-m", "batchscale.launchers.group", "-np", str(ranks), *words]
    root = "--allow-run-as-root " if os.geteuid() == 0 else ""
    if strategy == "horovod-mpi":
        return ["horovodrun", "-np", str(ranks), "--mpi", f"--mpi-args={root}--oversubscribe", *words]
    return ["horovodrun", "-np", str(ranks), "--gloo", *words] if strategy == "horovod-gloo" else words
