"""Estimates, percentages and tables as text for people."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..benchmarks.text import UNKNOWN, number
from .statistics.estimate import Estimate

LONGEST_TABLE = 40


@dataclass(frozen=True)
class Table:
    """Rows of plain text; `numbers` are the columns set flush right. `fold`: what a reader opens to see
    it; "" shows it at once."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numbers: frozenset[int] = frozenset()
    left_out: int = 0
    fold: str = ""


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "",
          numbers: Iterable[int] = (), fold: str = "", longest: int = LONGEST_TABLE) -> tuple[Table, ...]:
    """One table, or none without rows; rows beyond `longest` are counted, not shown."""
    written = [tuple(str(cell) for cell in row) for row in rows]
    if not written:
        return ()
    return (Table(tuple(header), tuple(written[:longest]), caption, frozenset(numbers),
                  max(len(written) - longest, 0), fold),)


def estimated(estimate: Estimate, unit: str = "", digits: int = 3) -> str:
    """Value, interval and n, as every number in a report is written."""
    return _written(estimate, lambda value: number(value, digits), f" {unit}" if unit else "")


def percentage(estimate: Estimate, places: int = 1, signed: bool = False) -> str:
    """A fraction as percent, with interval and n; `signed` writes differences in percentage points."""
    sign = "+" if signed else ""
    return _written(estimate, lambda value: f"{value * 100:{sign}.{places}f}", " points" if signed else " %")


def _written(estimate: Estimate, write: Callable[[float], str], unit: str) -> str:
    if not math.isfinite(estimate.value):
        return f"{UNKNOWN} (n = {estimate.n})"
    interval = "no interval"
    if estimate.has_interval:
        interval = f"{write(estimate.low)} to {write(estimate.high)}"
    return f"{write(estimate.value)}{unit} ({interval}, n = {estimate.n})"


MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
# What has a meaning in Markdown; a run's name must stay text.
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~$])")


def plain(text: str) -> str:
    """Text that stays text in Markdown: one line, its special characters escaped.

    >>> plain("<b> a_b")
    '\\\\<b\\\\> a\\\\_b'
    """
    return MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def what_ran(optimizer: str, model: str, *more: str) -> str:
    """Return "sgd on mlp_128, mirrored": optimizer, model and more, without what an imported table does not name."""
    return ", ".join(part for part in (" on ".join(name for name in (optimizer, model) if name), *more) if part)
