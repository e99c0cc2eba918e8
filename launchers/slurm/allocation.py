"""Inside a Slurm job: work on the runs of one shape until none is left, the time is up, or something is broken.

    python -m batchscale.launchers.slurm.allocation RESULTS/PLAN SHAPE [SUBMISSION] [options of batchscale-rank]

is started by the scripts in slurm/.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ...benchmarks.errors import (EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED, EXIT_USAGE,
                                  BatchscaleError, PlanError)
from ...benchmarks.rank.worker import arguments, pending_runs
from ...benchmarks.records.failures import note
from ...benchmarks.records.run_folder import FINAL, Run
from ...benchmarks.records.store import Store
from ...benchmarks.runs.run_config import RunConfig
from ...benchmarks.text import counted
from ..local.deaths import attempts_of_job
from ..local.supervisor import MOST_EMPTY_STARTS
from ..local.worker import fresh_folder
from . import layout as slurm_layout, queue, step
from .rank import INTERRUPTED
from .site import read, Site

TIME_LIMIT, REQUEUED = "time limit", "preempted or requeued"


class Stop:
    """Set by a signal to this script: Slurm ends the job, for whatever reason."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


@dataclass
class Work:
    """The runs of one shape in one job."""

    job: str
    site: Site
    layout: slurm_layout.Layout
    store: Store
    runs: list[Run]
    worker: list[str]
    stop: Stop

    @property
    def config(self) -> RunConfig:
        """Configuration of the first run, which stands for the shape."""
        return self.runs[0].config

    def attempts(self) -> int:
        """Return how many attempts the runs have had, by whomever."""
        return sum(len(run.attempts()) for run in self.runs)

    def left(self) -> list[Run]:
        """Runs that are still to be done and that no other worker is doing."""
        return [run for run in self.runs if run.status() not in (*FINAL, "running")]


def shape_of(name_or_file: str, variables: Mapping[str, str]) -> str:
    """Return a shape's name, or this array task's line of a file of shapes. Raises PlanError."""
    path = Path(name_or_file)
    if not path.is_file():
        return name_or_file
    lines = [line.strip() for line in path.read_text().splitlines()]
    shapes = [line for line in lines if line and not line.startswith("#")]
    if not shapes:
        raise PlanError(f"{path} lists no shape; write one per line.")
    return shapes[int(variables.get("SLURM_ARRAY_TASK_ID") or 0) % len(shapes)]


def settle(runs: Sequence[Run], job: str, status: str, reason: str) -> None:
    """End this job's own attempts whose ranks are gone, so that nobody waits for their heartbeat to grow stale."""
    for attempt in attempts_of_job(runs, job):
        if not (attempt / "failure.json").exists():
            Run(attempt.parent).fail(attempt, status, -1, reason)


def go(work: Work) -> int:
    """Steps, until there is nothing left to do here. Returns the exit code of the job."""
    empty, starts = 0, 0
    settle(work.runs, work.job, "preempted", "the job was requeued while this attempt ran")
    while True:
        before, starts = work.attempts(), starts + 1
        logs = fresh_folder(work.store.folder / "logs", work.config.shape)
        print(f"step {starts}: {work.config.shape}, logs in {logs}", flush=True)
        code = step.run(work.config, work.site, work.layout, logs, work.worker)
        if work.stop.asked or (logs / INTERRUPTED).exists():
            return interrupted(work)
        end_attempts(work, code, logs)
        if code == EXIT_OK:
            return finished(work.runs)
        error = step.first_error(logs)
        empty = empty + 1 if work.attempts() == before else 0
        fix = step.advice(work.config, work.site, error)
        if fix or code in (EXIT_ENVIRONMENT, EXIT_USAGE) or empty >= MOST_EMPTY_STARTS:
            say(error + fix)
            return code if code == EXIT_USAGE else EXIT_ENVIRONMENT
        if starts > len(work.runs) + 2:
            say(error)
            return EXIT_RUNS_FAILED
        say(f"the ranks ended with code {code}: {error}")
        if not work.left():
            return finished(work.runs)


