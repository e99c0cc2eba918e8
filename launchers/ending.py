"""How an attempt without a record ended: what its first failing rank wrote, or what the launcher saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..benchmarks.store import read_json, write_json

LAUNCHER = "launcher.json"  # by the launcher alone, beside the failure.json of the first rank that could still write


@dataclass(frozen=True)
class Ending:
    """`where`: rank and host; `message`: the first line of the error."""

    status: str
    where: str
    message: str
    logs: str = ""


def note(attempt: Path, rank: int, host: str, message: str, logs: Path) -> None:
    """Keep which rank's end the launcher saw: a killed rank writes nothing, its peers only that it is gone."""
    if not (attempt / LAUNCHER).exists():
        write_json(attempt / LAUNCHER, {"rank": rank, "host": host, "message": message, "logs": str(logs)})


def ending(attempt: Path) -> Ending:
    """The launcher's word counts where the ranks only say that a peer is gone, or nothing."""
    failure, seen = (read_json(attempt / name) for name in ("failure.json", LAUNCHER))
    failure = failure if isinstance(failure, dict) else {"status": "lost", "message": "nothing was written"}
    seen = seen if isinstance(seen, dict) else {}
    told = {**failure, **seen, "error": ""} if failure.get("status") == "lost" and seen else failure
    rank = "the launcher" if told.get("rank") == -1 else f"rank {told.get('rank', '?')}"
    message = ": ".join(str(told[name]) for name in ("error", "message") if told.get(name))
    where = f"{rank} on {told.get('host', '?')}"
    return Ending(str(failure.get("status")), where, message, str(seen.get("logs") or ""))
