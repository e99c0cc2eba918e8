"""Numbers, lists, durations and foreign text as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable


def plain(text: object) -> str:
    r"""One line whose every character can be seen: control characters, and bytes that are no text, are spelt out.

    >>> print(plain("a\nb \x1b[2J\udcff é"))
    a\nb \x1b[2J\udcff é
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode()
                   for letter in str(text))


UNKNOWN = "not known"


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits; large ones with thousands separated."""
    if not math.isfinite(value):
        return UNKNOWN
    if value and (abs(value) >= 1e15 or abs(value) < 1e-4):
        return f"{value:.{digits - 1}e}"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{places}f}"


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
