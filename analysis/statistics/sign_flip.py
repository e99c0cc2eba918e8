"""The exact sign-flip test of paired differences, which assumes no normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .estimate import finite_values, Floats

SIGN_FLIP_MINIMUM = 6
SIGN_FLIP_MAXIMUM = 40
ROUNDING = 1e-12  # of values, relative: what their differences vary by when they are the same


@dataclass(frozen=True)
class SignFlip:
    """Exact two-sided sign-flip test; `reason` says why p_value is NaN."""

    p_value: float
    n: int
    reason: str


def sign_flip(differences: Sequence[float] | Floats) -> SignFlip:
    """Return the share of all 2^n sign patterns whose sum lies at least as far from 0, the exact p value (Fisher 1935).

    It is NaN, with a reason, for fewer than SIGN_FLIP_MINIMUM or more than SIGN_FLIP_MAXIMUM differences. Raises
    RecordError when one is not finite.
    """
    values = finite_values(differences)
    reason = _not_countable(values.size)
    if reason:
        return SignFlip(math.nan, values.size, reason)
    # Sums over each half of the values; one binary search per sum of the first half then counts
    # its partners, so n = 40 costs 2^20 searches instead of 2^40 sums.
    # Both halves are sorted: searches in order find what they need in the processor's cache.
    first = np.sort(_signed_sums(values[:values.size // 2]))
    second = np.sort(_signed_sums(values[values.size // 2:]))
    rounding = 1e-12 * float(np.sum(np.abs(values)))
    reach = abs(float(np.sum(values))) - rounding
    if reach <= 0:
        return SignFlip(1.0, values.size, "")
    beyond = int(np.sum(second.size - np.searchsorted(second, reach - first[::-1])))
    # The patterns come in mirrored pairs, so both tails hold equally many.
    return SignFlip(2 * beyond / 2 ** values.size, values.size, "")


def _not_countable(n: int) -> str:
    if n > SIGN_FLIP_MAXIMUM:
        return (f"n={n} has too many sign patterns to count (limit {SIGN_FLIP_MAXIMUM}); "
                "use the paired interval.")
    if n >= SIGN_FLIP_MINIMUM:
        return ""
    least = f"the smallest p is {2 / 2 ** n:.4g}" if n else "no p exists"
    return f"n={n} cannot decide: {least}; use at least {SIGN_FLIP_MINIMUM} seeds."


def _signed_sums(values: Floats) -> Floats:
    """All sums of +-values, float[2^n]."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
