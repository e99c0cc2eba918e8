"""What ranks cannot say themselves: that all of them are halted."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from ...benchmarks.rank.watchdog import DUMP_SIGNAL, LAST_WORDS_SECONDS, SETTLE_SECONDS
from ...benchmarks.records.run_folder import Run
from .deaths import attempt_of_logs

FEWEST_LOOK_SECONDS = 0.5
MOST_LOOK_SECONDS = 15.0


class Halted:
    """Looks now and then whether all ranks of a process group are halted (SIGSTOP), when none of them can notice.

    A rank that others wait for is theirs to report first.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._looked, self._halted_since = time.monotonic(), 0.0

    def ended(self, group: psutil.Process, runs: Sequence[Run], logs: Path) -> bool:
        """Return whether the ranks were halted for longer than is allowed; they have then written their stacks."""
        now = time.monotonic()
        if not self._patience or now - self._looked < min(max(self._patience / 10, FEWEST_LOOK_SECONDS),
                                                          MOST_LOOK_SECONDS):
            return False
        self._looked, halted = now, halted_of(group)
        self._halted_since = (self._halted_since or now) if halted else 0.0
        limit = self._patience + (SETTLE_SECONDS if len(halted) < len(tree(group)) else 0.0)
        if not halted or now - self._halted_since < limit:
            return False
        for run in runs:
            if (attempt := attempt_of_logs(run, logs)) is None:
                continue
            run.fail(attempt, "timed_out", 0, f"no progress for {self._patience:g} s (watchdog_seconds): "
                     f"process {halted[0].pid} is halted")
        wake(halted)
        return True


def tree(group: psutil.Process) -> list[psutil.Process]:
    """Return the process and all its descendants; nothing where it is gone."""
    try:
        return [group, *group.children(recursive=True)]
    except psutil.Error:
        return []


def halted_of(group: psutil.Process) -> list[psutil.Process]:
    """Return the process and those of its descendants that SIGSTOP holds."""
    found = []
    for process in tree(group):
        try:
            if process.status() == psutil.STATUS_STOPPED:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wake(halted: Sequence[psutil.Process]) -> None:
    """Let them write their stacks."""
    for process in halted:
        try:
            process.send_signal(DUMP_SIGNAL)
            process.send_signal(signal.SIGCONT)
        except psutil.Error:
            continue
    time.sleep(LAST_WORDS_SECONDS)
