"""Limits of what is read from files, so that no input takes memory or time without end."""

from __future__ import annotations

from typing import Any


def nested_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and objects lie inside one another more than `levels` deep; found without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)
                 if isinstance(inner, (dict, list))]
        if not level:
            return False
    return bool(level)
