"""What a simulation with known truth says of one number that the project prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Coverage:
    """How often the truth was where an interval or a verdict said, over simulated studies of one cell.

    nominal and seen: shares of studies, 0 to 1, in which the interval holds the truth (or, of a verdict, in which it is
    wrong); width: the median width of the intervals in the unit that `note` or the module names, NaN without any;
    studies: how many were simulated; note: what else the cell shows, a few words such as the bias or the power; bias:
    how far the median of the values lies from the truth, as a share of it, NaN without values; natural: the share of
    studies with the verdict of a reader who knows the truth.
    """

    name: str
    nominal: float
    seen: float
    width: float
    studies: int
    note: str = ""
    bias: float = math.nan
    natural: float = math.nan

    @property
    def standard_error(self) -> float:
        """The standard error of `seen`, for which at least one study counts as a miss and one as a hit."""
        share = min(max(self.seen, 1 / self.studies), 1 - 1 / self.studies) if self.studies > 1 else 0.5
        return math.sqrt(share * (1 - share) / self.studies)


def covered(name: str, truth: float, values: Sequence[float], lows: Sequence[float], highs: Sequence[float],
            nominal: float = 0.95, note: str = "") -> Coverage:
    """Return the coverage of intervals of one positive truth, width in multiples of the truth.

    values, lows, highs: one each per study, float[studies]; NaN ends stand for "no interval", which covers anything
    and whose share is noted; an interval with one end unbounded has an infinite width.
    """
    middle, low, high = (np.asarray(each, dtype=np.float64) for each in (values, lows, highs))
    none = np.isnan(low) | np.isnan(high)
    inside = none | ((low <= truth) & (truth <= high))
    known = middle[np.isfinite(middle)]
    bias = float(np.median(known)) / truth - 1 if known.size else math.nan
    honest = (f"no interval in {np.mean(none):.0%}"
              + (f", of the others {np.mean(inside[~none]):.0%} hold the truth" if not none.all() else ""))
    words = [f"median {bias:+.0%} of the truth" if known.size else "never a value", honest if none.any() else "", note]
    return Coverage(name, nominal, float(np.mean(inside)),
                    float(np.median((high - low)[~none])) / truth if not none.all() else math.nan, inside.size,
                    "; ".join(word for word in words if word), bias)
