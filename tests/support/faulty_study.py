"""A study whose ranks come to grief where a test says: its plan, its command, and what became of its runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.launching import PROGRAMS, batchscale
from soak.reliability_sweep import Sweep, wait

from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import Store

PLAN = """
[plan]
name = "sweep"
drift_guard = false
watchdog_seconds = {watchdog_seconds}
[[experiment]]
name = "faulty"
dataset = "faulty:make"
model = "mlp_128"
optimizer = "adam"
strategies = ["{strategy}"]
replicas = [{replicas}]
global_batches = [32]
seeds = {seeds}
epochs = {epochs}
"""
Fault = tuple[str, int, str]
"""Phase, rank and action; see programs/faulty.py."""


class Study(Sweep):
    """`faults`: by the seed of the run that they hit."""

    def __init__(self, folder: Path, faults: Mapping[int, Fault], strategy: str = "single", seeds: int = 2,
                 epochs: int = 2, watchdog_seconds: float = 600.0, more: str = "") -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROGRAMS / "faulty.py", folder)
        (folder / "faults.json").write_text(json.dumps(faults))
        (folder / "sweep.toml").write_text(PLAN.format(strategy=strategy, replicas=1 if strategy == "single" else 2,
                                                       seeds=seeds, epochs=epochs,
                                                       watchdog_seconds=watchdog_seconds) + more)

    def run(self, *words: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        done = batchscale("run", "sweep.toml", *words, cwd=self.folder, timeout=timeout)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def status(self) -> subprocess.CompletedProcess[str]:
        return batchscale("status", "results", cwd=self.folder)

    def of_seed(self, seed: int, store: Store | None = None) -> Run:
        return next(run for run in (store or self.store).runs() if run.config.seed == seed)

    def struck(self, seed: int) -> bool:
        return (self.folder / f"struck-{seed}").exists()

    def logs(self) -> str:
        """All that ranks have written."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.store.folder.rglob("logs/**/*"))
                       if path.is_file())

    def nobody_left(self, seconds: float = 60.0) -> bool:
        return wait(lambda: not self.processes(), seconds)
