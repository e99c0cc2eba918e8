"""What Slurm says of submitted jobs: one batched question, to sacct where there is accounting, scontrol or squeue.

Slurm forgets finished jobs after minutes where there is no accounting. A job of which nothing is known is `unknown`,
never completed: the results folder alone says what is done.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...benchmarks.records.json_files import read_json

ACTIVE = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "RESIZING",
          "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT", "REQUEUE_FED")


@dataclass(frozen=True)
class Task:
    """One task of an array, or several that are still waiting together."""

    job: str
    task: str
    state: str
    reason: str = ""
    nodes: str = ""

    @property
    def active(self) -> bool:
        """Whether the task may still do something: it is queued, running or on its way to either."""
        return self.state in ACTIVE

    @property
    def count(self) -> int:
        """Number of tasks that an entry such as `0-3,7%2` stands for."""
        spans = re.findall(r"(\d+)(?:-(\d+))?", self.task.partition("%")[0])
        return sum(int(last or first) - int(first) + 1 for first, last in spans) or 1


def submissions(folder: Path) -> list[dict[str, Any]]:
    """Return jobs.json of every submission of a plan that can be read, the oldest first."""
    paths = sorted(folder.glob("slurm/submission-*/jobs.json"))
    found = [(path.parent, read_json(path)) for path in paths]
    return [{**value, "folder": where} for where, value in found
            if isinstance(value, dict) and isinstance(value.get("jobs"), list)]


def last_word(folder: Path, job: Mapping[str, Any], found: Sequence[Task]) -> str:
    """Return the last line of a job that ended badly; "" where none did or none wrote one. `folder`: of the submission.
    """
    if all(task.active or task.state == "COMPLETED" for task in found):
        return ""
    texts = [path.read_text(errors="replace") for path in sorted(folder.glob(f"logs/*-{job['id']}*.out"))]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("batchscale: ")]
    return lines[-1].partition(": ")[2] if lines else ""


def tasks(jobs: Sequence[Mapping[str, Any]]) -> dict[str, list[Task]]:
    """Return the tasks of each job by its id; an empty list where Slurm knows nothing.

    What accounting does not know yet, or any more, the controller is asked for: once, since it tells of all jobs.
    """
    found: dict[str, list[Task]] = {str(job["id"]): [] for job in jobs}
    for task in from_sacct(list(found)):
        if task.job in found:
            found[task.job].append(task)
    missing = [job_id for job_id, known in found.items() if not known]
    if missing:
        answered = from_scontrol()
        for task in from_squeue(missing) if answered is None else answered:
            if task.job in missing:
                found[task.job].append(task)
    return found


def from_sacct(ids: Sequence[str]) -> list[Task]:
    """Return the tasks of these jobs that Slurm's accounting knows."""
    lines = answer("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={','.join(ids)}",
                   "--format=JobID,State,Reason,NodeList")
    return parsed(lines or [])


def from_scontrol() -> list[Task] | None:
    """Return every job that the controller remembers; None where it does not answer."""
    lines = answer("scontrol", "--oneliner", "show", "job")
    return None if lines is None else [task for line in lines if (task := task_of(assignments(line)))]


def task_of(values: Mapping[str, str]) -> Task | None:
    """Return the task that scontrol's words describe; None where they describe none."""
    if "JobState" not in values:
        return None
    return Task(values.get("ArrayJobId") or values.get("JobId", ""), values.get("ArrayTaskId", ""), values["JobState"],
                values.get("Reason", ""), values.get("NodeList", ""))


def assignments(line: str) -> dict[str, str]:
    """Return the NAME=VALUE words of a line, as scontrol prints them, by name."""
    return dict(part.partition("=")[::2] for part in line.split() if "=" in part)


def from_squeue(ids: Sequence[str]) -> list[Task]:
    """Return the tasks of these jobs that are in the queue."""
    return parsed(answer("squeue", "--noheader", "--states=all", f"--jobs={','.join(ids)}", "--format=%i|%T|%r|%N")
                  or [])


def parsed(lines: Iterable[str]) -> list[Task]:
    """Tasks from lines of job, state, reason and nodes."""
    fields = [line.split("|") for line in lines if line.count("|") == 3]
    return [Task(*_job_and_task(job), _state(state), reason, nodes) for job, state, reason, nodes in fields]


def answer(*words: str) -> list[str] | None:
    """Return the lines of a Slurm command; None where it is absent, fails or does not answer in time."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [line.strip() for line in done.stdout.splitlines()] if done.returncode == 0 else None


def _job_and_task(name: str) -> tuple[str, str]:
    """12_[0-3%1] is tasks 0-3%1 of job 12."""
    job, _, task = name.partition("_")
    return job, task.strip("[]")


def _state(text: str) -> str:
    """CANCELLED by 1000 is CANCELLED."""
    return text.split()[0].rstrip("+") if text.split() else "unknown"


def summary(job: Mapping[str, Any], found: Sequence[Task]) -> str:
    """Return the state of a job's tasks in one line for people."""
    counts: dict[str, int] = {}
    for task in found:
        counts[task.state.lower()] = counts.get(task.state.lower(), 0) + task.count
    if not counts:
        return f"job {job['id']} {job['name']}: unknown (Slurm no longer tells; the runs above are what is known)"
    waiting = [t.reason for t in found if t.state == "PENDING" and t.reason not in ("", "None")]
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"job {job['id']} {job['name']}: {states}" + (f" (waiting: {waiting[0]})" if waiting else "")
