"""Ranks that end before any run began: the reason stands in the sentence, not only in a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchscale.launchers.local.deaths import last_words

TRACEBACK = ("Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n"
             "ModuleNotFoundError: No module named 'x'\n")
LIBRARY = "mpirun: error while loading shared libraries: libopen-rte.so.40: cannot open shared object file\nbye\n"


@pytest.mark.parametrize(("written", "code", "expected"), [
    ("batchscale-rank: no library\nlater\n", 1, "no library"),
    (TRACEBACK + "done\n", 1, "rank 0 on HOST ended with code 1 before any run began: ModuleNotFoundError: No module "
                              "named 'x'; logs: LOGS"),
    ("Fatal Python error: Segmentation fault\n\nThread 0x1:\n  File \"y.py\", line 2\n", -11,
     "rank 0 on HOST ended by signal 11 (Segmentation fault) before any run began: Fatal Python error: Segmentation "
     "fault; logs: LOGS"),
    (LIBRARY, 127, "rank 0 on HOST ended with code 127 before any run began: " + LIBRARY.splitlines()[0]
     + "; logs: LOGS"),
    ("", 3, "rank 0 on HOST ended with code 3 before any run began: nothing was written; logs: LOGS"),
])
def test_the_reason_is_in_the_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, code: int,
                                       expected: str) -> None:
    monkeypatch.setattr("batchscale.benchmarks.records.leases.host", lambda: "HOST")
    (tmp_path / "worker.log").write_text(f"batchscale-rank --results x\n{written}")
    assert last_words(tmp_path, code).replace(str(tmp_path), "LOGS") == expected


def test_a_launcher_that_failed_is_not_taken_for_a_rank(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text("horovodrun -np 2 batchscale-rank\nUnable to start\n")
    assert last_words(tmp_path, 1) == ("the ranks did not start (the program that started the ranks ended with code 1) "
                                       f"before any run began: Unable to start; logs: {tmp_path}")
