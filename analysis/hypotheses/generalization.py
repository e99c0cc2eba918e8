"""Claims 6 and 7: the generalization gap against the batch, and where it grows fastest.

A model that has not been trained enough shows a small gap, so the gap is compared at equal train
loss; the same numbers at equal epochs stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ...benchmarks.text import percent
from ..statistics.estimate import Floats, mean_estimate
from ..study.arms import GAP, Arm, pairs
from ..study.batch_gaps import batch_gaps
from .accuracy import EQUAL_EPOCHS, apart_note, assemble, gap_words, lost_words, no_contrast
from .verdict import Contrast, judge, judge_first, undecided, Verdict

EQUAL_LOSS = "equal train loss"
NEAR_ALL = 0.1
WORDS = "generalization gap"


def generalizes_better(arm: Arm) -> list[Verdict]:
    """Judge claim 6: generalization gap of the larger batch minus the reference's, above the margin; first at equal
    train loss, which decides, then at equal epochs."""
    if not arm.larger:
        return [no_contrast(6, arm, EQUAL_LOSS)]
    reference, ends = arm.reference_batch, arm.at_end(GAP)
    equal_loss, equal_epochs, idle, reach = [], [], [], 2 * arm.outcome.span
    for batch in arm.larger:
        name = f"{gap_words(arm, WORDS)} added, batch {batch:,} against {reference:,}"
        values = pairs(arm.at_equal_loss(GAP, (reference, batch)), batch, reference)
        equal_epochs.append(Contrast(name, batch, pairs(ends, batch, reference), "", reach, arm.cross_fitted))
        if values.size:
            equal_loss.append(Contrast(name, batch, values, "", reach, arm.cross_fitted))
        else:
            idle.append(batch)
    return [_equal_loss_verdict(arm, equal_loss, idle),
            replace(_verdict(arm, EQUAL_EPOCHS, equal_epochs), beside=True)]


def _verdict(arm: Arm, budget: str, contrasts: Sequence[Contrast]) -> Verdict:
    details = judge_first(contrasts, arm.outcome.margin, arm.outcome.margin)
    return assemble(6, arm, budget, details[:1], details, _offset(arm))


def _offset(arm: Arm) -> str:
    """The gap that the reference batch has itself, which a difference of gaps leaves out."""
    own = mean_estimate(arm.at_end(GAP)[arm.reference_batch].dropna().tolist()).per("seeds")
    below = ("; it is below zero where training data have errors in their labels that test data have not"
             if own.value < 0 else "")
    return f"At batch {arm.reference_batch:,} the gap itself is {arm.outcome.cell_difference(own)} at the end{below}."


def _equal_loss_verdict(arm: Arm, contrasts: Sequence[Contrast], idle: Sequence[int]) -> Verdict:
    names = ", ".join(f"{batch:,}" for batch in idle)
    why = (f"Batch {names}: the train loss stays above half of the first one, too high to "
           "compare gaps; train longer or raise the rate.") if idle else ""
    if not contrasts:
        return undecided(6, why + apart_note(arm), arm.experiment, arm.rule, EQUAL_LOSS)
    found = _verdict(arm, EQUAL_LOSS, contrasts)
    return replace(found, reason=f"{found.reason} {why}".strip())


def strongest_near_all(arm: Arm) -> list[Verdict]:
    """Judge claim 7: how much the gap grows where B/N > 0.1 beyond its trend per doubling below, at equal train loss.

    The same at equal epochs, which leave the largest batches untrained, is reported beside it and never decides.
    """
    size = int(arm.first("train_examples"))
    below = [batch for batch in arm.batches if batch <= NEAR_ALL * size]
    above = [batch for batch in arm.batches if batch > NEAR_ALL * size]
    if len(below) < 2 or not above:
        have = ", ".join(f"{batch:,}" for batch in arm.batches) or "none"
        return [undecided(7, f"Two batches up to {percent(NEAR_ALL)} of the {size:,} training examples "
                          f"and one above are needed (trained by every run: {have})."
                          f"{apart_note(arm)} Measure "
                          + ("batches near the whole training set." if not above
                             else "smaller batches."), arm.experiment, arm.rule, EQUAL_LOSS)]
    gap, lost = gap_words(arm, WORDS), lost_words(arm)
    matrices = {(EQUAL_LOSS, gap): arm.at_equal_loss(GAP, arm.batches), (EQUAL_EPOCHS, gap): arm.at_end(GAP),
                (f"{EQUAL_EPOCHS}, {lost}", lost): batch_gaps(arm)}
    return [replace(_bend_verdict(arm, budget, what, _bend(matrix, below, above), (below[-1], above[-1])),
                    beside=budget != EQUAL_LOSS) for (budget, what), matrix in matrices.items()]


def _bend(matrix: pd.DataFrame, below: Sequence[int], above: Sequence[int]) -> Floats:
    """What is added from the last batch below to the largest beyond the trend below, per seed: the difference of the
    slopes times the doublings between; the slope above begins at the last batch below."""
    if matrix.empty:
        return np.empty(0)
    whole = matrix[[*below, *above]].dropna()
    doublings = math.log2(above[-1] / below[-1])
    return np.asarray((_slope(whole, [below[-1], *above]) - _slope(whole, below)) * doublings)


def _slope(matrix: pd.DataFrame, batches: Sequence[int]) -> Floats:
    doublings = np.log2(np.asarray(batches, dtype=np.float64))
    centred = doublings - doublings.mean()
    values = matrix[list(batches)].to_numpy(np.float64)
    return np.asarray(values @ centred / float(centred @ centred))


def _bend_verdict(arm: Arm, budget: str, what: str, bend: Floats, ends: tuple[int, int]) -> Verdict:
    if not bend.size:
        return undecided(7, "The batches never reach one train loss below half of the first one, "
                         f"so their gaps cannot be compared.{apart_note(arm)} Train longer, or "
                         f"measure batches nearer to {percent(NEAR_ALL)} of the training set.",
                         arm.experiment, arm.rule, budget)
    name = (f"{what} added from batch {ends[0]:,} to {ends[1]:,}, above {percent(NEAR_ALL)} of the training set, "
            "beyond the trend below")
    details = judge([Contrast(name, None, bend, cross_fitted=arm.cross_fitted)], 0.0, arm.outcome.margin)
    return assemble(7, arm, budget, details, details, _offset(arm))
