"""One sweep on two ranks for `reliability`: its folder, its command and the processes that belong to it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from support.launching import environment

from batchscale.benchmarks.records.store import Store

PLAN = """
[plan]
name = "sweep"
drift_guard = false
watchdog_seconds = 15
[[experiment]]
name = "two_ranks"
dataset = "digits"
model = "mlp_128"
optimizer = "adam"
strategies = ["{strategy}"]
replicas = [2]
global_batches = [32, 64]
noise_batches = [8]
seeds = {seeds}
epochs = {epochs}
"""


@dataclass
class Sweep:
    """One results folder and the command that fills it."""

    folder: Path
    seen: dict[str, bytes] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.folder / "results" / "sweep")

    def start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "batchscale.launchers.cli", "run", "sweep.toml", "--retry"]
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, env=environment(),
                                    start_new_session=True)

    def processes(self) -> list[psutil.Process]:
        """Everything at work in this folder."""
        found = []
        for process in psutil.process_iter(["cwd", "status"]):
            if process.info["cwd"] == str(self.folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def changed(self) -> list[str]:
        """Records that were there before and are not the same now."""
        now = {path.parent.name: path.read_bytes() for path in self.store.folder.glob("*/record.json")}
        wrong = [f"{self.folder.name}: the record of {name} was changed" for name, content in self.seen.items()
                 if now.get(name) != content]
        self.seen = now
        return wrong

    def working(self) -> bool:
        """Whether an attempt is under way."""
        runs = self.store.runs() if self.planned() else []
        return any(run.status() == "running" for run in runs if not run.record_path.exists() and run.attempts())

    def planned(self) -> bool:
        return (self.store.folder / "plan.json").exists()

    def finished(self) -> bool:
        return self.planned() and all((run.folder / "record.json").exists() for run in self.store.runs())


def new_sweep(folder: Path, plan: str) -> Sweep:
    folder.mkdir(parents=True)
    (folder / "sweep.toml").write_text(plan)
    return Sweep(folder)


def role(process: psutil.Process, launcher: int) -> str:
    """launcher, rank, starter (horovodrun or mpirun), or "" for anything else, such as describing the workloads."""
    if process.pid == launcher:
        return "launcher"
    try:
        words = [Path(word).name for word in process.cmdline()[:3]]
    except psutil.Error:
        return ""
    if "batchscale-rank" in words[:2] or "batchscale.benchmarks.rank.worker" in words:
        return "rank"
    return "starter" if {"mpirun", "orterun", "horovodrun"} & set(words[:2]) else ""


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
