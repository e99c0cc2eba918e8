"""Programs that need neither ranks nor a process of their own share one, which imports TensorFlow once a session."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from functools import lru_cache
from typing import Any

from support.launching import PROGRAMS, environment

PATIENCE_SECONDS = 300


@lru_cache
def process() -> subprocess.Popen[str]:
    started = subprocess.Popen([sys.executable, str(PROGRAMS / "one_after_another.py")], cwd=PROGRAMS, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=environment())
    atexit.register(started.kill)
    return started


@lru_cache
def found_by(program: str) -> dict[str, Any]:
    """The JSON object that the program prints, which runs once."""
    shared = process()
    assert shared.stdin and shared.stdout
    late = threading.Timer(PATIENCE_SECONDS, shared.kill)
    late.start()
    try:
        shared.stdin.write(f"{program}\n")
        shared.stdin.flush()
        answer = shared.stdout.readline()
    finally:
        late.cancel()
    assert answer, f"{program}: the process of the programs ended, or took more than {PATIENCE_SECONDS} s"
    told = json.loads(answer)
    assert "error" not in told, told["error"][-3000:]
    return dict(json.loads(told["last_line"]))
