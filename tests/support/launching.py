"""What tests share to start programs: environments, the command line, and the commands that start a rank group."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchscale.benchmarks.config.strategies import has_process_per_replica, STRATEGIES
from batchscale.launchers.local.rank_commands import WITHOUT_FABRIC
from batchscale.launchers.machine import checks

PROGRAMS = Path(__file__).parent / "programs"


def environment(**more: str) -> dict[str, str]:
    """A child's environment: this Python's programs first, the tests' own tree importable, quiet TensorFlow."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if "PYTHONPATH" in more:  # besides it the tests' own, by which starts are counted
        more["PYTHONPATH"] = os.pathsep.join([more["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "OMPI_MCA_btl": WITHOUT_FABRIC, **more}


def batchscale(*words: str, cwd: Path, timeout: float = 240, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line as a user calls it, from `cwd`."""
    return subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", *words], cwd=cwd, timeout=timeout,
                          capture_output=True, text=True, env=environment(**more))


def require_strategy(name: str) -> None:
    """Skip, with the reason, where this machine cannot start the strategy."""
    if reason := checks.strategies_available()[name]:
        pytest.skip(f"{name}: {reason}")


def ranks_of_two_replicas(strategy: str) -> int:
    """How many processes train two replicas by a strategy, its transport behind it."""
    return 2 if has_process_per_replica(strategy.partition("-")[0]) else 1


def rank_words(strategy: str, ranks: int, words: list[str]) -> list[str]:
    """The command that starts `words` as a rank group, or plainly."""
    name, _, transport = strategy.partition("-")
    if STRATEGIES[name].start == "process":
        return words
    if STRATEGIES[name].start == "cluster":
        return [sys.executable, "-m", "batchscale.launchers.local.rank_group", "-np", str(ranks), *words]
    root = "--allow-run-as-root " if os.geteuid() == 0 else ""
    if transport == "mpi":
        return ["horovodrun", "-np", str(ranks), "--mpi", f"--mpi-args={root}--oversubscribe", *words]
    return ["horovodrun", "-np", str(ranks), "--gloo", *words]


def wait_until(condition: object, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False
