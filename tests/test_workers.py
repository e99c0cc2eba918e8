"""Ending what is left of a worker ends nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchscale.benchmarks.errors import RecordError
from batchscale.launchers import workers

Started = list[subprocess.Popen[bytes]]


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Started]:
    """Processes of a worker in one folder and of one in another, by the same path within it; and a stranger."""
    places = [{"BATCHSCALE_LOGS": str(tmp_path / name / "logs" / "single-01")} for name in ("mine", "other")]
    started = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, **place})
               for place in (*places, {})]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_only_the_ranks_that_log_there_are_ended(
        tmp_path: Path, sleepers: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    workers.kill_left(Path("logs/single-01"))
    assert sleepers[0].wait(10) == -9
    assert [process.poll() for process in sleepers[1:]] == [None, None]


def test_logs_that_cannot_be_made_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write .*file/single-01: .*--results"):
        workers.fresh_folder(tmp_path / "file", "single")
