"""How an attempt without a record ended: what its first failing rank wrote, and what the launcher saw.

A rank whose allocator gives up, or that the kernel kills, can write nothing, and its peers only that it is gone. The
launcher, which sees what it printed and how it ended, then has the last word.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordError, start_line
from . import leases
from .json_files import put, read_json, write_json

FAILURE = "failure.json"
LAUNCHER = "launcher.json"  # by the launcher alone
OUT_OF_MEMORY = "out_of_memory"
# What C++, CUDA and the C library write when there is no memory left; TensorFlow's own error has a type.
NO_MEMORY = ("std::bad_alloc", "OOM when allocating", "CUDA_ERROR_OUT_OF_MEMORY", "cudaErrorMemoryAllocation",
             "Cannot allocate memory", "mmap error: 12", "MemoryError", "ResourceExhaustedError", "RESOURCE_EXHAUSTED",
             # of a GPU: a copy that found no room, the libraries' own handles, NCCL's buffers, XLA's allocator
             "Dst tensor is not initialized", "CUBLAS_STATUS_ALLOC_FAILED", "failed to create cublas handle",
             "CUDNN_STATUS_ALLOC_FAILED", "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
             "Cuda failure 2 'out of memory'", "Out of memory while trying to allocate")
# No room for a thread's stack, where the memory is limited; elsewhere it may be the number of threads that is.
NO_STACK = ("can't start new thread", "pthread_create() failed", "Resource temporarily unavailable")


def sign_of_no_memory(text: str, limited: bool = False) -> str:
    """Return the words in `text` that show that memory ran out; "" when there are none.

    limited: the process had a memory limit of its own.
    """
    return next((sign for sign in NO_MEMORY + (NO_STACK if limited else ()) if sign in text), "")


def when_memory_ran_out(logs: Path | None) -> str:
    """Return the status of a run that found no memory: OUT_OF_MEMORY, which is a result, but for one whose worker, with
    these logs, shares its GPU: "lost", so that it is done again, and the launcher hears that the GPU is full."""
    if not leases.said(logs, leases.SHARES) or logs is None:
        return OUT_OF_MEMORY
    with suppress(RecordError):  # the run's own end is told in any case
        leases.say(logs, leases.FULL)
    return "lost"


def write_failure(attempt: Path, status: str, rank: int, error: BaseException | str, trace: str = "",
                  host: str = "") -> None:
    """Create failure.json exclusively, so that the first failing rank's reason is kept. `host`: the rank's, if not
    this one."""
    kind = type(error).__name__ if isinstance(error, BaseException) else ""
    message, line = cause(str(error)) or kind, start_line(trace)
    message = f"{message.removesuffix('.')}. {line}" if line else message
    value = {"status": status, "rank": rank, "host": host or leases.host(), "error": kind, "message": message,
             "details": trace[-20_000:]}
    temporary = attempt / f".failure.{rank}.{uuid.uuid4().hex[:6]}"
    try:
        temporary.write_text(json.dumps(value, indent=1))
        put(temporary, attempt / FAILURE)
    except OSError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def cause(text: str) -> str:
    """Return the line of an error's text that names the cause: the first, but in a graph's the one above its node.

    >>> cause("Graph execution error:\\n\\nDetected at node x\\nOOM when allocating\\n\\t [[{{node x}}]] [Op:loop]")
    'OOM when allocating'
    """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    at = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[[{{node")), 0)
    return lines[max(at - 1, 0)].strip() if lines else ""


def note(attempt: Path, rank: int, host: str, message: str, logs: Path, status: str = "") -> None:
    """Write what the launcher saw of the attempt's end. `status`: what it knows better than ranks that lost a peer."""
    if not (attempt / LAUNCHER).exists():
        write_json(attempt / LAUNCHER, {"rank": rank, "host": host, "message": message, "logs": str(logs),
                                        **({"status": status} if status else {})})


def read_failure(attempt: Path) -> dict[str, Any] | None:
    """Return why the attempt ended; None when neither a rank nor the launcher has written a reason."""
    failure, seen = (read_json(attempt / name) for name in (FAILURE, LAUNCHER))
    unexplained = not isinstance(failure, dict) or failure.get("status") == "lost"
    if unexplained and isinstance(seen, dict) and seen.get("status") == OUT_OF_MEMORY:
        return seen
    return failure if isinstance(failure, dict) else None


@dataclass(frozen=True)
class Ending:
    """End of an attempt in words: `where` is rank and host, `message` the first line of the error."""

    status: str
    where: str
    message: str
    logs: str = ""


def ending(attempt: Path) -> Ending:
    """Return the end of an attempt in words for people.

    The launcher's message is used where the ranks wrote nothing, or only that a peer is gone.
    """
    seen, claim = (read_json(attempt / name) for name in (LAUNCHER, "claim.json"))
    seen, claim = (value if isinstance(value, dict) else {} for value in (seen, claim))
    failure = read_failure(attempt) or {
        "status": "lost", "rank": 0, "host": claim.get("host", "?"),
        "message": "nothing was written: the process is gone, and so is its launcher"}
    said = {**failure, **seen, "error": ""} if failure.get("status") == "lost" and seen else failure
    rank = "the launcher" if said.get("rank") == -1 else f"rank {said.get('rank', '?')}"
    message = ": ".join(str(said[name]) for name in ("error", "message") if said.get(name))
    where = f"{rank} on {said.get('host', '?')}"
    return Ending(str(failure.get("status")), where, message, str(seen.get("logs") or claim.get("logs") or ""))
