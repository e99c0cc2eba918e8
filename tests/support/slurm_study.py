"""A plan submitted to a real Slurm cluster, and what can be done to its jobs and ranks."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest

from batchscale.benchmarks.records.json_files import read_json
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import Store
from batchscale.slurm import local_cluster
from support.launching import batchscale, require_strategy

HEADER = """
[plan]
name = "cluster"
drift_guard = false
[defaults]
dataset = "digits"
model = "mlp_128"
seeds = 1
global_batches = [64]
"""
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
SITE = 'partition = "debug"\ntime = "00:20:00"\nsignal_seconds = 60\nconcurrency = 1\nlauncher = "auto"\n'


NOTHING: Mapping[str, str] = MappingProxyType({})


@contextmanager
def running_cluster(folder: Path) -> Iterator[Path]:
    """The cluster on this machine, found by Slurm's commands by SLURM_CONF; skips the test where there can be none."""
    if reason := local_cluster.missing():
        pytest.skip(f"no Slurm here: {reason}")
    for strategy in ("horovod-gloo", "horovod-mpi"):
        require_strategy(strategy)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(local_cluster.start(folder / "cluster"))
    try:
        yield folder
    finally:
        local_cluster.stop(folder / "cluster")
        os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)


def plan(experiment: str) -> str:
    return f'{HEADER}[[experiment]]\nname = "runs"\n{experiment}\n'


class Study:
    """A plan that was submitted from `folder`. `variables`: of the environment, which jobs take over."""

    def __init__(self, folder: Path, text: str, site: str = SITE, report: bool = False,
                 variables: Mapping[str, str] = NOTHING) -> None:
        self.folder, self.variables = folder, variables
        self.store.folder.mkdir(parents=True, exist_ok=True)
        for described in folder.parent.glob("*/results/cluster/workloads.json"):  # once is enough for all
            shutil.copy(described, self.store.folder) if described.parent != self.store.folder else None
        (folder / "plan.toml").write_text(text)
        (folder / "site.toml").write_text(site)
        self.submitted = self.run()
        if not report and list(self.store.folder.glob("slurm/*/jobs.json")):
            slurm("scancel", self.jobs[-1])

    def run(self) -> subprocess.CompletedProcess[str]:
        return batchscale("run", "plan.toml", "--on", "slurm", "--site", "site.toml", cwd=self.folder,
                          timeout=240, **self.variables)

    @property
    def store(self) -> Store:
        return Store(self.folder / "results" / "cluster")

    @property
    def jobs(self) -> list[str]:
        """Job ids of the last submission; the report's is the last."""
        last = sorted(self.store.folder.glob("slurm/submission-*/jobs.json"))[-1]
        return [job["id"] for job in read_json(last)["jobs"]]

    def statuses(self) -> list[str]:
        return [run.status() for run in self.store.runs()]

    def until(self, what: Callable[[], object], seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"{self.statuses()}\n{self.said()}\n{slurm('squeue', '--states=all')}"
            time.sleep(0.4)

    def until_ended(self, seconds: float = 240.0) -> None:
        """All jobs, the report too, have come to an end."""
        def ended() -> bool:
            states = slurm("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={','.join(self.jobs)}")
            return bool(states) and set(states.split()) <= set(ENDED)
        self.until(ended, seconds)

    def said(self) -> str:
        return "".join(path.read_text() for path in sorted(self.store.folder.glob("slurm/*/logs/*.out")))

    def status(self) -> str:
        return batchscale("status", "results/cluster", cwd=self.folder).stdout


def slurm(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.strip()


def first_failure(run: Run) -> dict[str, Any]:
    return dict(read_json(run.folder / "attempt-01" / "failure.json") or {})


def begun(run: Run, attempt: int = 1) -> bool:
    """Whether it trains."""
    return (run.folder / f"attempt-{attempt:02d}" / "steps.jsonl").exists()


def rank_process(run: Run, rank: int = 0) -> psutil.Process:
    """The process of one rank of the step that does this run."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "batchscale.launchers.slurm.rank" in words and str(run.folder.parent) in words:
            if "srun" not in words[0] and process.environ().get("SLURM_PROCID") == str(rank):
                return process
    raise AssertionError(f"no rank {rank}")


def job_fields(task: str) -> dict[str, str]:
    words = slurm("scontrol", "--oneliner", "show", "job", task).split()
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def restart_now(task: str) -> None:
    """Start a requeued job as soon as it is out of the way; Slurm would let it wait two minutes."""
    deadline = time.monotonic() + 120
    while (fields := job_fields(task))["Restarts"] == "0" or fields["JobState"] == "COMPLETING":
        assert time.monotonic() < deadline, fields
        time.sleep(0.4)
    slurm("scontrol", "update", f"JobId={task}", "StartTime=now")
