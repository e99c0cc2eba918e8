"""What `batchscale doctor --gpu` tells: the trial of this machine's GPUs as checks, and the file that can be sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ...benchmarks.records import environment
from .checks import Check
from .gpus import gpu_names

PROGRAM = "batchscale.benchmarks.rank.gpus.trial"
FILE = "batchscale-gpu.json"
PATIENCE_SECONDS = 1800  # kernels for a new kind of GPU are compiled at their first use, by the driver
NONE_HERE = "no NVIDIA GPU is on this machine, as its driver says: there is no card to try"


def tried() -> tuple[list[Check], dict[str, Any]]:
    """Return the checks, and all that was found; a machine without a GPU is one check that says so."""
    names = gpu_names()
    if not names:
        return [Check("GPUs", False, NONE_HERE)], {}
    done = subprocess.run([sys.executable, "-m", PROGRAM], capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                          env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2")})
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return [Check("trial", False, f"ended with code {done.returncode}: {reason[:300]}",
                      "batchscale doctor --deep")], {"error": done.stderr[-20_000:]}
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return checks_of(found, len(names)), {**found, "driver_shows": names, "environment": environment.collect()}


def checks_of(found: dict[str, Any], present: int) -> list[Check]:
    """Return the checks of what a trial found, beside so many GPUs that the driver shows."""
    seen = len(found["gpus"])
    checks = [Check("TensorFlow", seen == present,
                    f"{found['tensorflow']} for CUDA {found['cuda']} and cuDNN {found['cudnn']} sees {seen} of "
                    f"{present}",
                    "" if seen == present else "batchscale doctor --deep  (tells the reason)")]
    for one in found["tried"]:
        figure = f"; {one['figure']:,.3g} {one['unit']}" if one["unit"] else ""
        first = f"; {one['first_seconds']:.1f} s the first time" if one["first_seconds"] >= 0.1 else ""
        checks.append(Check(one["name"], one["right"], f"{one['found']}{figure}{first}"))
    return checks


def write(found: dict[str, Any], folder: Path) -> Path:
    """Write all that was found into the folder; returns the file."""
    path = folder / FILE
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path
