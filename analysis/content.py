"""What a report is made of, before it is HTML or Markdown: sections of sentences, figures and tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .estimate import Estimate

LONGEST_TABLE = 40
UNKNOWN = "not known"


class Drawing(str):
    """SVG text made by this package, and the points it shows: rows of columns.FIGURE."""

    rows: tuple[tuple[object, ...], ...]

    def __new__(cls, svg: str, rows: Iterable[tuple[object, ...]]) -> Drawing:
        made = super().__new__(cls, svg)
        made.rows = tuple(rows)
        return made


@dataclass(frozen=True)
class Figure:
    """One panel, and what it shows in plain text."""

    name: str
    title: str
    svg: Drawing
    caption: str


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


@dataclass(frozen=True)
class Section:
    """One heading of the report. Where nothing was measured, `text` says so and there are no figures.

    `listing`: a file's text, such as a plan, set as it stands.
    """

    anchor: str
    title: str
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    listing: str = ""
    listing_title: str = ""


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "",
          numbers: Iterable[int] = (), fold: str = "", longest: int = LONGEST_TABLE) -> tuple[Table, ...]:
    """One table, or none without rows; rows beyond `longest` are counted, not shown."""
    written = [tuple(str(cell) for cell in row) for row in rows]
    if not written:
        return ()
    return (Table(tuple(header), tuple(written[:longest]), caption, frozenset(numbers),
                  max(len(written) - longest, 0), fold),)


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits; large ones with thousands separated."""
    if not math.isfinite(value):
        return UNKNOWN
    if value and (abs(value) >= 1e15 or abs(value) < 1e-4):
        return f"{value:.{digits - 1}e}"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{places}f}"


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


def counted(count: int, singular: str, plural: str = "") -> str:
    """`1 run`, `2 runs`, `1,024 batches`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """`a, b and c`; beyond `most` the rest is counted."""
    items = list(dict.fromkeys(names))
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def byte_count(value: float) -> str:
    """Bytes in the largest binary unit that leaves 1 or more."""
    if not math.isfinite(value):
        return UNKNOWN
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if abs(value) >= 1024 ** power:
            return f"{number(value / 1024 ** power)} {unit}"
    return f"{value:.0f} B"
