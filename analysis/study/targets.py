"""Steps to a target: when each run passed it, and the law of an experiment at several targets and under each rule.

A run passes between two evaluations; where in between is read from a monotone cubic through the evaluations around it,
over the logarithm of the step, as curves of training flatten. A run that ended below the target is kept as one that
takes longer than it ran.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.schedules.rules import rule_order
from ..laws.critical_batch import StepsToTarget, useful_batches, UsefulBatches
from ..laws.monotone_cubic import reached_at
from ..laws.steps_by_seed import fit_runs_to_target, Runs
from ..statistics.estimate import Floats
from .arms import Arm
from .batch_gaps import chosen_metric

# How many margins worse than the end of the reference batch a target lies; the first is the one that is headed.
MARGINS = (2, 4, 8)
MOST_KEPT = 64  # arms, and targets of theirs
FEWEST = "the rule with the fewest steps at each batch"


@dataclass(frozen=True)
class TargetLaw:
    """Law of the steps to one target under one rule, or under the rule with the fewest steps at each batch.

    margins: how far the target lies below the end of the reference batch; passes_at: the geometric mean of the steps of
    the reference batch's runs to it, NaN where one never passed.
    """

    margins: int
    target: float
    rule: str
    law: StepsToTarget
    useful: UsefulBatches
    passes_at: float

    def to_json(self) -> dict[str, Any]:
        """Return the target, the rule, and what the law says."""
        p_value = self.law.lack_of_fit
        return {"target": self.target, "margins_below_the_reference": self.margins, "rule": self.rule,
                "critical_batch": self.law.critical_batch.to_json(),
                "lack_of_fit_p_value": p_value if math.isfinite(p_value) else None,
                "never_passed": len(self.law.censored), "note": self.law.note}


def target_value(arm: Arm, margin: float, margins: float = MARGINS[0]) -> float:
    """Return what is `margins` margins worse than the mean that the reference batch ends with; NaN without it."""
    ends = arm.at_end(chosen_metric(arm))
    if arm.reference_batch not in ends:
        return math.nan
    return float(ends[arm.reference_batch].mean()) - arm.outcome.sign * margins * margin


def steps_to_target(arms: Sequence[Arm], target: float) -> pd.DataFrame:
    """Return rule, seed, global_batch, low and high of each run: the steps between which it first reached the target.

    low = high where it passed between two evaluations; low is 0 where it had passed at its first one; high is infinite
    for a run that never passed, whatever became of it, and low is how long it ran. Runs that were evaluated once, at
    their end, are left out: when they passed is not known.
    """
    rows = [row for arm in arms for row in _rows(arm, target)]
    return pd.DataFrame(rows, columns=["rule", "seed", "global_batch", "low", "high"])


@lru_cache(maxsize=MOST_KEPT)
def _rows(arm: Arm, target: float) -> tuple[tuple[str, int, int, float, float], ...]:
    """The rows of one arm's runs; the law of each rule and that of all ask for the same ones."""
    sign, given, rows = arm.outcome.sign, _planned_steps(arm), []
    for (batch, seed), (steps, values) in _arm_curves(arm).items():
        low, high = _passing(steps, sign * values, sign * target)
        if math.isinf(high):
            low = max(low, float(given.get((seed, batch), 0) or 0))
        rows.append((arm.rule, int(seed), int(batch), low, high))
    return tuple(rows)


@lru_cache(maxsize=MOST_KEPT)
def _planned_steps(arm: Arm) -> dict[tuple[int, int], float]:
    return arm.runs.groupby(["seed", "global_batch"])["steps"].max().to_dict() if "steps" in arm.runs else {}


@lru_cache(maxsize=MOST_KEPT)
def _arm_curves(arm: Arm) -> dict[tuple[int, int], tuple[Floats, Floats]]:
    own = arm.evaluations
    own = own[(own.groupby(["run_id", "phase"])["step"].transform("size") > 1) | (own["step"] <= 1)]
    return _curves(own, chosen_metric(arm))


def _curves(evaluations: pd.DataFrame, metric: str) -> dict[tuple[int, int], tuple[Floats, Floats]]:
    """(batch, seed) -> steps, ascending, and the metric there; not by groups of a table, which take ten times as
    long."""
    columns = [evaluations[name].to_numpy() for name in ("global_batch", "seed", "step", metric)]
    order = np.lexsort(columns[2::-1])
    batches, seeds, steps, values = (column[order].astype(np.float64) for column in columns)
    begins = [0, *(np.flatnonzero((np.diff(batches) != 0) | (np.diff(seeds) != 0)) + 1), len(order)]
    return {(int(batches[begin]), int(seeds[begin])): (steps[begin:end], values[begin:end])
            for begin, end in zip(begins, begins[1:]) if end > begin}


def _passing(steps: Floats, values: Floats, target: float) -> tuple[float, float]:
    """Return between which steps `values` first rise to the target: twice the same one where that can be read."""
    finite = np.isfinite(values)
    last = float(steps[-1])
    steps, values = steps[finite], values[finite]
    reached = np.flatnonzero(values >= target)
    if not reached.size:
        return last, math.inf
    after = int(reached[0])
    if after == 0:
        return 0.0, float(steps[0])
    begin = max(after - 2, 0)
    logs, around = np.log(steps[begin:after + 2]).tolist(), values[begin:after + 2].tolist()
    at = math.exp(reached_at(logs, around, after - 1 - begin, target))
    return at, at


def fewest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the rule with the fewest steps at each batch: most runs that pass, then the least mean of log
    steps. One rule for all seeds of a batch, as the best of each seed would count luck as speed."""
    batches, rules = (table[name].to_numpy() for name in ("global_batch", "rule"))
    lows, highs = (table[name].to_numpy(np.float64) for name in ("low", "high"))
    never, kept = np.isinf(highs), []
    logs = np.log(np.where(never, lows, highs))
    for batch in np.unique(batches):
        of = {str(rule): np.flatnonzero((batches == batch) & (rules == rule))
              for rule in np.unique(rules[batches == batch])}
        kept.append(of[min(sorted(of, key=rule_order),
                           key=lambda rule: (float(never[of[rule]].mean()), float(logs[of[rule]].mean())))])
    return table.iloc[np.concatenate(kept)] if kept else table


def runs_of(table: pd.DataFrame) -> Runs:
    """Return the rows of `steps_to_target` as the law takes them."""
    return Runs.of(*(table[name].to_numpy(np.float64) for name in ("global_batch", "seed", "low", "high")))


def target_law(arms: Sequence[Arm], margins: int, target: float = math.nan) -> TargetLaw:
    """Return the law of one target over all rules of these arms.

    target: by default `margins` margins worse than the reference batch of the first arm. The law's interval is for
    this target and these rules: it does not include the choice of either.
    """
    if math.isnan(target):
        target = target_value(arms[0], arms[0].outcome.margin, margins)
    runs, reference = runs_of(fewest(steps_to_target(arms, target))), arms[0].reference_batch
    own = runs.highs[runs.batches == reference]
    passes_at = float(np.exp(np.log(own).mean())) if own.size and np.isfinite(own).all() else math.nan
    return TargetLaw(margins, target, arms[0].rule if len(arms) == 1 else FEWEST, fit_runs_to_target(runs),
                     useful_batches(runs.batches, runs.highs, seeds=runs.seeds, least=runs.lows), passes_at)
