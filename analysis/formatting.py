"""Estimates, percentages and tables as text for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..benchmarks.config import script
from ..benchmarks.text import DEGENERATE, number, rounded, UNKNOWN, with_ends
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
    """Return a tuple with one table, empty without rows; rows beyond `longest` are counted and not shown."""
    written = [tuple(str(cell) for cell in row) for row in rows]
    if not written:
        return ()
    return (Table(tuple(header), tuple(written[:longest]), caption, frozenset(numbers),
                  max(len(written) - longest, 0), fold),)


def estimated(estimate: Estimate, unit: str = "", digits: int = 3, resolution: float = 0.0) -> str:
    """Return value, interval and n as reports write every number, in as many digits as the interval's half width
    allows (`with_ends`).

    digits: significant ones of a value without an interval. resolution: what one test example, evaluation or tick of a
    timer amounts to; an interval narrower than that is not printed, as it shows no spread but the grid, and that is
    said.
    """
    return _written(estimate, f" {unit}" if unit else "", number(estimate.value, digits), resolution)


def percentage(estimate: Estimate, places: int = 1, signed: bool = False, resolution: float = 0.0) -> str:
    """Return a fraction as per cent, with interval and n; `signed` writes a difference in percentage points.

    places: decimals of a value without an interval. resolution: as a fraction; see `estimated`.
    """
    shown = estimate.scaled(100)
    return _written(shown, " points" if signed else " %", rounded(shown.value, places), 100 * resolution, signed)


def brief(estimate: Estimate, unit: str = "", digits: int = 3) -> str:
    """Return value and interval without n, for places that say once what n counts: `1,730 examples (910 to 3,280)`.

    digits: significant ones of a value without an interval.
    """
    behind = f" {unit}" if unit else ""
    if not math.isfinite(estimate.value):
        return UNKNOWN
    if not estimate.has_interval or degenerate(estimate):
        return f"{number(estimate.value, digits)}{behind}"
    value, low, high = with_ends(estimate.value, estimate.low, estimate.high)
    return f"{value}{behind} ({low} to {high})"


SECONDS = (("h", 3600.0, 2.0), ("min", 60.0, 2.0), ("s", 1.0, 1.0), ("ms", 1e-3, 1.0), ("µs", 1e-6, 0.0))
DEVICE_TIME = {"h": "device-hours", "min": "device-minutes", "s": "device-seconds"}


def written_seconds(estimate: Estimate, of_devices: bool = False) -> str:
    """Return a time and its interval in the unit that suits it: `3.2 min (2.9 to 3.5)`, `28 ms (13 to 64)`; of all
    devices together `2.9 device-seconds (2.6 to 3.1)`."""
    unit, size = next(((name, each) for name, each, least in SECONDS if abs(estimate.value) >= least * each),
                      ("s", 1.0))
    if of_devices:
        unit, size = (unit, size) if unit in DEVICE_TIME else ("s", 1.0)
    return brief(estimate.scaled(1 / size), DEVICE_TIME[unit] if of_devices else unit)


def degenerate(estimate: Estimate, resolution: float = 0.0) -> bool:
    """Return whether an interval is narrower than `resolution`, or is there by rounding alone."""
    narrowest = max(resolution, DEGENERATE * abs(estimate.value))
    return estimate.has_interval and estimate.high - estimate.low < narrowest


def _written(estimate: Estimate, unit: str, bare: str, resolution: float, signed: bool = False) -> str:
    if not math.isfinite(estimate.value):
        return f"{UNKNOWN} ({estimate.counted})"
    sign = "+" if signed else ""
    if not estimate.has_interval:
        return f"{_signed(bare, sign)}{unit} (no interval, {estimate.counted})"
    if degenerate(estimate, resolution):
        seen = estimate.high - estimate.low > DEGENERATE * abs(estimate.value)
        limit = "closer than can be told" if seen else "alike"
        return f"{_signed(bare, sign)}{unit} ({limit}, {estimate.counted})"
    value, low, high = (_signed(part, sign) for part in with_ends(estimate.value, estimate.low, estimate.high))
    return f"{value}{unit} ({low} to {high}, {estimate.counted})"


def _signed(written: str, sign: str) -> str:
    return sign + written if written[0].isdigit() else written


MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
# What has a meaning in Markdown; a run's name must stay text.
MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~$])")


def plain(text: str) -> str:
    """Return text as one line that Markdown shows unchanged, its special characters escaped.

    >>> plain("<b> a_b")
    '\\\\<b\\\\> a\\\\_b'
    """
    return MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def what_ran(optimizer: str, model: str, *more: str) -> str:
    """Return "sgd on mlp_128, mirrored": optimizer, model and more, without what an imported table does not name."""
    both = " on ".join(name for name in (optimizer, script.shown(model)) if name)
    return ", ".join(part for part in (both, *more) if part)
