"""Batch gaps at three budgets: equal epochs favour small batches, equal steps large ones, equal loss neither."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ....formatting import Table, table
from ....study.arms import Arm
from ....study.batch_gaps import BUDGETS, BatchGap, gap_table

CAPTION = ("What a batch loses on the test data against the reference batch, paired by seed, 95 % interval, n: after "
           "equal epochs; after all steps of the larger batch, the reference read between its evaluations; and where "
           "both first reach the train loss that both reach. The interval holds what other test examples would change. "
           "The same: the whole interval is within the margin (two one-sided tests at 2.5 %). Worse, better: it leaves "
           "out zero. Both adjusted over the batches (Holm), from two seeds on: the t interval pays for few seeds by "
           "its width.")


def budgets(arms: Sequence[Arm]) -> tuple[Table, ...]:
    """Return a row for each experiment, rule and larger batch; no table without one."""
    rows = [row for arm in arms for row in _rows(arm)]
    return table(("experiment", "rule", "batch", *BUDGETS), rows, CAPTION, (2,), "At equal epochs, steps and loss")


def _rows(arm: Arm) -> Iterator[tuple[str, ...]]:
    each = [gap_table(arm, arm.outcome.margin, budget) for budget in BUDGETS]
    for gaps in zip(*each):
        yield (arm.experiment, arm.rule, f"{gaps[0].global_batch:,}", *(_told(arm, gap) for gap in gaps))


def _told(arm: Arm, gap: BatchGap) -> str:
    if not math.isfinite(gap.estimate.value):
        return ""
    return f"{arm.outcome.cell_difference(gap.estimate)}: {_verdict(gap)}"


def _verdict(gap: BatchGap) -> str:
    if gap.same:
        return "the same"
    return "worse" if gap.worse else "better" if gap.better else "not decided"
