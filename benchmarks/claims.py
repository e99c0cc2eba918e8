"""A claim says which process runs an attempt, and whether it still lives.

The attempt folder is made under a temporary name with its claim inside and renamed into place: a rename onto a folder
that is not empty fails, so exactly one process gets it. On this machine a claim is alive while its process is; one from
another machine while its heartbeat is fresh by the file system's own clock.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
import uuid
from pathlib import Path

import psutil

from .errors import RecordError
from .json_files import cannot_write, load_json, write_json

HEARTBEAT_SECONDS = 15.0
STALE_SECONDS = 120.0


def host() -> str:
    """The name by which this machine is asked for: the node's where Slurm started this process."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def boot_id() -> str:
    """Which start of which machine this is; host names repeat, boots do not."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return host()


def take(attempt: Path, retry: bool = False) -> Path | None:
    """Claim `attempt` for this process; None when another has it. Raises RecordError if the folder refuses."""
    temporary = attempt.parent / f".claim-{uuid.uuid4().hex}"
    process = psutil.Process()
    claim = {"host": host(), "boot_id": boot_id(), "pid": process.pid, "process_began": process.create_time(),
             "began": time.time(), "retry": retry, "slurm_job": os.environ.get("SLURM_JOB_ID")}
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
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        return None
    return attempt


def alive(claim_path: Path) -> bool:
    """Whether the process that made the claim still runs."""
    try:
        claim = load_json(claim_path)
        if claim["boot_id"] == boot_id():
            return bool(abs(psutil.Process(claim["pid"]).create_time() - claim["process_began"]) < 1.0
                        and psutil.Process(claim["pid"]).status() != psutil.STATUS_ZOMBIE)
        return _age_seconds(claim_path) < STALE_SECONDS
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecordError, psutil.Error):
        return False


def _age_seconds(path: Path) -> float:
    """Seconds since `path` was touched, by the clock of the file system that holds it; by ours if it is read-only."""
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
            except OSError:
                return

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
