"""A user's module whose ranks come to grief as `faults.json` in the working folder says, each fault once.

faults.json: seed of a run -> [phase, rank, action]. Phases: build, trace, window, evaluation, writing (rank 0 alone).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RANK = next((int(os.environ[name]) for name in ("OMPI_COMM_WORLD_RANK", "HOROVOD_RANK", "BATCHSCALE_RANK")
             if name in os.environ), 0)
IN_A_RANK = "batchscale-rank" in sys.argv[0]
FAULTS = json.loads(Path("faults.json").read_text()) if Path("faults.json").exists() else {}


def make() -> Any:
    """Eight classes of noisy points: an epoch takes a moment, and learning works."""
    chance = np.random.default_rng(0)
    y = np.arange(6144) % 8
    x = chance.normal(size=(8, 32))[y] + chance.normal(size=(6144, 32))
    return (x[:4096].astype(np.float32), y[:4096]), (x[4096:].astype(np.float32), y[4096:])


def hog() -> None:
    held: list[Any] = []
    while True:
        held.append(np.ones(2**23))


def fill(path: Path) -> None:
    """Take all the space there is."""
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


ACTIONS: dict[str, Callable[[], object]] = {
    "kill": send(signal.SIGKILL), "halt": send(signal.SIGSTOP), "ask": send(signal.SIGTERM), "hog": hog,
    "fill": lambda: fill(Path("filler")), "sleep": lambda: time.sleep(3600),
    "stick": lambda: re.match("(a+)+$", "a" * 60 + "b")}


def strike(phase: str, seed: int) -> None:
    wanted = FAULTS.get(str(seed))
    if not wanted or wanted[:2] != [phase, RANK] or Path(f"struck-{seed}").exists():
        return
    Path(f"struck-{seed}").touch()
    print(f"striking: {phase} {wanted[2]}", file=sys.stderr, flush=True)
    if wanted[2] == "raise":
        raise RuntimeError(f"rank {RANK} raised in {phase}\nand a second line")
    ACTIONS[wanted[2]]()


def before(owner: Any, name: str, phase: str, seed_of: Callable[..., int]) -> None:
    original = getattr(owner, name)

    def changed(self: Any, *given: Any, **more: Any) -> Any:
        strike(phase, seed_of(self, *given))
        return original(self, *given, **more)
    setattr(owner, name, changed)


def install() -> None:
    from batchscale.benchmarks.rank.execution import Execution
    from batchscale.benchmarks.rank.training.program import Program
    from batchscale.benchmarks.records.run_folder import Run
    before(Program, "reset", "build", lambda self, seed: seed)
    before(Execution, "trace", "trace", lambda self, *_: self.config.seed)
    before(Execution, "evaluate", "evaluation", lambda self, *_: self.config.seed)
    train, finish, link = Execution.advance, Run.finish, os.link

    def advance(self: Any, segment: Any, rates: Any) -> float:
        if segment.stop - segment.start > 20:  # amid the steps, from a thread beside them
            threading.Timer(0.02, strike, ("window", self.config.seed)).start()
        return float(train(self, segment, rates))

    def finishing(self: Run, attempt: Path, record: dict[str, Any]) -> None:
        def linking(*given: Any) -> None:
            strike("writing", self.config.seed)
            link(*given)
        setattr(os, "link", linking)
        try:
            finish(self, attempt, record)
        finally:
            setattr(os, "link", link)
    setattr(Execution, "advance", advance)
    setattr(Run, "finish", finishing)


if IN_A_RANK:
    install()
