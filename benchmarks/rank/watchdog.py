"""Ends a rank group in which nothing goes on any more, with the stacks of all its ranks in the logs.

Progress is an activity that begins or ends, and training steps are done in stretches; how long a run takes in all does
not matter. Every rank watches itself from a thread. The first one whose patience is at an end says so in the
attempt's folder; the others that wait answer there, and the one that is behind, or that does not answer, is named.
A thread of C below it does the same where Python itself is stuck.

A rank beside a GPU without free memory is waited for no longer than FULL_SECONDS: TensorFlow's allocator may ask for
some without end (see `devices.ask_for_memory_first`).
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from ..errors import EXIT_ENVIRONMENT, EXIT_RUNS_FAILED
from ..records import leases
from ..records.failures import when_memory_ran_out
from ..records.json_files import read_json, write_json
from ..records.run_folder import Run

DUMP_SIGNAL = signal.SIGQUIT  # USR1 is NCCL's, USR2 and TERM ask a rank to stop
SETTLE_SECONDS = 10.0  # for the other ranks to say where they are
LAST_WORDS_SECONDS = 2.0  # for a halted rank to write its stacks when it is woken
FULL_SECONDS = 60.0  # TensorFlow itself gives up after 10, where it does
LEAST_BYTES = 2 * 2**20  # in pieces of which the driver gives a GPU's memory away


class Address(NamedTuple):
    """Place of a rank's process, and which of all processes there ever were it is."""

    host: str
    boot_id: str
    pid: int
    start_ticks: int


class Watchdog:
    """`seconds`: the patience; 0 watches nothing. `rank`, `size` and the neighbours are known once ranks have met."""

    def __init__(self, seconds: float, leave: Callable[[int], Any] = os._exit) -> None:
        self.seconds, self._leave = seconds, leave
        self.rank, self.size = 0, 1
        self._addresses: Sequence[Address] = ()
        self._run: Run | None = None
        self._attempt: Path | None = None
        self._count, self._activity, self._idle_seconds = 0, "start", 0.0
        self.free_bytes: Callable[[], int | None] = lambda: None
        """Of the fullest GPU; None where there is none, or nothing tells."""
        if seconds:
            faulthandler.register(DUMP_SIGNAL, all_threads=True)
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def progress(self, activity: str) -> None:
        """Something was done, or begins: what goes on now."""
        self._count, self._activity, self._idle_seconds = self._count + 1, activity, 0.0

    def meet(self, rank: int, everyone: Sequence[Address]) -> None:
        """Take note that the ranks have found each other; `everyone`: their `address`, in order."""
        self.rank, self.size, self._addresses = rank, len(everyone), everyone

    @contextmanager
    def watching(self, run: Run, attempt: Path) -> Iterator[None]:
        """While the ranks do this attempt."""
        self._run, self._attempt, self._count = run, attempt, 0
        self.progress("begin")
        try:
            yield
        finally:
            self._run = self._attempt = None
            self.progress("next run")

    @property
    def settle_seconds(self) -> float:
        """Seconds that other ranks have to write where they are."""
        return min(SETTLE_SECONDS, self.seconds / 4)

    def _watch(self) -> None:
        interval, full_seconds = min(1.0, self.seconds / 10), 0.0
        while True:
            faulthandler.dump_traceback_later(self.seconds + 2 * self.settle_seconds, exit=True)
            time.sleep(interval)  # counted as that, however long this process was halted meanwhile
            self._idle_seconds += interval
            if self._idle_seconds >= self.seconds or self._idle_seconds > self.seconds / 2 and self._reports():
                self._end()
                return
            full_seconds = full_seconds + interval if self._idle_seconds > FULL_SECONDS / 2 and self._is_full() else 0.0
            if full_seconds >= FULL_SECONDS / 2:
                self._give_up()
                return

    def _is_full(self) -> bool:
        """Return whether an attempt goes on, and waits for no other rank, beside a GPU of whose memory nothing is left.
        """
        free = self.free_bytes() if self._attempt and not (self.size > 1 and waits()) else None
        return free is not None and free < LEAST_BYTES

    def _give_up(self) -> None:
        """Record that memory ran out, and leave; the other ranks see that a peer is gone."""
        run, attempt = self._run, self._attempt
        if run is not None and attempt is not None:
            text = (f"no progress for {FULL_SECONDS:g} s in {self._activity}, beside a GPU that has less than "
                    f"{LEAST_BYTES // 2**20} MiB of free memory left: TensorFlow's allocator asks for some without end")
            status = when_memory_ran_out(leases.own_logs())
            run.fail(attempt, status, self.rank, text, "", leases.host())
            print(f"run {run.run_id}: {status}: {text}", file=sys.stderr, flush=True)
        self._leave(EXIT_RUNS_FAILED)

    def _reports(self) -> dict[int, dict[str, Any]]:
        """Return what ranks have written of a standstill in this attempt."""
        found = {}
        for path in self._attempt.glob("logs/rank-*.standstill.json") if self._attempt else ():
            if isinstance(value := read_json(path), dict) and isinstance(value.get("count"), int):
                found[int(value["rank"])] = value
        return found

    def _end(self) -> None:
        """Say where this rank is, wait for the others' word, record the attempt, leave."""
        run, attempt = self._run, self._attempt
        if run is None or attempt is None:
            code = EXIT_ENVIRONMENT if self._activity == "start" else EXIT_RUNS_FAILED
            print(f"batchscale-rank: no progress for {self.seconds:g} s (watchdog_seconds) at: {self._activity}; the "
                  "ranks did not find each other, or the file system does not answer.", file=sys.stderr, flush=True)
            faulthandler.dump_traceback(all_threads=True)
            return self._leave(code)
        own: dict[str, Any] = {"rank": self.rank, "host": leases.host(), "count": self._count,
                               "activity": self._activity, "waits": waits()}
        stacks = self._say(attempt, own)
        deadline = time.monotonic() + self.settle_seconds
        while len(reports := {**self._reports(), self.rank: own}) < self.size and time.monotonic() < deadline:
            time.sleep(self.settle_seconds / 20)
        rank, sentence = behind(reports, self.size)
        host = self._addresses[rank].host if self._addresses else own["host"]
        text = f"no progress for {self.seconds:g} s (watchdog_seconds): {sentence}; stacks: {attempt / 'logs'}"
        run.fail(attempt, "timed_out", rank, text, stacks, str(host))
        print(f"batchscale-rank: run {run.run_id}: {text}", file=sys.stderr, flush=True)
        self._wake(set(range(self.size)) - set(reports))
        self._leave(EXIT_RUNS_FAILED)

    def _say(self, attempt: Path, own: Mapping[str, Any]) -> str:
        """Write the stacks of all threads of this rank, then that it stands still. Returns the stacks."""
        path = attempt / "logs" / f"rank-{self.rank}.stacks"
        path.parent.mkdir(exist_ok=True)
        with open(path, "w") as file:
            faulthandler.dump_traceback(file, all_threads=True)
        write_json(path.with_suffix(".standstill.json"), own)
        return path.read_text(errors="replace")

    def _wake(self, silent: set[int]) -> None:
        """Let halted ranks of this machine write their stacks to their own error output before the group is ended."""
        woken = [process for rank in silent if (process := neighbour(self._addresses[rank]))]
        for process in woken:
            process.send_signal(DUMP_SIGNAL)
            process.send_signal(signal.SIGCONT)
        if woken:
            time.sleep(LAST_WORDS_SECONDS)


