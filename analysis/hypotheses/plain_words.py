"""What a claim's number says, with its direction, in words that need no other column."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..formatting import brief
from ..statistics.estimate import Estimate
from .quantities import in_points
from .verdict import Verdict

SHORT = {
    1: "Small batches: noisier gradients", 2: "Large batches: faster at first", 3: "Large batches end worse",
    4: "Adam less sensitive than SGD", 5: "Adam, very large: fast, then stuck", 6: "Small batches generalize better",
    7: "Strongest near the whole data", 8: "Large batches need more memory", 9: "Speed grows up to a limit",
    10: "Deeper models show it more"}
"""The ten claims in few words, for a strip of verdicts."""


@dataclass(frozen=True)
class _Words:
    """How a number is said: `more` where it is above zero, `less` below; `of` changes the number first."""

    more: str
    less: str
    of: Callable[[Estimate], Estimate] = lambda value: value
    signed: bool = True


def _doubling(value: Estimate) -> Estimate:
    """What a slope of logarithms makes of a doubling."""
    return value.transformed(lambda slope: 2.0 ** slope)


WORDS = {
    1: _Words("twice the batch, {} times the noise", "", _doubling, False),
    2: _Words("at equal steps train loss {} lower", "at equal steps train loss {} higher"),
    3: _Words("{} lost", "{} gained"),
    4: _Words("SGD loses {} more", "SGD loses {} less"),
    5: _Words("train loss {} higher at the end", "train loss {} lower at the end"),
    6: _Words("gap to the training data {} wider", "gap to the training data {} narrower"),
    7: _Words("gap {} wider than its trend", "gap {} narrower than its trend"),
    8: _Words("each example takes {} more", "each example takes {} less", lambda value: value.scaled(1 / 1024)),
    9: _Words("at first, twice the batch gives {} times the speed", "", _doubling, False),
    10: _Words("the deeper model loses {} more", "the deeper model loses {} less"),
}


BY_LOSS = _Words("test loss {} higher", "test loss {} lower")
"""Of claim 3 where the runs are judged by their loss."""


def in_words(verdict: Verdict) -> str:
    """Return the claim's number with its interval, its direction and the batch it is about; "" where it is unknown."""
    if not math.isfinite(verdict.estimate.value):
        return ""
    words = BY_LOSS if verdict.number == 3 and not in_points(verdict.quantity) else WORDS[verdict.number]
    value = words.of(verdict.estimate)
    above = value.value >= 0 or not words.signed
    size = value if above else value.scaled(-1)
    text = (words.more if above else words.less).format(_written(verdict, size))
    return f"{text}{_batch(verdict)}"


def _written(verdict: Verdict, size: Estimate) -> str:
    if verdict.number == 8:
        return brief(size, "KiB")
    return brief(size.scaled(100), "points") if in_points(verdict.quantity) else brief(size)


def _batch(verdict: Verdict) -> str:
    if verdict.number in (1, 7, 8, 9) or not verdict.per_batch or verdict.per_batch[0].global_batch is None:
        return ""
    return f" at batch {verdict.per_batch[0].global_batch:,}"
