"""When a difference counts as one: the level, the fewest seeds, and the three answers that are built on them.

Every answer takes an adjusted p value and the number of repeats behind it, and carries the sentence that says by
which rule it was reached; what no rule decides is not decided, which is not the same as "the same".
"""

from __future__ import annotations

from dataclasses import dataclass

from .estimate import LEVEL

FEWEST_SEEDS = 5

WORSE = f"Worse: the {LEVEL:.0%} interval of the loss leaves out zero, with {FEWEST_SEEDS} seeds or more."
BETTER = f"Better: the {LEVEL:.0%} interval of the gain leaves out zero, with {FEWEST_SEEDS} seeds or more."
NOT_WORSE = (f"Not worse: a one-sided test at {1 - LEVEL:.0%} rejects a loss of the margin or more, with "
             f"{FEWEST_SEEDS} seeds or more.")
SAME = (f"The same: two one-sided tests at {1 - LEVEL:.0%} reject a difference of the margin or more, with "
        f"{FEWEST_SEEDS} seeds or more.")
OPEN = f"Not decided: the test does not reject at {1 - LEVEL:.0%}, or there are fewer than {FEWEST_SEEDS} seeds."


@dataclass(frozen=True)
class Answer:
    """Whether a rule decides in favour, and the sentence of the rule; true where it does."""

    holds: bool
    sentence: str

    def __bool__(self) -> bool:
        return self.holds


def significant(p_value: float, n: int, fewest: int = FEWEST_SEEDS) -> bool:
    """Return whether a test of n repeats rejects at LEVEL; never below `fewest` repeats nor for a NaN p value."""
    return n >= fewest and p_value < 1 - LEVEL


def worse(value: float, p_value: float, n: int) -> Answer:
    """Answer whether a loss `value` is above zero by more than chance; p_value is that of a difference from zero."""
    return _answer(value > 0 and significant(p_value, n), WORSE)


def better(value: float, p_value: float, n: int) -> Answer:
    """Answer whether a loss `value` is below zero by more than chance; p_value is that of a difference from zero."""
    return _answer(value < 0 and significant(p_value, n), BETTER)


def not_worse(p_value: float, n: int) -> Answer:
    """Answer whether a loss is shown to be below the margin; p_value is that of the one-sided test against it."""
    return _answer(significant(p_value, n), NOT_WORSE)


def same(p_value: float, n: int) -> Answer:
    """Answer whether a difference is shown to lie within the margin; p_value is the larger of two one-sided tests."""
    return _answer(significant(p_value, n), SAME)


def _answer(holds: bool, sentence: str) -> Answer:
    return Answer(holds, sentence if holds else OPEN)
