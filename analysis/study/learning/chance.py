"""Whether a batch learned anything: its result against what an answer that ignores the inputs reaches.

Two results within the study's margin count as the same, so a result must clear the margin above that level, and from
FEWEST_SEEDS seeds on its interval must.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...statistics.decision_rules import FEWEST_SEEDS
from ...statistics.estimate import Estimate
from ...tables.outcome import Outcome
from ..arms import Arm
from ..groups import column_mean

MORE_THAN_EVEN = 0.001  # a most common class with so much more than its even share is worth naming


@dataclass(frozen=True)
class Chance:
    """Result that is reached without learning: `level` in the unit of the outcome, NaN where not known; `words` name
    it."""

    level: float
    words: str


@dataclass(frozen=True)
class Learned:
    """One rule at one batch: its test result by `metric`, and whether that shows that anything was learned.
    `at_chance`: the mean itself lies within the margin of chance or beyond it; `judged`: the value that has to clear
    the margin, the worse end of the interval where there is one."""

    experiment: str
    rule: str
    global_batch: int
    metric: str
    result: Estimate
    shown: bool
    at_chance: bool
    judged: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the row for decision.json."""
        return {"rule": self.rule, "global_batch": self.global_batch, self.metric: self.result.to_json(),
                "learned": self.shown}


def chance_of(arm: Arm) -> Chance:
    """Return the result that the arm's data allow without learning: of an accuracy the larger of 1 / classes and the
    share of the most common class; of a loss the baseline loss of always answering the mean or the classes' shares, or
    else the loss before training."""
    outcome = arm.outcome
    classes, share, loss = (arm.first(name) for name in ("classes", "baseline_accuracy", "baseline_loss"))
    if outcome.percent:
        even = 1 / classes if classes >= 2 else math.nan
        if share > even + MORE_THAN_EVEN or math.isnan(even) and math.isfinite(share):
            return Chance(share, f"always answering the most common class reaches {outcome.short(share)}")
        return Chance(even, f"guessing among {classes:g} classes reaches {outcome.short(even)}")
    if math.isfinite(loss):
        what = "the shares of the classes" if classes >= 2 else "the mean of the training targets"
        return Chance(loss, f"always answering {what} has a loss of {outcome.short(loss)}")
    before = _before_training(arm)
    return Chance(before, f"the loss before training is {outcome.short(before)}")


def _before_training(arm: Arm) -> float:
    """The mean test loss after at most one step; NaN where no run was evaluated so early and again."""
    first = [float(own[arm.outcome.test][0]) for own in arm.curves.values() if len(own["step"]) > 1
             and own["step"][0] <= 1]
    known = [loss for loss in first if math.isfinite(loss)]
    return float(np.mean(known)) if known else math.nan


def learned_at(arm: Arm, batch: int, chance: Chance) -> Learned | None:
    """Return what the arm's runs at a batch show; None where they have no result or chance is not known."""
    metric = arm.outcome.test
    values = arm.at_end(metric)[batch].dropna().to_numpy(np.float64)
    if not len(values) or math.isnan(chance.level):
        return None
    result = column_mean(list(values), metric).per("seeds")
    worst = result.low if arm.outcome.sign > 0 else result.high
    judged = worst if result.has_interval and result.n >= FEWEST_SEEDS else result.value
    return Learned(arm.experiment, arm.rule, batch, metric, result, _clears(judged, chance, arm.outcome),
                   not _clears(result.value, chance, arm.outcome), judged)


def _clears(value: float, chance: Chance, outcome: Outcome) -> bool:
    return outcome.sign * (value - chance.level) > outcome.margin
