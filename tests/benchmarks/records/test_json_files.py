"""Files of JSON are those that json.dumps would write with an indent of one, byte for byte."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from batchscale.benchmarks.records.json_files import indented, read_json, write_json

TEXTS = st.text(max_size=8) | st.sampled_from(["\u2028", "\ud800", "a\ud83d\ude00", "[1, 2]", '{"a": "b"}'])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1e16, 1e-5, -0.0, 10**40])
VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | TEXTS,
                      lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_a_value_is_written_as_python_writes_it(value: Any) -> None:
    assert indented(value) == json.dumps(value, indent=1).encode()


@pytest.mark.parametrize("value", [math.nan, {"loss": [math.inf]}])
def test_numbers_that_json_has_not_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        indented(value)


def test_a_file_holds_what_was_written_with_null_for_what_is_not_finite(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "file.json", {"name": "é", "losses": (0.1, math.nan), "none": {}})
    text = (tmp_path / "new" / "file.json").read_text(encoding="ascii")
    assert text == json.dumps({"name": "é", "losses": [0.1, None], "none": {}}, indent=1)
    assert read_json(tmp_path / "new" / "file.json") == {"name": "é", "losses": [0.1, None], "none": {}}