def end_attempts(work: Work, code: int, logs: Path) -> None:
    """Write what became of attempts that the ranks could not end themselves, and which rank died, as far as srun says.
    """
    dead = step.dead_rank(logs)
    if dead:
        for attempt in attempts_of_job(work.runs, work.job):
            note(attempt, *dead, logs)
    settle(work.runs, work.job, "lost", f"a rank died (the launcher ended with code {code})")


def interrupted(work: Work) -> int:
    """Requeue the job if runs are left, unless somebody cancelled it, which must not bring it back."""
    cause = why_stopped(os.environ)
    settle(work.runs, work.job, "timed_out" if cause == TIME_LIMIT else "preempted",
           f"Slurm ended the job ({cause or 'cancelled'}) while this attempt ran")
    if not work.left():
        return finished(work.runs)
    left = f"with {counted(len(work.left()), 'run')} left to do"
    if cause == REQUEUED:
        say(f"stopped ({cause}) {left}; Slurm starts the job again.")
    elif not cause:
        say(f"cancelled {left}; run the plan again to go on.")
    elif restarts(os.environ) > 3 * len(work.runs):
        say(f"stopped ({cause}) {left}, after {restarts(os.environ)} restarts; run the plan again to go on.")
    else:
        say(f"stopped ({cause}) {left}; the job is requeued.")
        subprocess.run(["scontrol", "requeue", slurm_name(os.environ)])
    return EXIT_INCOMPLETE


def finished(runs: Sequence[Run]) -> int:
    """Print the runs that failed; return the exit code of a job that has nothing left to do."""
    bad = [run for run in runs if run.status() in ("invalid", "failed")]
    for run in bad:
        say(f"{run.run_id}: {run.status()}: {(run.failure() or {}).get('message', '')}")
    return EXIT_RUNS_FAILED if bad else EXIT_OK


def slurm_name(variables: Mapping[str, str]) -> str:
    """Return what Slurm's commands call this job: a task of an array as JOB_TASK, for its own number may mean the whole
    array.

    >>> slurm_name({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"})
    '7_0'
    """
    if variables.get("SLURM_ARRAY_JOB_ID"):
        return f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
    return variables["SLURM_JOB_ID"]


def restarts(variables: Mapping[str, str]) -> int:
    """Return how many times Slurm has started this job again."""
    return int(variables.get("SLURM_RESTART_COUNT") or 0)


def why_stopped(variables: Mapping[str, str]) -> str:
    """Return why this job has to stop; "" when somebody cancelled it, or Slurm does not answer.

    While a job is being ended Slurm calls it COMPLETING, whatever the cause; the reason tells a time limit, and a
    count of restarts ahead of this job's own tells that Slurm has requeued it, after a preemption most often.
    """
    name = slurm_name(variables)
    found = queue.assignments(" ".join(queue.answer("scontrol", "--oneliner", "show", "job", name) or []))
    state = found.get("JobState", "")
    if state == "RUNNING":
        return "signal"
    if "TIMEOUT" in state or found.get("Reason") == "TimeLimit":
        return TIME_LIMIT
    if int(found.get("Restarts") or 0) > restarts(variables):
        return REQUEUED
    return "preemption" if "PREEMPT" in state or found.get("PreemptTime", "None") not in ("None", "N/A") else ""


def say(text: str) -> None:
    """Print a line to the job's error output."""
    print(f"batchscale: {text}", file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, or those of the command line, and return its exit code."""
    every = list(sys.argv[1:] if words is None else words)
    if len(every) < 2:
        say("usage: RESULTS/PLAN SHAPE [SUBMISSION] [options of batchscale-rank]")
        return EXIT_USAGE
    folder, shape, submission, *rest = [*every, ""] if len(every) == 2 else every
    try:
        stop = Stop()
        site = read(str(Path(submission, "site.toml"))) if submission else Site()
        worker = ["--results", folder, "--shape", shape_of(shape, os.environ), *rest]
        wanted = arguments(worker)
        store = Store(wanted.results)
        runs = pending_runs(store.runs(), store.folder, wanted.shape, wanted.only)
        layout = slurm_layout.of_job(runs[0].config, os.environ)
        return go(Work(os.environ["SLURM_JOB_ID"], site, layout, store, runs, worker, stop))
    except BatchscaleError as error:
        say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
