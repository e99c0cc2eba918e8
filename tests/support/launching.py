"""What tests share to start programs: environments, the command line, and rank groups that are launched once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from batchscale.launchers.machine import checks

PROGRAMS = Path(__file__).parent / "programs"


def environment(**more: str) -> dict[str, str]:
    """A child's environment: this Python's programs first, the tests' own tree importable, quiet TensorFlow."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if "PYTHONPATH" in more:  # besides it the tests' own, by which starts are counted
        more["PYTHONPATH"] = os.pathsep.join([more["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def batchscale(*words: str, cwd: Path, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it, from `cwd`."""
    return subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", *words], cwd=cwd, timeout=timeout,
                          capture_output=True, text=True, env=environment(**more))


def require_strategy(name: str) -> None:
    """Skip, with the reason, where this machine cannot start the strategy."""
    if reason := checks.strategies_available()[name]:
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
        return [sys.executable, "-m", "batchscale.launchers.local.rank_group", "-np", str(ranks), *words]
    root = "--allow-run-as-root " if os.geteuid() == 0 else ""
    if strategy == "horovod-mpi":
        return ["horovodrun", "-np", str(ranks), "--mpi", f"--mpi-args={root}--oversubscribe", *words]
    return ["horovodrun", "-np", str(ranks), "--gloo", *words] if strategy == "horovod-gloo" else words


def wait_until(condition: object, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False
