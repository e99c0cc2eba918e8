"""What a worker died of where its ranks could not say: out of memory only with evidence, never by guess."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...benchmarks.errors import start_line
from ...benchmarks.records import leases
from ...benchmarks.records.failures import ending, note, read_failure, sign_of_no_memory, when_memory_ran_out
from ...benchmarks.records.json_files import read_json
from ...benchmarks.records.run_folder import Run
from ...benchmarks.text import plain

ROOT = Path("/")
STARTERS = ("mpirun", "horovodrun", "launchers.group")
MPIRUN = re.compile(r"process rank (\d+) with PID \d+ on node (\S+) exited on (signal \d+ \([^)]*\))")
HOROVODRUN = re.compile(r"Process (\d+) exit with status code (-?\d+)")
GROUP = re.compile(r"^rank (\d+) ended by (SIG[A-Z0-9]+);", re.MULTILINE)
STUCK = re.compile(r"^Timeout \(\d+:\d\d:", re.MULTILINE)  # by faulthandler, as it ends a process
TAIL_BYTES = 65_536
OWN_WORDS = "batchscale-rank:"
# The end of a traceback, a crash as faulthandler names it, a shared library or program that is not there.
ERROR_LINE = re.compile(r"^[\w.]*(Error|Exception|Exit|Interrupt)\b|^Fatal Python error|error:|No such file|not found|"
                        r"cannot open shared object")
LONGEST_LINE = 300


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
    """Return why a worker's death counts as out of memory, in a sentence; "" when nothing says so."""
    for path in (*logs.rglob("stderr"), logs / "worker.log"):
        if sign := sign_of_no_memory(_text(path)[-TAIL_BYTES:], limited):
            return f"a rank died after it wrote {sign!r}"
    if kills_before is not None and kills_after is not None and kills_after > kills_before:
        return "a rank was killed, and the kernel counted a process that it killed for want of memory"
    return ""


def explain(runs: Sequence[Run], since: float, logs: Path, kills_before: int | None, code: int | None = None) -> None:
    """Note on attempts that were begun after `since` and lost what their worker died of, and which rank died first.

    `code`: of the program that started the ranks, where it is known.
    """
    lost = [run for run in runs if attempt_of_logs(run, logs) and run.last_began() >= since and _unexplained(run)]
    kills, log = kernel_kills() if lost else None, _text(logs / "worker.log")
    rank, host, end = (-1, leases.host(), "") if code is None else dead_rank(log, code)
    for run in lost:
        attempt = run.attempts()[-1]
        if leases.said(logs, leases.FULL) and read_failure(attempt):
            continue  # it has said itself that it lacked memory beside others, and is done again
        if found := evidence(logs, kills_before, kills, run.config.memory_limit_bytes > 0):
            note(attempt, rank, host, found, logs, when_memory_ran_out(logs))
        elif STUCK.search(log):
            run.fail(attempt, "timed_out", max(rank, 0), "no progress (watchdog_seconds), and Python itself was stuck: "
                     f"its stacks are in {logs / 'worker.log'}")
        elif end:
            note(attempt, rank, host, ": ".join(filter(None, [end, said_at_start(logs)])), logs)


def said_at_start(logs: Path) -> str:
    """Return what a rank died of that died in a user's own code, as it was run for its model or data: the line that
    names the error, and the user's; "" where no rank did."""
    for path in (*sorted(logs.rglob("stderr")), logs / "worker.log"):
        text = _text(path)[-TAIL_BYTES:]
        if place := start_line(text):
            named = [line.strip() for line in text.splitlines() if ERROR_LINE.search(line)]
            return plain(". ".join([*named[-1:], place])[:LONGEST_LINE])
    return ""


def alike(runs: Sequence[Run], since: float, logs: Path) -> str:
    """Return how a run that was begun after `since` ended in a user's own code, before it trained: the same words for
    the same end; "" where none did."""
    for run in runs:
        if run.last_began() >= since and (attempt := attempt_of_logs(run, logs)):
            if start_line(str((read_failure(attempt) or {}).get("details", ""))) or said_at_start(logs):
                return ending(attempt).message
    return ""


