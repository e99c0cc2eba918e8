"""What a worker died of where its ranks could not say: out of memory only with evidence, never by guess."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..benchmarks import claims
from ..benchmarks.endings import OUT_OF_MEMORY, note, sign_of_no_memory, told
from ..benchmarks.store import Run

ROOT = Path("/")
TAIL_BYTES = 65_536


def kernel_kills(root: Path = ROOT) -> int | None:
    """Processes that the kernel has killed for want of memory, in this process' control group or, where that does not
    count them, on this machine; None where nothing tells."""
    groups = _text(root / "proc/self/cgroup").splitlines()
    paths = {line.split(":", 2)[1]: line.split(":", 2)[2].lstrip("/") for line in groups if line.count(":") >= 2}
    places = [root / "sys/fs/cgroup" / paths[""] / "memory.events"] if "" in paths else []
    places += [root / "sys/fs/cgroup/memory" / path / "memory.oom_control" for name, path in paths.items()
               if "memory" in name.split(",")]
    for place in (*places, root / "proc/vmstat"):
        for line in _text(place).splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.strip().isdigit():
                return int(count)
    return None


def evidence(logs: Path, kills_before: int | None, kills_after: int | None, limited: bool = False) -> str:
    """Why a worker's death counts as out of memory, in a sentence; "" when nothing says so."""
    for path in (*logs.rglob("stderr"), logs / "worker.log"):
        if sign := sign_of_no_memory(_text(path)[-TAIL_BYTES:], limited):
            return f"a rank died after it wrote {sign!r}"
    if kills_before is not None and kills_after is not None and kills_after > kills_before:
        return "a rank was killed, and the kernel counted a process that it killed for want of memory"
    return ""


def explain(runs: Sequence[Run], since: float, logs: Path, kills_before: int | None) -> None:
    """Note on attempts that were begun after `since` and lost what their worker died of, where there is evidence."""
    lost = [run for run in runs if not run.record_path.exists() and run.last_began() >= since and _unexplained(run)]
    kills = kernel_kills() if lost else None
    for run in lost:
        if found := evidence(logs, kills_before, kills, run.config.memory_limit_bytes > 0):
            note(run.attempts()[-1], -1, claims.host(), found, logs, OUT_OF_MEMORY)


def _unexplained(run: Run) -> bool:
    attempt = run.attempts()[-1]
    said = told(attempt)
    return (said is None or said.get("status") == "lost") and not claims.alive(attempt / "claim.json")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
