"""Worker processes of one stage: started, watched, started again when they die, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..benchmarks.errors import EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from ..benchmarks.store import FINAL, Run
from . import deaths
from .stages import Stage
from .start import start

GRACE_SECONDS = 20.0
POLL_SECONDS = 0.2
STOPS = (EXIT_OK, EXIT_INCOMPLETE, EXIT_ENVIRONMENT, EXIT_USAGE)


@dataclass(frozen=True)
class Limits:
    """Where and until when workers run; the same for all of one command."""

    folder: Path
    only: str = ""
    until: float = float("inf")
    retry_before: float = 0.0
    launcher: str = "auto"


@dataclass
class Worker:
    """One worker: its slot, its process (the launcher of a rank group, for Horovod) and its logs."""

    stage: Stage
    cores: tuple[int, ...]
    limits: Limits
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    began: float = 0.0
    kernel_kills: int | None = None
    logs: Path = field(default_factory=Path)

    def arguments(self) -> list[str]:
        limits = self.limits
        words = ["--results", str(limits.folder), "--shape", self.stage.shape]
        if self.cores:
            words += ["--cores", ",".join(map(str, self.cores))]
        if limits.only:
            words += ["--only", limits.only]
        if limits.until != float("inf"):
            words += ["--until", f"{limits.until:.0f}"]
        if limits.retry_before:
            words += ["--retry-before", f"{limits.retry_before:.3f}"]
        return [*words, "--parent", str(os.getpid())]

    def launch(self) -> None:
        """Start the process in a session of its own, so that a whole rank group can be signalled."""
        self.starts, self.began, self.kernel_kills = self.starts + 1, time.time(), deaths.kernel_kills()
        self.logs = fresh_folder(self.limits.folder / "logs", self.stage.shape)
        command = start(self.stage.config, self.arguments(), self.logs / "ranks", self.limits.launcher)
        with open(self.logs / "worker.log", "wb") as log:
            log.write((" ".join(command.words) + "\n").encode())
            log.flush()
            self.process = subprocess.Popen(command.words, stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            env={**os.environ, **command.environment,
                                                 "BATCHSCALE_LAUNCHED": f"{time.time():.3f}"})

    def signal(self, number: int) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass

    def ended(self) -> int | None:
        return self.process.poll() if self.process is not None else EXIT_OK


def unfinished(run: Run, limits: Limits) -> bool:
    """Whether the run is still to be done, or to be done again."""
    status = run.status()
    return status not in FINAL or (limits.retry_before > 0 and status in ("invalid", "failed")
                                   and run.last_began() < limits.retry_before)


def fresh_folder(parent: Path, name: str) -> Path:
    """A new folder parent/name-NN."""
    for number in range(1, 10_000):
        folder = parent / f"{name}-{number:02d}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise FileExistsError(parent / name)


def work(stage: Stage, limits: Limits, runs: Sequence[Run], on_poll: Callable[[], None]) -> str:
    """Run a stage to its end. Returns "" or why the stage was given up.

    A worker that dies is started again as long as there are runs to do and runs were ended by it; one that says that
    the environment is unusable ends the stage.
    """
    workers = [Worker(stage, cores, limits) for cores in stage.slots]
    try:
        for worker in workers:
            worker.launch()
        active, problem = list(workers), ""
        while active:
            time.sleep(POLL_SECONDS)
            on_poll()
            for worker in [w for w in active if w.ended() is not None]:
                worker.signal(signal.SIGKILL)  # ranks that outlived their launcher
                code = worker.ended()
                if code not in STOPS:
                    deaths.explain(runs, worker.began, worker.logs, worker.kernel_kills)
                if code in (EXIT_ENVIRONMENT, EXIT_USAGE):
                    problem = last_line(worker.logs)
                done = code in STOPS or problem or worker.starts > len(runs) + 2
                if done or not any(unfinished(run, limits) for run in runs):
                    active.remove(worker)
                else:
                    worker.launch()
        on_poll()
        return problem
    finally:
        stop(workers)


def stop(workers: Sequence[Worker]) -> None:
    """Ask every worker to stop, wait, then make it."""
    running = [w for w in workers if w.ended() is None]
    for worker in running:
        worker.signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(w.ended() is None for w in running) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 4)
    for worker in workers:
        worker.signal(signal.SIGKILL)


def last_line(logs: Path) -> str:
    """The last line that a worker or its ranks wrote, for a message."""
    texts = [p.read_text(errors="replace") for p in (*logs.rglob("stderr"), logs / "worker.log") if p.is_file()]
    lines = [line.strip() for text in texts for line in text.splitlines() if "batchscale-rank:" in line]
    return lines[-1].partition("batchscale-rank: ")[2] if lines else f"see {logs}"
