"""Starting measuring programs: a plain process, or ranks under horovodrun or mpirun."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import EnvironmentUnusable

PROGRAMS = "batchscale.benchmarks.micro.programs"
LIMIT_SECONDS = 900.0
QUIET_CORES = 0.1  # a loop of one thread loses more to other programs than `fit`, which has several


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def ask(program: str, request: Mapping[str, Any], limit_seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
    """Return the answer of one program in a process of its own. Raises EnvironmentUnusable with its last lines."""
    return _answer([sys.executable, "-m", f"{PROGRAMS}.{program}"], program, request, limit_seconds)


def ask_ranks(program: str, transport: str, ranks: int, request: Mapping[str, Any],
              limit_seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
    """Rank 0's answer; transport: mpi4py, gloo or mpi."""
    module = f"{PROGRAMS}.{program}"
    python = [sys.executable, *(["-m", "mpi4py"] if transport == "mpi4py" else []), "-m", module]
    return _answer([*_launcher(transport, ranks), *python], f"{program} over {transport}",
                   {**request, "transport": transport, "ranks": ranks}, limit_seconds)


def disturbance(answer: Mapping[str, Any], ranks: int = 1) -> str:
    """Return what to print when other programs ran meanwhile; empty on a quiet machine. Rank 0 counts its peers as
    others."""
    others = float(answer["others_busy_cores"]) - (ranks - 1)
    if others <= QUIET_CORES:
        return ""
    return (f"NOT TO BE RELIED ON: other programs kept {others:.1f} cores busy meanwhile (limit {QUIET_CORES}); close "
            "them and measure again.")


def absent(transport: str) -> str:
    """Return what this machine lacks for a transport, in a few words; empty when nothing."""
    package = "mpi4py" if transport == "mpi4py" else "horovod"
    return "" if importlib.util.find_spec(package) else f"{package} is not installed"


def _launcher(transport: str, ranks: int) -> list[str]:
    """Ranks bind themselves to cores. Open MPI refuses the root user unless told."""
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    if transport == "mpi4py":
        return ["mpirun", *root, "--oversubscribe", "--bind-to", "none", "-np", str(ranks)]
    words = ["horovodrun", "-np", str(ranks), f"--{transport}"]
    return [*words, "--mpi-args=" + " ".join([*root, "--oversubscribe"])] if transport == "mpi" else words


def _answer(words: Sequence[str], what: str, request: Mapping[str, Any], limit_seconds: float) -> dict[str, Any]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    variables = {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory(prefix="batchscale-micro-") as folder:
        answer = Path(folder, "answer.json")
        done = subprocess.run([*words, json.dumps(request), str(answer)], env=variables, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_seconds)
        if done.returncode or not answer.exists():
            raise EnvironmentUnusable(f"{what} ended with exit code {done.returncode}:\n{last_lines(done.stdout)}")
        found: dict[str, Any] = json.loads(answer.read_text())
        return found


def last_lines(output: str, count: int = 15) -> str:
    """Return the last `count` lines of a program's output."""
    return "\n".join(output.strip().splitlines()[-count:])
