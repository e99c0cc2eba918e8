"""Numbers, lists, durations and foreign text as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable


def plain(text: object) -> str:
    r"""Return one line of visible characters: control characters, and bytes that are no text, are spelt out.

    >>> print(plain("a\nb \x1b[2J\udcff é"))
    a\nb \x1b[2J\udcff é
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode()
                   for letter in str(text))


UNKNOWN = "not known"


def number(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits; large ones with thousands separated. Not finite: "not
    known"."""
    if not math.isfinite(value):
        return UNKNOWN
    if value and (abs(value) >= 1e15 or abs(value) < 1e-4):
        return f"{value:.{digits - 1}e}"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0) if value else 0
    return f"{value:,.{places}f}"


def rounded(value: float, places: int) -> str:
    """Return a number to `places` decimals, thousands separated; below 0 to tens, hundreds and so on.

    >>> rounded(2156171.0, -4), rounded(-0.0004, 2)
    ('2,160,000', '0.00')
    """
    if not math.isfinite(value):
        return UNKNOWN if math.isnan(value) else "unbounded"
    shown = round(value, places) + 0.0
    if shown and (abs(shown) >= 1e15 or places > 9):
        return f"{shown:.{max(places + math.floor(math.log10(abs(shown))), 0)}e}"
    return f"{shown:,.{max(places, 0)}f}"


def percent(fraction: float, places: int = 0, signed: bool = False) -> str:
    """Return a fraction as per cent: `50 %`, `+3.2 %`; "not known" where it is not finite.

    >>> percent(0.5), percent(0.0316, 1, signed=True)
    ('50 %', '+3.2 %')
    """
    written = rounded(100 * fraction, places)
    sign = "+" if signed and written[0].isdigit() else ""
    return f"{sign}{written} %" if math.isfinite(fraction) else UNKNOWN


ONE_PLACE = 10.0  # times: two sides of an interval that differ by less are written to the same place
DEGENERATE = 1e-9  # of its value: the width of an interval below which it is rounding, and no spread was seen


def with_ends(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Return a value and the ends of its interval, to two digits of the interval's half width, or to as many as give
    the value three significant digits where that is fewer, but never to less than one digit of the half width.

    Where one side is far longer than the other, each end goes by its own side and the value by the shorter one. An end
    that would be written as 0 keeps one digit, as on which side of 0 it lies matters. An interval without width leaves
    three significant digits.

    >>> with_ends(2156171.0, 2057768.0, 2264564.0)
    ('2,160,000', '2,060,000', '2,260,000')
    >>> with_ends(93.61, 93.56, 93.66)
    ('93.61', '93.56', '93.66')
    >>> with_ends(0.381, 0.192, 124.3)
    ('0.38', '0.19', '120')
    >>> with_ends(0.5, -0.0004, 1.0)
    ('0.50', '-0.0004', '1.00')
    """
    sides = [value - low, high - value]
    known = [side for side in sides if math.isfinite(side) and side > DEGENERATE * abs(value)]
    if not known:
        return number(value), number(low), number(high)
    places = [_places(side if side in known else known[0], value) for side in sides]
    if max(known) < ONE_PLACE * min(known):
        places = [max(places)] * 2
    ends = [rounded(end, place if not end or abs(end) * 10.0 ** place >= 0.5 else -math.floor(math.log10(abs(end))))
            for end, place in zip((low, high), places)]
    return rounded(value, max(places)), ends[0], ends[1]


def _places(half: float, value: float) -> int:
    """Decimals that show two digits of `half`, or one where three digits of `value` are shown; 9.96 is 10 to two
    digits."""
    two = 1 - math.floor(math.log10(half * 1.005))
    enough = 2 - math.floor(math.log10(abs(value))) if value else two
    return min(two, max(two - 1, enough))


def counted(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: `1 run`, `2 runs`, `1,024 batches`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return the names as `a, b and c`, each once; beyond `most` the rest is counted."""
    items = list(dict.fromkeys(names))
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def duration(seconds: float) -> str:
    """Return a duration in words: `42 s`, `3 min 20 s`, `2 h 5 min`; "not known" where it is not finite."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def byte_count(value: float) -> str:
    """Return a number of bytes in the largest binary unit, up to GiB, that leaves 1 or more; "not known" if not
    finite."""
    if not math.isfinite(value):
        return UNKNOWN
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if abs(value) >= 1024 ** power:
            return f"{number(value / 1024 ** power)} {unit}"
    return f"{value:.0f} B"
