"""The reference page is the code's."""

from __future__ import annotations

from pathlib import Path

from batchscale.launchers.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_is_generated_from_the_code() -> None:
    assert PAGE.read_text() == page(), "make reference"
