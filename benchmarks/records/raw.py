"""Parts of a record that may be missing or of another type than they should be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def number(value: object) -> float:
    """The value as a float; NaN for null, text and what else is no number."""
    if isinstance(value, (int, float)):
        return float(value)
    return math.nan


def table_in(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def list_in(record: Mapping[str, Any], name: str) -> list[Any]:
    value = record.get(name)
    return value if isinstance(value, list) else []
