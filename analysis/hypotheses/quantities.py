"""How the numbers of claims are written: differences of accuracies in percentage points, others as they are."""

from __future__ import annotations


def in_points(quantity: str) -> bool:
    """Return whether the quantity is a difference of accuracies, which is written in percentage points."""
    return ("accuracy" in quantity or "gap" in quantity) and "in loss" not in quantity


def written_margin(quantity: str, margin: float) -> str:
    """Return a margin in the unit of the quantity."""
    return f"{100 * margin:g} points" if in_points(quantity) else f"{margin:g}"
