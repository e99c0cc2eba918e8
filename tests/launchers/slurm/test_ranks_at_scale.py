"""The control path of a job of many ranks: no step of it grows faster than their number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.launching import environment

TESTS = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.launched
def test_no_step_grows_faster_than_the_number_of_ranks() -> None:
    done = subprocess.run([sys.executable, "-m", "soak.ranks_at_scale", "16", "128"], cwd=TESTS, text=True,
                          capture_output=True, timeout=300, env=environment(PYTHONPATH=str(TESTS)))
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "faster than the number of ranks grows: nothing" in done.stdout
    read = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if "reads the plan" in line}
    assert read == {"16": str(50 + 15), "128": str(50 + 127)}, "each further rank reads one file of the plan's runs"
