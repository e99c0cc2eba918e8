"""Batch gaps of one arm at several budgets, and the largest batch that costs nothing.

Batch gap: accuracy at the reference batch minus accuracy at this batch, paired by seed; of an experiment that is
judged by its loss, loss at this batch minus loss at the reference batch. Above zero is worse, either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..statistics.decision_rules import ONE_SIDED, better, equivalence, same, worse
from ..statistics.difference import Difference
from ..statistics.estimate import Estimate
from ..statistics.multiple_testing import holm
from ..statistics.sample_size import more_seeds
from ..statistics.sign_flip import sign_flip
from .arms import Arm, pairs
from .example_sampling import gap_between, sampling

EQUAL_EPOCHS = "equal epochs"
EQUAL_STEPS = "equal steps"
EQUAL_LOSS = "equal train loss"
BUDGETS = (EQUAL_EPOCHS, EQUAL_STEPS, EQUAL_LOSS)


@dataclass(frozen=True)
class BatchGap:
    """Gap of one batch against the reference batch.

    p_value: that the gap differs from 0. same_p_value: that both are the same within the margin (two one-sided tests,
    TOST). Both are adjusted over the batches. `alpha`: the level of a one-sided test. Whether a batch is not worse is
    decided over all arms together, in `non_inferiority`.
    """

    experiment: str
    rule: str
    budget: str
    metric: str
    global_batch: int
    reference_batch: int
    estimate: Estimate
    p_value: float
    same_p_value: float
    sign_flip_p_value: float
    more_seeds: str
    alpha: float = ONE_SIDED

    @property
    def same(self) -> bool:
        """Return whether the batch is shown to be the same as the reference within the margin."""
        return bool(same(self.same_p_value, self.estimate.n, self.alpha))

    @property
    def worse(self) -> bool:
        """Return whether the batch is shown to lose anything against the reference."""
        return bool(worse(self.estimate.value, self.p_value, self.estimate.n))

    @property
    def better(self) -> bool:
        """Return whether the batch is shown to gain anything against the reference."""
        return bool(better(self.estimate.value, self.p_value, self.estimate.n))

    def to_json(self) -> dict[str, Any]:
        """Return every field and `same`; numbers that are not finite are None."""
        values = {name: value if not isinstance(value, float) or math.isfinite(value) else None
                  for name, value in vars(self).items()}
        return {**values, "estimate": self.estimate.to_json(), "same": self.same}


def gap_table(arm: Arm, margin: float, budget: str = EQUAL_EPOCHS,
              metric: str = "") -> tuple[BatchGap, ...]:
    """Return one gap per larger batch, in ascending order.

    margin: in the unit of the arm's outcome. metric: a column of the arm's evaluations, by default that on the test
    data. budget: at equal steps each pair is read after all steps of its larger batch, at equal train loss where both
    first reach the loss that both reach.
    """
    key = (margin, budget, metric or arm.outcome.test)
    if key not in arm.gaps_found:
        arm.gaps_found[key] = _gap_table(arm, *key)
    return arm.gaps_found[key]


def batch_gaps(arm: Arm) -> pd.DataFrame:
    """Return what each batch loses on the test data against the reference at equal epochs, a row per seed and a column
    per batch; 0 at the reference."""
    ends = arm.at_end(arm.outcome.test)
    return arm.outcome.sign * ends.rsub(ends[arm.reference_batch], axis=0) if not ends.empty else ends


def gap_at_end(arm: Arm, against: Arm, batch: int, metric: str) -> Difference:
    """Return what `arm` loses at `batch`, at the end of training, against the reference batch of `against`, paired by
    seed."""
    key = (against, batch, metric)
    if key not in arm.gaps_found:
        ends = against.at_end(metric)
        arm.gaps_found[key] = _gap(arm, against, ends[against.reference_batch], arm.at_end(metric)[batch], batch,
                                   metric)
    return arm.gaps_found[key]


def _gap(arm: Arm, against: Arm, reference: pd.Series, own: pd.Series, batch: int, metric: str) -> Difference:
    of = sampling(against.rows_at(against.reference_batch), arm.rows_at(batch), arm.outcome, metric)
    return gap_between(reference, own, arm.outcome, of, arm.cross_fitted or against.cross_fitted)


def _gap_table(arm: Arm, margin: float, budget: str, metric: str) -> tuple[BatchGap, ...]:
    each = {batch: _at(arm, budget, metric, batch) for batch in arm.larger}
    values = [arm.outcome.sign * pairs(at, arm.reference_batch, batch) for batch, at in each.items()]
    found = [_gap(arm, arm, at[arm.reference_batch], at[batch], batch, metric) for batch, at in each.items()]
    apart = holm([of.p_value for of in found])
    alike = holm([equivalence(of, margin).p_value for of in found])
    alpha = arm.outcome.alpha
    return tuple(BatchGap(arm.experiment, arm.rule, budget, metric, batch, arm.reference_batch, of.estimate, apart[i],
                          alike[i], sign_flip(values[i]).p_value, more_seeds(of, margin, 1 - 2 * alpha).statement,
                          alpha)
                 for i, (batch, of) in enumerate(zip(arm.larger, found)))


def _at(arm: Arm, budget: str, metric: str, batch: int) -> pd.DataFrame:
    two = (arm.reference_batch, batch)
    if budget == EQUAL_STEPS:
        own = arm.runs.loc[arm.runs["global_batch"] == batch, "steps"]
        return arm.at_step(metric, two, float(own.iloc[0]))
    return arm.at_equal_loss(metric, two) if budget == EQUAL_LOSS else arm.at_end(metric)


def chosen_metric(arm: Arm) -> str:
    """Return the validation column of the arm's outcome; the test column where no validation data were split off."""
    return arm.outcome.chosen_by(arm.runs)
