"""One study at a time on a machine: timing runs are worth nothing beside other work."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...benchmarks.errors import PlanError

VARIABLE = "BATCHSCALE_LOCK"
DEFAULT = "/tmp/batchscale.lock"


@contextmanager
def machine_to_itself(say: Callable[[str], object]) -> Iterator[None]:
    """Hold the machine's lock meanwhile; wait for it, and say so, where another study has it.

    The lock goes with the process, however that ends. Raises PlanError where there can be no lock file.
    """
    with open(open_lock(Path(os.environ.get(VARIABLE, DEFAULT)))) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another study is running on this machine; waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
