"""Ends what a launcher left that was killed: ranks stop by themselves then, but not where they are halted.

`work` starts one beside its workers, in a session of its own. Its standard input is a pipe whose other end only the
launcher holds, so it ends when the launcher has closed it or is gone, however that came about. What still runs then is
woken if it is halted, has the time in which ranks keep their state, and is killed.

As a program it needs the standard library alone: it starts in a moment and takes no memory from what is measured.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "BATCHSCALE_GUARDED"
LEAVE_SECONDS = 30.0  # ranks without a launcher leave after 20 (ORPHAN_GRACE_SECONDS)
LOOK_SECONDS = 1.0


@contextmanager
def guardian() -> Iterator[str]:
    """While workers run. Gives the value of VARIABLE that marks what is to be guarded, by its environment."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen([sys.executable, "-I", "-S", __file__, mark], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True)
    try:
        yield mark
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def guarded(mark: str) -> list[int]:
    """Processes with this mark in their environment."""
    wanted, found = f"{VARIABLE}={mark}".encode(), []
    for name in os.listdir("/proc"):
        if name.isdigit() and name != str(os.getpid()) and wanted in _read(name, "environ").split(b"\0"):
            found.append(int(name))
    return found


def halted(pid: int) -> bool:
    """Return whether SIGSTOP holds the process."""
    return _read(str(pid), "stat").rpartition(b") ")[2][:1] in (b"T", b"t")


def _read(pid: str, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:  # it has ended, or is another user's
        return b""


def send(pids: list[int], number: signal.Signals) -> None:
    """Send the signal to every process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


def end(mark: str) -> None:
    """Wake what is halted, wait, kill what is left."""
    deadline = time.monotonic() + LEAVE_SECONDS
    while (left := guarded(mark)) and time.monotonic() < deadline:
        send([pid for pid in left if halted(pid)], signal.SIGCONT)
        time.sleep(LOOK_SECONDS)
    send(left, signal.SIGKILL)


if __name__ == "__main__":
    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # meant for the launcher, whose end is what counts
        signal.signal(stop, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end(sys.argv[1])
