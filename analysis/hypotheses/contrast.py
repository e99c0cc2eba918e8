"""Claims 4 and 10: batch gaps of two experiments beside each other, seed by seed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...benchmarks.config.optimizers import is_adaptive
from ..statistics.estimate import Floats
from ..study.arms import Arm
from ..study.batch_gaps import batch_gaps
from .accuracy import EQUAL_EPOCHS, apart_note, assemble, gap_words
from .verdict import Contrast, judge, undecided, Verdict


def adam_less_sensitive(sgd: Arm, adam: Arm) -> Verdict:
    """Claim 4: batch gap of SGD minus that of Adam at the same batches, above 0."""
    common = [batch for batch in sgd.larger if batch in adam.larger]
    name = f"{gap_words(sgd, 'batch gap')} of SGD minus that of Adam"
    if sgd.reference_batch != adam.reference_batch or not common:
        return undecided(4, f"{sgd.experiment} and {adam.experiment} share no batch beside the "
                         f"reference.{apart_note(sgd)}{apart_note(adam)} Measure the same batches "
                         "under both optimizers.", sgd.experiment, sgd.rule, EQUAL_EPOCHS)
    first, second = batch_gaps(sgd), batch_gaps(adam)
    details = judge([Contrast(f"{name}, batch {batch:,} against {sgd.reference_batch:,}", batch,
                              _difference(first[batch], second[batch])) for batch in common],
                    0.0, sgd.outcome.margin)
    return assemble(4, sgd, EQUAL_EPOCHS, details[-1:], details, details[-1].answer)


def deeper_shows_more(shallow: Arm, deep: Arm) -> Verdict:
    """Claim 10: batch gap of the deep model minus that of the shallow one, above 0.

    At a batch that the shallow model was not trained with, its gap is read between the two
    neighbouring batches on a straight line in log B.
    """
    gaps, notes = batch_gaps(shallow), []
    contrasts = []
    for batch in deep.larger:
        if not shallow.reference_batch < batch <= max(shallow.batches, default=0):
            continue
        if batch not in gaps:
            notes.append(batch)
        contrasts.append(Contrast(
            f"{gap_words(deep, 'batch gap')} of the deep model minus the shallow one's, batch {batch:,} against "
            f"{deep.reference_batch:,}", batch,
            _difference(batch_gaps(deep)[batch], between(gaps, batch)),
            "shallow gap read between neighbouring batches" if batch not in gaps else ""))
    if not contrasts or shallow.reference_batch != deep.reference_batch:
        return undecided(10, f"{shallow.experiment} and {deep.experiment} cover no common range of "
                         f"batches.{apart_note(shallow)}{apart_note(deep)} Measure the same "
                         "batches with both models.", deep.experiment, deep.rule, EQUAL_EPOCHS)
    details = judge(contrasts, 0.0, deep.outcome.margin)
    return assemble(10, deep, EQUAL_EPOCHS, details[-1:], details, details[-1].answer)


def between(gaps: pd.DataFrame, batch: int) -> pd.Series:
    """The gap per seed at `batch`, on a straight line in log B between its neighbours."""
    if batch in gaps:
        return gaps[batch]
    below = max(b for b in gaps.columns if b < batch)
    above = min(b for b in gaps.columns if b > batch)
    share = math.log(batch / below) / math.log(above / below)
    return (1 - share) * gaps[below] + share * gaps[above]


def _difference(first: pd.Series, second: pd.Series) -> Floats:
    """For the seeds that both have."""
    values = (first - second).to_numpy(np.float64)
    return np.asarray(values[np.isfinite(values)])


def optimizer_pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """(SGD, Adam) arms alike in all else."""
    return [(one, two) for one in arms for two in arms
            if one.text("optimizer") == "sgd" and is_adaptive(two.text("optimizer"))
            and _alike(one, two, ("dataset", "model", "loss", "epochs", "placement"))]


def depth_pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """(shallow, deep) arms under Adam, alike in all but the model; of one family, by name, the one with more trainable
    parameters counts as the deeper: parameters say nothing of the depth of unlike models."""
    return [(one, two) for one in arms for two in arms
            if is_adaptive(one.text("optimizer")) and one.text("model") != two.text("model")
            and _alike(one, two, ("dataset", "optimizer", "loss", "epochs", "placement"))
            and _family(one.text("model")) == _family(two.text("model"))
            and one.first("parameters") < two.first("parameters")]


def _family(model: str) -> str:
    """mlp of mlp_128 and of mlp_512_256_128, ResNet of ResNet50."""
    return re.split(r"[_\d]", model, maxsplit=1)[0]


def _alike(one: Arm, two: Arm, columns: Sequence[str]) -> bool:
    judged_alike = (one.rule, one.outcome.name) == (two.rule, two.outcome.name)
    return judged_alike and all(one.text(name) == two.text(name) for name in columns)