def behind(reports: Mapping[int, Mapping[str, Any]], size: int) -> tuple[int, str]:
    """Return the rank that holds up the others, and why it is thought so. `reports`: by rank, how far each is and
    where.

    >>> behind({0: {"count": 5, "waits": True, "activity": "build"}, 1: {"count": 5, "activity": "build"}}, 2)
    (1, 'rank 1 is behind, in build, and rank 0 waits for it in build')
    >>> behind({0: {"count": 5, "activity": "train"}}, 2)
    (1, 'rank 1 does not answer, and rank 0 waits for it in train')
    """
    def place(rank: int) -> tuple[int, bool]:
        return reports[rank]["count"], bool(reports[rank].get("waits"))
    silent = [rank for rank in range(size) if rank not in reports]
    first = silent[0] if silent else min(reports, key=lambda rank: (place(rank), rank))
    ahead = [rank for rank in sorted(reports) if silent or place(rank) > place(first)]
    if not ahead:
        return first, f"{'all ranks are' if size > 1 else 'it is'} in {reports[first]['activity']}"
    why = "does not answer" if silent else f"is behind, in {reports[first]['activity']}"
    return first, f"rank {first} {why}, and rank {ahead[0]} waits for it in {reports[ahead[0]]['activity']}"


def waits() -> bool:
    """Return whether the main thread is in one of the strategies' collective calls, and so waits for other ranks."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if Path(frame.f_code.co_filename).parent.name == "strategies":
            return True
        frame = frame.f_back
    return False


def address() -> Address:
    """Return the address of this process."""
    return Address(leases.host(), leases.boot_id(), os.getpid(), leases.start_ticks(os.getpid()))


def neighbour(found: Address) -> psutil.Process | None:
    """Return the process of a rank on this machine; None for one elsewhere, or gone."""
    if found.boot_id != leases.boot_id():
        return None
    return leases.process_of({"pid": found.pid, "process_began": found.start_ticks})
