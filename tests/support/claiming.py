"""Processes of their own that claim runs at once; in a module that a spawned child can import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.synthetic_records import record_for

from batchscale.benchmarks.records.store import Store


def claim_one(folder: str, run_id: str, barrier: Any, wins: Any) -> None:
    barrier.wait()
    if Store(Path(folder)).run(run_id).claim() is not None:
        with wins.get_lock():
            wins.value += 1
    barrier.wait()  # stay alive until all have tried


def finish_all(folder: str, barrier: Any, wins: Any) -> None:
    store = Store(Path(folder))
    barrier.wait()
    while (taken := store.claim_next(store.runs())) is not None:
        taken[0].finish(taken[1], record_for(taken[0].config))
        with wins.get_lock():
            wins.value += 1
