"""Where a curve passes a value between two of its points, by a cubic that never leaves the range of the two.

It is Fritsch and Butland's: piecewise Hermite, its slope at a point the weighted harmonic mean of the secants on both
sides, 0 where these differ in sign (SIAM J. Sci. Stat. Comput. 5, 1984). In plain numbers, since a report asks for
some passings of every run, and scipy's interpolator of four points takes a hundred times as long to be made.
"""

from __future__ import annotations

from collections.abc import Sequence

HALVINGS = 60  # of an interval, after which no number lies between its ends


def reached_at(x: Sequence[float], y: Sequence[float], left: int, target: float) -> float:
    """Return where the cubic through the points first is `target`, which lies above y[left] and not above y[left + 1].

    x: ascending. Only the points beside the two have a part in it.
    """
    width, rise = x[left + 1] - x[left], y[left + 1] - y[left]
    start, end = slope(x, y, left) * width, slope(x, y, left + 1) * width
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        t = (low + high) / 2
        if t in (low, high):
            break
        value = y[left] + t * (start + t * (3 * rise - 2 * start - end + t * (start + end - 2 * rise)))
        low, high = (t, high) if value < target else (low, t)
    return x[left] + high * width


def slope(x: Sequence[float], y: Sequence[float], at: int) -> float:
    """Return the cubic's slope at one of the points."""
    if len(x) == 2:
        return (y[1] - y[0]) / (x[1] - x[0])
    if 0 < at < len(x) - 1:
        (before, first), (after, second) = (secant(x, y, at - 1), secant(x, y, at))
        if first * second <= 0:
            return 0.0
        near, far = 2 * after + before, after + 2 * before
        return (near + far) / (near / first + far / second)
    return _at_the_end(*(secant(x, y, 0), secant(x, y, 1)) if at == 0 else (secant(x, y, at - 1), secant(x, y, at - 2)))


def secant(x: Sequence[float], y: Sequence[float], at: int) -> tuple[float, float]:
    """Return the distance of a point and the next one, and the slope of the line through them."""
    width = x[at + 1] - x[at]
    return width, (y[at + 1] - y[at]) / width


def _at_the_end(near: tuple[float, float], far: tuple[float, float]) -> float:
    """The slope at an end: that of a parabola through three points, as far as the curve then stays monotone."""
    (width, own), (beyond, next_one) = near, far
    found = ((2 * width + beyond) * own - width * next_one) / (width + beyond)
    if found * own <= 0:
        return 0.0
    return 3 * own if own * next_one < 0 and abs(found) > 3 * abs(own) else found
