"""One row for each rank, phase and batch of a timing run: how long its own steps took, and where it ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from ...benchmarks.records.rows import OwnWindow

COLUMNS = ("run_id", "rank", "host", "own_step_seconds")


def rank_rows(run_id: str, windows: Sequence[OwnWindow]) -> list[dict[str, Any]]:
    """Return one row per rank and host with the keys COLUMNS, sorted by rank.

    own_step_seconds is the median over the rank's windows of seconds per step; windows without steps or time are left
    out.
    """
    found: dict[tuple[int, str], list[float]] = defaultdict(list)
    for window in windows:
        if window.steps > 0 and window.seconds > 0:
            found[window.rank, window.host].append(window.seconds / window.steps)
    return [{"run_id": run_id, "rank": rank, "host": host, "own_step_seconds": median(seconds)}
            for (rank, host), seconds in sorted(found.items())]