def attempt_of_logs(run: Run, logs: Path) -> Path | None:
    """Return the run's last attempt if it has no record and ranks that log in this folder made it, else None.

    An attempt whose claim names no folder counts where its heartbeat is old: ranks of elsewhere keep theirs alive.
    """
    attempt, claim = _unrecorded(run)
    if attempt is None or (claim.get("logs") is None and leases.alive(attempt / "claim.json")):
        return None
    return attempt if claim.get("logs") in (None, str(logs.absolute())) else None


def attempts_of_job(runs: Sequence[Run], job: str) -> list[Path]:
    """Return the runs' last attempts that this Slurm job made and that left no record."""
    return [attempt for attempt, claim in map(_unrecorded, runs)
            if attempt is not None and claim.get("slurm_job") == job]


def _unrecorded(run: Run) -> tuple[Path | None, dict[str, Any]]:
    """Return the run's last attempt and its claim; None and nothing where the run has a record or no attempt."""
    attempts = [] if run.has_record else run.attempts()
    claim = read_json(attempts[-1] / "claim.json") if attempts else None
    return (attempts[-1] if attempts else None), (claim if isinstance(claim, dict) else {})


def dead_rank(log: str, code: int) -> tuple[int, str, str]:
    """Rank, host and how it ended: the first rank that a signal ended, as the program that started it tells.

    >>> dead_rank("mpirun noticed that process rank 1 with PID 0 on node g9 exited on signal 9 (Killed).", 137)
    (1, 'g9', 'ended by signal 9 (Killed)')
    >>> dead_rank("rank 1 ended by SIGKILL; the others are stopped", 137)[::2]
    (1, 'ended by signal 9 (Killed)')
    """
    if found := MPIRUN.search(log):
        return int(found[1]), found[2], f"ended by {found[3]}"
    for line in HOROVODRUN.finditer(log):
        if (status := int(line[2])) < 0 or status > 128:
            return int(line[1]), leases.host(), _ended_by(-status if status < 0 else status - 128)
    if found := GROUP.search(log):
        return int(found[1]), leases.host(), _ended_by(signal.Signals[found[2]])
    end = how_ended(code)
    if any(name in log.partition("\n")[0] for name in STARTERS):
        return -1, leases.host(), f"the program that started the ranks {end}"
    return 0, leases.host(), end


def last_words(logs: Path, code: int) -> str:
    """Return why the ranks ended that began nothing: the last message of a rank's own, else the last line that names an
    error, with how they ended and where their logs are."""
    log = _text(logs / "worker.log")
    texts = [*map(_text, sorted(logs.rglob("stderr"))), log.partition("\n")[2]]
    lines = [line.strip() for text in texts for line in text[-TAIL_BYTES:].splitlines() if line.strip()]
    if own := [line for line in lines if OWN_WORDS in line]:
        return own[-1].partition(OWN_WORDS)[2].strip()
    named = [line for line in lines if ERROR_LINE.search(line)]
    rank, host, end = dead_rank(log, code)
    who = f"rank {rank} on {host}" if rank >= 0 else "the ranks"
    said = (named or lines or ["nothing was written"])[-1][:LONGEST_LINE]
    return f"{who} {end if rank >= 0 else f'did not start ({end})'} before any run began: {plain(said)}; logs: {logs}"


def how_ended(code: int) -> str:
    """Return how a process ended, from its code as subprocess gives it: negative for a signal."""
    return _ended_by(-code) if code < 0 else f"ended with code {code}"


def _ended_by(number: int) -> str:
    try:
        return f"ended by signal {number:d} ({signal.strsignal(number)})"
    except ValueError:
        return f"ended by signal {number}"


def _unexplained(run: Run) -> bool:
    attempt = run.attempts()[-1]
    failure = read_failure(attempt)
    return (failure is None or failure.get("status") == "lost") and not leases.alive(attempt / "claim.json")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
