"""When a difference counts as one: the levels, the fewest repeats, and the answers that are built on them.

A verdict and the two-sided interval printed beside it use the same level: a one-sided test rejects at half of
1 - LEVEL, which is when that end of the interval is clear of the margin. Two repeats are the fewest that have an
interval at all. There is no higher floor: Student's t pays for few repeats by itself (at three its quantile is 4.3), so
a floor would only make verdicts disagree with intervals.

Every answer takes an adjusted p value and the number of repeats behind it, and carries the sentence that says by
which rule it was reached; what no rule decides is not decided, which is not the same as "the same".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ...benchmarks.errors import RecordError
from ...benchmarks.text import percent
from .difference import Difference
from .estimate import Estimate, LEVEL

FEWEST_SEEDS = 2
ONE_SIDED = (1 - LEVEL) / 2

WORSE = f"Worse: the {percent(LEVEL)} interval of the loss leaves out zero."
BETTER = f"Better: the {percent(LEVEL)} interval of the gain leaves out zero."
NOT_WORSE = f"Not worse: the {percent(LEVEL)} interval of the loss ends below the margin, also after adjustment."
SAME = f"The same: the {percent(LEVEL)} interval of the difference lies within the margin, also after adjustment."
OPEN = f"Not decided: the {percent(LEVEL)} interval, after adjustment, does not decide it."


@dataclass(frozen=True)
class Answer:
    """Answer of a rule, true where the rule decides in favour, with the sentence of the rule."""

    holds: bool
    sentence: str

    def __bool__(self) -> bool:
        return self.holds


def one_sided_level(earlier_looks: int = 0) -> float:
    """Return the one-sided level of a study that was looked at before and went on with more seeds.

    The first look has ONE_SIDED; each further one half of the one before it. Over any number of looks the sum stays
    below 1 - LEVEL, so going on until a result is decided errs no more often than that (Bonferroni over the looks).
    """
    return ONE_SIDED / 2.0 ** earlier_looks


def significant(p_value: float, n: int) -> bool:
    """Return whether a two-sided test of n repeats rejects at 1 - LEVEL; never for a NaN p value or one repeat."""
    return n >= FEWEST_SEEDS and p_value < 1 - LEVEL


def shown(p_value: float, n: int, level: float = ONE_SIDED) -> bool:
    """Return whether a one-sided test of n repeats rejects at `level`; never for a NaN p value or one repeat."""
    return n >= FEWEST_SEEDS and p_value < level


def worse(value: float, p_value: float, n: int) -> Answer:
    """Answer whether a loss `value` is above zero by more than chance; p_value is that of a difference from zero."""
    return _answer(value > 0 and significant(p_value, n), WORSE)


def better(value: float, p_value: float, n: int) -> Answer:
    """Answer whether a loss `value` is below zero by more than chance; p_value is that of a difference from zero."""
    return _answer(value < 0 and significant(p_value, n), BETTER)


def not_worse(p_value: float, n: int, level: float = ONE_SIDED) -> Answer:
    """Answer whether a loss is shown to be below the margin; p_value is that of the one-sided test against it."""
    return _answer(shown(p_value, n, level), NOT_WORSE)


def same(p_value: float, n: int, level: float = ONE_SIDED) -> Answer:
    """Answer whether a difference is shown to lie within the margin; p_value is the larger of two one-sided tests."""
    return _answer(shown(p_value, n, level), SAME)


def _answer(holds: bool, sentence: str) -> Answer:
    return Answer(holds, sentence if holds else OPEN)


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
    if not of.standard_error > 0:
        return Equivalence(of.estimate, margin, math.nan, False)
    p_value = max(of.below(margin), of.above(-margin))
    return Equivalence(replace(of.interval(alpha), of=""), margin, p_value, p_value < alpha)
