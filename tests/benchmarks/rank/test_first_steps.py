"""What a first step costs once is paid before an accuracy run is timed, and changes nothing of it."""

from __future__ import annotations

import pytest

from support.one_process import found_by

pytestmark = pytest.mark.launched


@pytest.mark.parametrize(("jit", "made"), [("True", True), ("False", False)])
def test_the_first_steps_leave_no_trace(jit: str, made: bool) -> None:
    """Without jit and without a GPU no first step costs more than the next, and none is made."""
    assert found_by("first_steps.py")[jit] == {"equal": True, "moved": 0.0, "steps_were_made": made, "windows": 0}
