"""A rank that gets on nowhere beside a GPU without memory is not waited for as long as any other."""

from __future__ import annotations

import faulthandler
from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks.errors import EXIT_RUNS_FAILED
from batchscale.benchmarks.rank import watchdog
from batchscale.benchmarks.rank.watchdog import LEAST_BYTES, Watchdog
from batchscale.benchmarks.records.run_folder import Run


def failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None) -> list[tuple[Any, ...]]:
    """What a rank's watchdog of 2 s writes of a run in which nothing goes on, and the code with which it leaves."""
    monkeypatch.setattr(watchdog, "FULL_SECONDS", 0.6)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *words, **named: None)
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Run, "fail", lambda self, attempt, status, rank, *rest: found.append((status, rank)))
    dog = Watchdog(0.0, leave=lambda code: found.append((code,)))
    dog.seconds, dog.free_bytes = 2.0, lambda: free
    attempt = tmp_path / "attempt-01"
    attempt.mkdir()
    with dog.watching(Run(tmp_path), attempt):
        dog._watch()
    return found


def test_without_memory_it_is_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failures(tmp_path, monkeypatch, LEAST_BYTES - 1) == [("out_of_memory", 0), (EXIT_RUNS_FAILED,)]


@pytest.mark.parametrize("free", [LEAST_BYTES, None])
def test_with_memory_or_where_nothing_tells_it_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       free: int | None) -> None:
    assert failures(tmp_path, monkeypatch, free) == [("timed_out", 0), (EXIT_RUNS_FAILED,)]
