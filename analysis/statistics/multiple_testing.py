"""Holm's correction for several tests of one family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment (Holm 1979); a NaN stays NaN and still counts as one of the
    family.

    Not statsmodels' multipletests: it collects garbage at every call, a tenth of a second each.
    """
    given = np.asarray(p_values, dtype=np.float64)
    filled = np.where(np.isnan(given), 1.0, given)
    order = np.argsort(filled)
    steps = np.maximum.accumulate(np.arange(given.size, 0, -1) * filled[order])
    adjusted = np.empty_like(filled)
    adjusted[order] = np.minimum(steps, 1.0)
    return tuple(float(p) for p in np.where(np.isnan(given), np.nan, adjusted))
