"""One worker of a stage: how it is started, asked to stop, and what is left of it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ...benchmarks.errors import EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from ...benchmarks.planning.keys import WATCHDOG_SECONDS
from ...benchmarks.records import leases
from ...benchmarks.records.json_files import cannot_write
from ...benchmarks.records.run_folder import FINAL, Run
from ..machine.inherited import shielded
from . import deaths, guardian
from .rank_commands import some_gpus, start
from .schedule import Slot, Stage
from .standstill import Halted

STOPS = (EXIT_OK, EXIT_INCOMPLETE, EXIT_ENVIRONMENT, EXIT_USAGE)  # codes of a worker that ended by itself


@dataclass(frozen=True)
class Limits:
    """Place, selection and end of what workers do; the same for all of one command. `until` and `retry_before`: seconds
    since the epoch."""

    folder: Path
    only: str = ""
    until: float = float("inf")
    retry_before: float = 0.0
    launcher: str = "auto"
    patience_seconds: float = WATCHDOG_SECONDS
    runs_per_gpu: int = 1
    """The most accuracy runs that may train on a GPU at a time."""


@dataclass
class Worker:
    """One worker: its slot, its process (the launcher of a rank group, for Horovod) and its logs."""

    stage: Stage
    slot: Slot
    limits: Limits
    mark: str
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    empty_starts: int = 0
    began: float = 0.0
    kernel_kills: int | None = None
    said: str = ""
    waits: bool = False
    stands_by: bool = False
    """Whether it waits for more runs when it has done all there are, until it is asked to stop."""
    logs: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        self.halted = Halted(self.limits.patience_seconds)

    def arguments(self) -> list[str]:
        """Return the arguments of `batchscale-rank` for this worker's ranks."""
        limits = self.limits
        words = ["--results", str(limits.folder), "--shape", self.stage.shape]
        if self.slot.cores:
            words += ["--cores", ",".join(map(str, self.slot.cores))]
        if limits.only:
            words += ["--only", limits.only]
        if limits.until != float("inf"):
            words += ["--until", f"{limits.until:.0f}"]
        if limits.retry_before:
            words += ["--retry-before", f"{limits.retry_before:.3f}"]
        if self.stands_by:
            words += ["--stand-by", str(self.logs.absolute())]
        if self.waits:
            words += ["--turn", str(self.logs.absolute())]
        return [*words, "--parent", str(os.getpid())]

    def launch(self, waits: bool = False) -> None:
        """Start it in a session of its own, so that a whole rank group can be signalled. `waits`: it imports and loads,
        and does no run before its turn. Raises RecordError."""
        self.waits = waits
        self.starts, self.began, self.kernel_kills = self.starts + 1, time.time(), deaths.kernel_kills()
        self.logs = fresh_folder(self.limits.folder / "logs", self.stage.shape)
        command = start(self.stage.config, self.arguments(), self.logs / "ranks", self.limits.launcher)
        write_whole(self.logs / "worker.log", " ".join(command.words) + "\n")
        with open(self.logs / "worker.log", "ab") as log:
            self.process = subprocess.Popen(command.words, stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            env={**shielded(os.environ), **command.environment,
                                                 **some_gpus(self.slot.gpus),
                                                 "BATCHSCALE_LAUNCHED": f"{time.time():.3f}",
                                                 "BATCHSCALE_LOGS": str(self.logs.absolute()),
                                                 guardian.VARIABLE: self.mark})

    def is_ready(self) -> bool:
        """Return whether all its ranks wait for the turn, or it has ended."""
        return self.ended() is not None or leases.ready_ranks(self.logs) >= self.stage.config.ranks

    def is_standing_by(self) -> bool:
        """Return whether it has done what there was and waits for more."""
        return self.stands_by and self.ended() is None and leases.stands_by(self.logs)

    def begin(self) -> None:
        """Give it its turn; start it where it was not. Raises RecordError."""
        if self.process is None:
            self.launch()
        else:
            leases.give_turn(self.logs)

    def signal(self, number: int) -> None:
        """Send the signal to the process group of the program that starts the ranks, if it is still there."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the ranks, which keep their state first: mpirun and horovodrun would give them a second for
        it."""
        for rank in self._ranks():
            try:
                rank.send_signal(signal.SIGTERM)
            except psutil.Error:
                continue

    def _ranks(self) -> list[psutil.Process]:
        """The ranks among this worker's processes; all of them where none can be told apart."""
        if self.process is None:
            return []
        try:
            found = [(one := psutil.Process(self.process.pid)), *one.children(recursive=True)]
            return [one for one in found if is_rank(one)] or found
        except psutil.Error:
            return []

    def resident_bytes(self) -> int:
        """Return the host's memory that its ranks take."""
        with suppress(psutil.Error):
            return sum(int(rank.memory_info().rss) for rank in self._ranks())
        return 0

    def ended(self) -> int | None:
        """Return the code that the program that starts the ranks ended with; None while it runs."""
        return self.process.poll() if self.process is not None else EXIT_OK

    def watch(self, runs: Sequence[Run]) -> None:
        """End the ranks if they are halted and cannot do so themselves."""
        if self.process is not None and self.ended() is None:
            try:
                if self.halted.ended(psutil.Process(self.process.pid), runs, self.logs):
                    self.signal(signal.SIGKILL)
                    kill_left(self.logs)
            except psutil.Error:
                pass

    def buried(self, runs: Sequence[Run]) -> int:
        """End what is left of the ranks and keep how they ended. Returns the code of the program that started them."""
        self.signal(signal.SIGKILL)
        kill_left(self.logs)
        code = self.ended() or EXIT_OK
        if code not in STOPS:
            deaths.explain(runs, self.began, self.logs, self.kernel_kills, code)
            self.said = deaths.alike(runs, self.began, self.logs)
            begun = any(run.last_began() >= self.began for run in runs)
            self.empty_starts = 0 if begun else self.empty_starts + 1
        return code


def is_rank(process: psutil.Process) -> bool:
    """Return whether this is a rank's program itself, not what starts one."""
    try:
        return any(Path(word).name == "batchscale-rank" or word == "batchscale.benchmarks.rank.worker"
                   for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def kill_left(logs: Path) -> None:
    """End ranks that outlived the program that started them, which put some into process groups of their own."""
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("BATCHSCALE_LOGS") == str(logs.absolute()):
            try:
                process.kill()
            except psutil.Error:
                continue


def write_whole(path: Path, text: str) -> None:
    """Write the text. Raises RecordError where that is impossible, for want of space for instance."""
    try:
        path.write_text(text)
    except OSError as error:
        raise cannot_write(path, error) from None


def unfinished(run: Run, limits: Limits) -> bool:
    """Return whether the run is still to be done, or to be done again."""
    status = run.status()
    return status not in FINAL or run.retry_due(status, limits.retry_before)


def fresh_folder(parent: Path, name: str) -> Path:
    """Make a new folder parent/name-NN and return it. Raises RecordError where none can be made."""
    for number in range(1, 10_000):
        folder = parent / f"{name}-{number:02d}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(folder, error) from None
    raise FileExistsError(parent / name)
