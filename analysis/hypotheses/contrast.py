"""Claims 4 and 10: batch gaps of two experiments beside each other, seed by seed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...benchmarks.config.optimizers import is_adaptive
from ..statistics.estimate import Floats
from ..study.arms import Arm
from ..study.batch_gaps import batch_gaps
from .accuracy import EQUAL_EPOCHS, apart_note, assemble, gap_words
from .verdict import Contrast, judge_first, undecided, Verdict


def adam_less_sensitive(sgd: Arm, adam: Arm) -> Verdict:
    """Judge claim 4: batch gap of SGD minus that of Adam at the same batches, above 0."""
    common = [batch for batch in sgd.larger if batch in adam.larger]
    name = f"{gap_words(sgd, 'batch gap')} of SGD minus that of Adam"
    if sgd.reference_batch != adam.reference_batch or not common:
        return undecided(4, f"{sgd.experiment} and {adam.experiment} share no batch beside the "
                         f"reference.{apart_note(sgd)}{apart_note(adam)} Measure the same batches "
                         "under both optimizers.", sgd.experiment, sgd.rule, EQUAL_EPOCHS)
    first, second = batch_gaps(sgd), batch_gaps(adam)
    details = judge_first([Contrast(f"{name}, batch {batch:,} against {sgd.reference_batch:,}", batch,
                                    _difference(first[batch], second[batch]), reach=2 * sgd.outcome.span,
                                    cross_fitted=sgd.cross_fitted)
                           for batch in common], 0.0, sgd.outcome.margin)
    return assemble(4, sgd, EQUAL_EPOCHS, details[:1], details)


def deeper_shows_more(shallow: Arm, deep: Arm) -> Verdict:
    """Judge claim 10: batch gap of the deeper and wider model minus that of the smaller one, above 0, at batches that
    both were trained with: the gap is a curve, and a straight line between two batches does not follow it."""
    gaps, of_deep = batch_gaps(shallow), batch_gaps(deep)
    common = [batch for batch in deep.larger if batch in shallow.larger]
    if not common or shallow.reference_batch != deep.reference_batch:
        return undecided(10, f"{shallow.experiment} and {deep.experiment} share no batch beside the reference."
                         f"{apart_note(shallow)}{apart_note(deep)} Measure the same "
                         "batches with both models.", deep.experiment, deep.rule, EQUAL_EPOCHS)
    name = f"{gap_words(deep, 'batch gap')} of the deeper and wider model minus the smaller one's"
    details = judge_first([Contrast(f"{name}, batch {batch:,} against {deep.reference_batch:,}", batch,
                                    _difference(of_deep[batch], gaps[batch]), reach=2 * deep.outcome.span,
                                    cross_fitted=deep.cross_fitted)
                           for batch in common], 0.0, deep.outcome.margin)
    return assemble(10, deep, EQUAL_EPOCHS, details[:1], details,
                    f"{deep.text('model')} has {deep.first('parameters') / shallow.first('parameters'):.1f} times the "
                    f"parameters of {shallow.text('model')}: depth and width are not told apart.")


def _difference(first: pd.Series, second: pd.Series) -> Floats:
    """For the seeds that both have."""
    values = (first - second).to_numpy(np.float64)
    return np.asarray(values[np.isfinite(values)])


def optimizer_pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Return the pairs of an SGD arm and an arm under an adaptive optimizer that are alike in rule, outcome, dataset,
    model, loss, epochs and placement."""
    return [(one, two) for one in arms for two in arms
            if one.text("optimizer") == "sgd" and is_adaptive(two.text("optimizer"))
            and _alike(one, two, ("dataset", "model", "loss", "epochs", "placement"))]


def depth_pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Return the (shallow, deep) pairs of arms under one adaptive optimizer that are alike in all but the model. Both
    models are of one family, by name; the one with more trainable parameters counts as the deeper, because parameters
    say nothing of the depth of unlike models."""
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
