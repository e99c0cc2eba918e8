"""One study at a time on a machine: timing runs are worth nothing beside other work."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ...benchmarks.errors import PlanError
from ...benchmarks.text import duration, plain

VARIABLE = "BATCHSCALE_LOCK"
DEFAULT = "/tmp/batchscale.lock"
LOCKS = Path("/proc/locks")
LONGEST_COMMAND = 120
OWN_PROGRAMS = ("batchscale", "batchscale.launchers.cli")


@contextmanager
def machine_to_itself(say: Callable[[str], object]) -> Iterator[None]:
    """Hold the machine's lock meanwhile; wait for it, and say for whom, where another study has it.

    The lock goes with the process, however that ends. Raises PlanError where there can be no lock file.
    """
    path = Path(os.environ.get(VARIABLE, DEFAULT))
    with open(open_lock(path)) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{holder(lock.fileno())}; waiting for it to end. Not to wait: stop this with Ctrl-C and come back "
                f"later, or name another file in {VARIABLE} (now {path}), after which both studies' times are worth "
                "nothing")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def holder(descriptor: int, locks: Path = LOCKS) -> str:
    """Return which study has the lock, where and since when, as far as the system tells."""
    study = "another study is running on this machine"
    for pid in _holders(descriptor, locks):
        try:
            process = psutil.Process(pid)
            command = _command(process.cmdline())
            began, user = process.create_time(), process.username()
        except psutil.Error:
            continue
        since = time.strftime("%H:%M" if time.time() - began < 86_400 else "%Y-%m-%d %H:%M", time.localtime(began))
        return (f"{study}: `{command}` of {user} (process {pid}){_folder(process)}, since {since}, for "
                f"{duration(round(time.time() - began))}")
    return study


def _command(words: list[str]) -> str:
    """The command as it was typed, without the Python that runs it."""
    names = [Path(word).name for word in words]
    begin = next((at for at, name in enumerate(names) if name in OWN_PROGRAMS), -1)
    return plain(" ".join(["batchscale", *words[begin + 1:]] if begin >= 0 else words))[:LONGEST_COMMAND]


def _folder(process: psutil.Process) -> str:
    try:
        return f" in {plain(process.cwd())}"
    except (psutil.Error, OSError):  # another user's
        return ""


def _holders(descriptor: int, locks: Path) -> list[int]:
    """Processes that hold a lock on the open file, by the kernel's list of locks: `1: FLOCK ADVISORY WRITE pid
    major:minor:inode start end`."""
    inode = os.fstat(descriptor).st_ino
    try:
        lines = [line.split() for line in locks.read_text().splitlines()]
    except OSError:
        return []
    return [int(words[4]) for words in lines if len(words) >= 6 and words[1] == "FLOCK" and words[4].isdigit()
            and words[5].rpartition(":")[2] == str(inode)]


def open_lock(path: Path) -> int:
    """Return a descriptor of the lock file, made if need be, for all users of the machine. Raises PlanError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            return os.open(path, flags)  # first: a sticky folder refuses O_CREAT on another user's file
        except FileNotFoundError:
            return os.open(path, flags | os.O_CREAT, 0o644)
    except OSError as error:
        raise PlanError(f"cannot open {path}, which keeps two studies from timing on one machine at once: "
                        f"{error.strerror}; remove it, or name another file in {VARIABLE}.") from None
