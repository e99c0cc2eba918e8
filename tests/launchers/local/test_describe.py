"""A user's code runs in a child process: what it writes, reads and breaks there is no answer and no output of ours."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.launchers.local.describe import Describer

MODULE = """
import ctypes, os, sys, time
import numpy as np

def loud():
    print("loading")
    os.system("echo downloading")
    assert sys.stdin.read() == ""
    return (np.zeros((20, 3), "float32"), np.arange(20) % 2), (np.zeros((4, 3), "float32"), np.arange(4) % 2)

def exits():
    os._exit(7)

def crashes():
    ctypes.string_at(0)

def waits():
    time.sleep(60)

def wrong():
    return {}["train"]
"""


@pytest.fixture
def plan(tmp_path: Path) -> str:
    """The path of a plan beside which the module lies."""
    (tmp_path / "theirs.py").write_text(MODULE)
    return str(tmp_path / "plan.toml")


def test_what_a_users_code_writes_is_not_shown_and_is_no_answer(plan: str, capfd: pytest.CaptureFixture[str]) -> None:
    with Describer(plan) as asked:
        assert [asked.train_examples("theirs:loud", fraction) for fraction in (0.0, 0.25)] == [20, 15]
    assert capfd.readouterr() == ("", "") and "theirs" not in sys.modules


def test_a_refusal_leaves_the_child_answering(plan: str) -> None:
    with Describer(plan) as asked:
        with pytest.raises(PlanError, match="raised KeyError: 'train'"):
            asked.train_examples("theirs:wrong", 0.0)
        assert asked.train_examples("theirs:loud", 0.0) == 20


@pytest.mark.parametrize(("function", "seconds", "message"), [
    ("exits", 60, r"ended with code 7: it wrote nothing\.$"),
    ("crashes", 60, r"ended by signal 11 \(Segmentation fault\): Fatal Python error: Segmentation fault, at File "
                    r'".*theirs.py", line 15 in crashes'),
    ("waits", 1, r'not described within 1 s \(watchdog_seconds\): it was at File ".*theirs.py", line 18 in waits'),
])
def test_code_that_ends_or_keeps_the_child_is_named(plan: str, function: str, seconds: float, message: str) -> None:
    with Describer(plan, seconds) as asked, pytest.raises(PlanError) as told:
        asked.train_examples(f"theirs:{function}", 0.0)
    assert re.search(message, str(told.value)), str(told.value)
