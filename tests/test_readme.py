"""The README's reference tables are the code's."""

from __future__ import annotations

from pathlib import Path

from batchscale.benchmarks import plan_keys, schema

README = Path(__file__).parent.parent / "README.md"


def test_the_reference_is_generated_from_the_code() -> None:
    text = README.read_text()
    assert plan_keys.reference() in text, "write plan_keys.reference() into the README"
    assert schema.reference() in text, "write schema.reference() into the README"
