"""Programs that run beside pretended GPUs: TensorFlow's GPU package over a driver that is a stand-in.

`make test-gpu-pretended` installs that package and builds the driver; BATCHSCALE_PRETENDED names their folder, without
which the tests skip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from support.launching import environment, PROGRAMS

VARIABLE = "BATCHSCALE_PRETENDED"
NOTHING: Mapping[str, str] = MappingProxyType({})
SITE, LIBRARIES = "site", "driver"  # below that folder


def pretended_environment(gpus: int, libraries: Path | None = None, **more: str) -> dict[str, str]:
    """The environment of a process that sees so many pretended GPUs; skips the test where there are none to be had."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip("make test-gpu-pretended brings TensorFlow's GPU package, and a driver that is a stand-in")
    own = libraries or Path(folder, LIBRARIES)
    found = environment(PYTHONPATH=str(Path(folder, SITE)), PRETENDED_GPUS=str(gpus), LD_LIBRARY_PATH=str(own), **more)
    return {**found, "PATH": f"{own}{os.pathsep}{found['PATH']}"}


def run_beside(gpus: int, words: list[str], cwd: Path, more: Mapping[str, str] = NOTHING, timeout: float = 900,
               libraries: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with these words beside so many pretended GPUs; `more`: of its environment."""
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, timeout=timeout,
                          env=pretended_environment(gpus, libraries, **more))


def answer_of(gpus: int, program: str, cwd: Path, *arguments: str) -> Any:
    """What a program of tests/support/programs prints last, as JSON."""
    done = run_beside(gpus, [str(PROGRAMS / f"{program}.py"), *arguments], cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
