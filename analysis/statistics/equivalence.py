"""Two one-sided t tests: whether a difference is smaller than a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from ...benchmarks.errors import RecordError
from .decision_rules import ONE_SIDED
from .difference import Difference
from .estimate import Estimate
from .sequential.spending import level_at


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests; `estimate` has the 1 - 2 alpha interval that lies within the margin
    exactly when p_value < alpha."""

    estimate: Estimate
    margin: float
    p_value: float
    equivalent: bool


def equivalence(of: Difference, margin: float, alpha: float = ONE_SIDED) -> Equivalence:
    """Test whether a difference lies within +-margin by two one-sided t tests (TOST, Schuirmann 1987).

    of: a Welch or a paired difference. alpha: the level of each one-sided test; the default makes the answer that of
    the 95 % interval. The margin is in the difference's unit. Without spread nothing is shown, and p is NaN. Raises
    RecordError when the margin is not positive.
    """
    if not margin > 0:
        raise RecordError(f"margin={margin} decides nothing; give a positive one, such as 0.005.")
    value, error, freedom = of.estimate.value, of.standard_error, of.degrees_of_freedom
    if not error > 0:
        return Equivalence(of.estimate, margin, math.nan, False)
    p_value = max(of.below(margin), of.above(-margin))
    half = float(stats.t.isf(level_at(of.looks, of.estimate.n, alpha), freedom)) * error
    inner = Estimate(value, value - half, value + half, of.estimate.n)
    return Equivalence(inner, margin, p_value, p_value < alpha)
