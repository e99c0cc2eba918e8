"""A pipeline that does not fit in memory is refused in a sentence before memory runs out."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.launching import environment, PROGRAMS

pytestmark = [pytest.mark.launched, pytest.mark.slow]
ROOM = 1_000_000_000  # bytes that script_memory.py leaves to itself


def test_what_does_not_fit_in_memory_is_refused_and_what_does_is_taken() -> None:
    done = subprocess.run([sys.executable, str(PROGRAMS / "script_memory.py")], capture_output=True, text=True,
                          env=environment(), timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["small"][0] == 20_000
    for case in ("large", "large pipeline"):
        said, grown = found[case]
        assert "streams.py" in said and "does not fit in memory" in said and "reads while training" in said
        assert grown < ROOM
