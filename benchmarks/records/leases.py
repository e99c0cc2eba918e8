"""A claim says which process runs an attempt, and whether it still lives.

The attempt folder is made under a temporary name with its claim inside and renamed into place: a rename onto a folder
that is not empty fails, so exactly one process gets it. On this machine a claim is alive while its process is, and one
whose process is halted, like one from another machine, while its heartbeat is fresh by the file system's own clock.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from ..errors import RecordError
from .json_files import cannot_write, load_json, read_json, write_json

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 120.0
TURN, READY, STANDING_BY = "turn", "ready", "standing-by"
SHARES, FULL, LEAVES = "shares-its-gpu", "gpu-is-full", "leaves"
"""Of workers that share a GPU: there are others beside it; its memory ran out; this one is to leave when its run ends.
"""
TURN_POLL_SECONDS = 0.2  # beside a run that is being timed


def host() -> str:
    """Return the name of this machine: the node's name where Slurm started this process, else the host name."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def boot_id() -> str:
    """Return an identifier of this machine's boot and process-id namespace; host names repeat, boots do not.

    Containers of one machine share the boot, but a process id means another process in each.
    """
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return host()


def start_ticks(pid: int) -> int:
    """Return when the process was started, in clock ticks since boot: with its id, this identifies it for ever.

    Raises OSError or ValueError for a process that has ended.
    """
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def take(attempt: Path, retry: float = 0.0) -> Path | None:
    """Claim `attempt` for this process; None when another has it. Raises RecordError if the folder refuses.

    `retry` is the time at which the retry that this attempt serves was requested, in seconds since the epoch; 0 for
    none.
    """
    token = uuid.uuid4().hex
    temporary = attempt.parent / f".claim-{token}"
    claim = {"host": host(), "boot_id": boot_id(), "pid": os.getpid(), "process_began": start_ticks(os.getpid()),
             "began": time.time(), "retry": retry, "slurm_job": os.environ.get("SLURM_JOB_ID"),
             "logs": os.environ.get("BATCHSCALE_LOGS"), "token": token}
    try:
        temporary.mkdir()
        write_json(temporary / "claim.json", claim)
    except OSError as error:
        raise cannot_write(attempt, error) from None
    except RecordError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    try:
        os.rename(temporary, attempt)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        # A network file system may answer a repeated request with an error though the first one did it.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT):
            raise cannot_write(attempt, error) from None
    found = read_json(attempt / "claim.json")
    return attempt if isinstance(found, dict) and found.get("token") == token else None


def process_of(claim: Any) -> psutil.Process | None:
    """Return the process that made a claim on this machine, if it still exists. Raises KeyError, TypeError for no
    claim."""
    try:
        process = psutil.Process(claim["pid"])
        same = start_ticks(claim["pid"]) == claim["process_began"] and process.status() != psutil.STATUS_ZOMBIE
        return process if same else None
    except (OSError, ValueError, OverflowError, psutil.Error):
        return None


def alive(claim_path: Path) -> bool:
    """Return whether the process that made the claim still runs."""
    try:
        claim = load_json(claim_path)
        if claim["boot_id"] == boot_id():
            process = process_of(claim)
            if process is None or process.status() != psutil.STATUS_STOPPED:
                return process is not None
        return _age_seconds(claim_path) < STALE_SECONDS
    except (OSError, KeyError, TypeError, RecordError, psutil.Error):
        return False


def end_halted(claim_path: Path) -> None:
    """Kill the process of a superseded claim if it is stopped on this machine: its result could not be used."""
    try:
        claim = load_json(claim_path)
        process = process_of(claim) if claim["boot_id"] == boot_id() else None
        if process is not None and process.status() == psutil.STATUS_STOPPED:
            process.kill()
    except (KeyError, TypeError, RecordError, psutil.Error):
        pass


def _age_seconds(path: Path) -> float:
    """Return the seconds since `path` was touched, by its file system's clock; by this machine's if it is read-only."""
    probe = path.parent / f".now-{uuid.uuid4().hex}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink(missing_ok=True)
    except OSError:
        now = time.time()
    return now - path.stat().st_mtime


class Heartbeat:
    """Touches a claim every few seconds from a thread, for as long as the attempt lasts."""

    def __init__(self, attempt: Path) -> None:
        self._path = attempt / "claim.json"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                os.utime(self._path)
            except FileNotFoundError:
                return
            except OSError:
                continue  # a file system that hesitates once must not cost the claim

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def wait_for_turn(logs: Path, interrupted: Callable[[], str]) -> float:
    """Say in a worker's folder of logs that this rank is ready, and wait until the launcher gives the worker its turn.
    Returns the seconds waited, which an interruption ends. Raises RecordError where the folder takes no file."""
    began = time.monotonic()
    _touch(logs / f"{READY}-{os.getpid()}")
    while not (logs / TURN).exists() and not interrupted():
        time.sleep(TURN_POLL_SECONDS)
    return time.monotonic() - began


def ready_ranks(logs: Path) -> int:
    """Return how many ranks of the worker with these logs wait for its turn, or have waited."""
    return len(list(logs.glob(f"{READY}-*")))


def stand_by(logs: Path, interrupted: Callable[[], str]) -> None:
    """Say in a worker's folder of logs that it has done what there was to do, and wait until the launcher gives it
    another turn or it is interrupted. For a worker of one rank. Raises RecordError where the folder takes no file."""
    (logs / TURN).unlink(missing_ok=True)  # first, or the old turn would be taken for a new one
    _touch(logs / STANDING_BY)
    wait_for_turn(logs, interrupted)


def stands_by(logs: Path) -> bool:
    """Return whether the worker with these logs waits for another turn, or has ended while it waited."""
    return (logs / STANDING_BY).exists()


def give_turn(logs: Path) -> None:
    """Let the ranks of the worker with these logs begin. Raises RecordError where the folder takes no file."""
    (logs / STANDING_BY).unlink(missing_ok=True)
    _touch(logs / TURN)


def say(logs: Path, word: str) -> None:
    """Say one of SHARES, FULL and LEAVES of the worker with these logs. Raises RecordError where the folder takes no
    file."""
    if not said(logs, word):
        _touch(logs / word)


def unsay(logs: Path, word: str) -> None:
    """Take back what was said of the worker with these logs. Raises RecordError where the folder lets no file go."""
    try:
        (logs / word).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(logs / word, error) from None


def said(logs: Path | None, word: str) -> bool:
    """Return whether this was said of the worker with these logs; None: it has none."""
    return logs is not None and os.path.exists(logs / word)


def wait_until_alone(logs: Path | None, interrupted: Callable[[], str]) -> None:
    """Wait, where memory has run out on the GPU that the worker with these logs shares, until it shares it no more, or
    is to leave itself, or is interrupted."""
    while said(logs, SHARES) and said(logs, FULL) and not said(logs, LEAVES) and not interrupted():
        time.sleep(TURN_POLL_SECONDS)


def own_logs() -> Path | None:
    """Return the folder of logs of the worker that this process is a rank of; None where a launcher gave it none."""
    folder = os.environ.get("BATCHSCALE_LOGS")
    return Path(folder) if folder else None


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise cannot_write(path, error) from None
