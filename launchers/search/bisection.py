"""The largest size for which a yes-or-no question is still answered with yes: doubling, then bisection.

Asked of a memory: sizes below the largest that fits fit too. The same answers give the same questions, so a search that
was interrupted is repeated from kept answers without a new trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

ROUND_FROM, ROUND_TO = 64, 8  # sizes from 64 are rounded to eights, which matrix units like


@dataclass(frozen=True)
class Bounds:
    """Range and precision of a search: the first size, the largest, what sizes are multiples of, and how close is close
    enough.

    resolution: a fraction of the size found.
    """

    start: int
    most: int
    multiple: int = 1
    resolution: float = 1 / 16

    def down(self, size: float) -> int:
        """Return the nearest multiple that is not larger."""
        return int(size // self.multiple) * self.multiple

    def gap(self, size: int) -> int:
        """Return how far above `size` the smallest size known to fail may lie."""
        return max(self.multiple, math.floor(self.resolution * size))


@dataclass(frozen=True)
class Found:
    """largest: fits; 0 where not even one multiple does. fails: the smallest size seen not to; None: `most` fits."""

    largest: int
    fails: int | None


def largest_that_fits(fits: Callable[[int], bool], bounds: Bounds) -> Found:
    """Double from the start until a size fails, or halve until one fits, then bisect.

    At most |log2(largest / start)| + log2(1 / resolution) + 4 questions.
    """
    most = bounds.down(bounds.most)
    low, fails = 0, None
    size = min(max(bounds.down(bounds.start), bounds.multiple), most)
    while size > low:
        if fits(size):
            low = size
            size = min(2 * size, most) if fails is None else low
        else:
            fails = size
            size = bounds.down(size / 2) if low == 0 else low
    while fails is not None and low and fails - low > bounds.gap(low):
        middle = bounds.down((low + fails) / 2)
        if fits(middle):
            low = middle
        else:
            fails = middle
    return Found(low, fails)


def verified(fits: Callable[[int], bool], lasts: Callable[[int], bool], bounds: Bounds) -> Found:
    """Return the largest size that fits and also lasts through a longer run; one that does not is taken to fail."""
    fails: int | None = None
    while True:
        ceiling = bounds.most if fails is None else bounds.down(fails - bounds.gap(fails))
        found = largest_that_fits(fits, Bounds(bounds.start, ceiling, bounds.multiple, bounds.resolution))
        if found.fails is None and fails is not None:
            found = Found(found.largest, fails)
        if found.largest == 0 or lasts(found.largest):
            return found
        fails = found.largest


def recommended(largest: int, margin: float, multiple: int = 1) -> int:
    """Return floor((1 - margin) largest), rounded down to a multiple, from 64 on also of 8; at least one multiple if
    any fits.

    >>> recommended(1000, 0.05), recommended(20, 0.05), recommended(1000, 0.05, 12), recommended(1, 0.05)
    (944, 19, 936, 1)
    """
    kept = math.floor((1 - margin) * largest)
    step = math.lcm(multiple, ROUND_TO) if kept >= max(ROUND_FROM, math.lcm(multiple, ROUND_TO)) else multiple
    return max(kept // step * step, min(multiple, largest))
