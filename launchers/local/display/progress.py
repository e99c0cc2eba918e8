"""Live progress: one moving line in a terminal, with what is running and for how long; a plain line for each finished
run in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from ....benchmarks.records.run_folder import Run
from ....benchmarks.text import counted, duration
from .figure import summary
from .remaining import Remaining

BAR_WIDTH = 16
MOST_LOOKS = 40  # of runs looked at for those that are running: each costs a millisecond beside what is timed


class Progress:
    """Watches the store and says what ended, what is running, and how long the rest is expected to take.

    `unfinished` says whether a run is still to be done; `seconds` is what each adds to the wall time, by digest.
    """

    def __init__(self, runs: Sequence[Run], unfinished: Callable[[Run], bool], seconds: Mapping[str, float]) -> None:
        self._total, self._unfinished = len(runs), unfinished
        self._waiting = {run.run_id: run for run in runs if unfinished(run)}
        self._done = self._total - len(self._waiting)
        self._expected = seconds
        self._began = time.monotonic()
        self._remaining = Remaining(sum(map(self._cost, self._waiting.values())), self._began)
        self._live = sys.stdout.isatty()
        self._printed: set[str] = set()

    def __enter__(self) -> Progress:
        if self._done:
            verb = "was" if self._done == 1 else "were"
            self.say(f"{self._done} of {counted(self._total, 'run')} {verb} done before")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            print("\r\033[K", end="", flush=True)

    def update(self) -> None:
        """Look for runs that ended since the last call."""
        for run_id, run in list(self._waiting.items()):
            if (run.folder / "record.json").exists() or any(run.folder.glob("attempt-*/failure.json")):
                if not self._unfinished(run):
                    self._finished(run, run.status())
        if self._live and self._waiting:
            columns = shutil.get_terminal_size().columns
            print(f"\r\033[K{self._line()[:columns - 1]}", end="", flush=True)

    def say(self, text: str) -> None:
        """Print a line above the moving one."""
        print(f"\r\033[K{text}" if self._live else text, flush=True)

    def say_once(self, text: str) -> None:
        """Print a line unless the same one was printed before."""
        if text not in self._printed:
            self._printed.add(text)
            self.say(text)

    def _finished(self, run: Run, status: str) -> None:
        del self._waiting[run.run_id]
        self._done += 1
        self._remaining.finished(self._cost(run), time.monotonic())
        self.say(f"{self._counts()} {run.run_id}: {status}{summary(run)}; {self._eta()}")

    def _cost(self, run: Run) -> float:
        return self._expected.get(run.config.digest, 0.0)

    def _counts(self) -> str:
        return f"[{self._done}/{self._total}]"

    def _line(self) -> str:
        """The bar, the time so far and what is left, and what is running."""
        full = BAR_WIDTH * self._done // max(self._total, 1)
        running = self._running()
        passed = duration(round(time.monotonic() - self._began))
        return (f"{'█' * full}{'░' * (BAR_WIDTH - full)} {self._counts()} {passed} so far, {self._eta(running)}"
                + (f"; running: {', '.join(_with_age(run) for run in running)}" if running else ""))

    def _running(self) -> list[Run]:
        """Those of the next runs that a worker holds: runs are taken in the plan's order, but for other shapes'."""
        looked = list(self._waiting.values())[:MOST_LOOKS]
        return [run for run in looked if run.status() == "running"]

    def _eta(self, running: Sequence[Run] = ()) -> str:
        if not self._waiting:
            return "finished"
        left = self._remaining.seconds(sum(map(self._cost, running)), time.monotonic())
        return f"about {duration(round(left))} left"


def _with_age(run: Run) -> str:
    return f"{run.run_id} ({duration(round(max(time.time() - run.last_began(), 0.0)))})"
