"""Claims 2, 3 and 5: how fast larger batches learn, and where they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...benchmarks.text import percent
from ..formatting import estimated
from ..study.arms import Arm, pairs
from .quantities import in_points
from .verdict import (CLAIMS, CONTRADICTED, NOT_DECIDED, SUPPORTED, Contrast, Detail, judge, judge_first,
                      together, undecided, Verdict)

FIRST_SHARE = 0.1
FEWEST_STEPS = 10  # in the first tenth: of fewer, one update decides
LATE_SHARE = 0.3
STAGNANT = 0.1  # of what is left: a batch that gains less over the last part of training has stopped
FIRST_BUDGET = "equal steps, a tenth into training"
EQUAL_EPOCHS = "equal epochs"
STAGNATION = "equal epochs and equal steps"


def apart_note(arm: Arm) -> str:
    """Return a sentence that names the batches that stand apart and why; empty without any."""
    found = [f"{batch:,} ({what})" for batch, what in arm.apart.items()]
    return f" Apart, not compared: batch {', '.join(found)}." if found else ""


def no_contrast(number: int, arm: Arm, budget: str) -> Verdict:
    """Return the undecided verdict on a claim for an arm that has no larger batch to compare."""
    have = ", ".join(f"{batch:,}" for batch in arm.batches) or "none"
    return undecided(number, f"No larger batch can be compared with the reference batch "
                     f"{arm.reference_batch:,} (trained by every run: {have}).{apart_note(arm)} "
                     "Measure at least one more batch.", arm.experiment, arm.rule, budget)


def assemble(number: int, arm: Arm, budget: str, decisive: Sequence[Detail],
             details: Sequence[Detail], note: str = "") -> Verdict:
    """Return the verdict of the decisive details together, with the estimate of the first one; `details` are all that
    it lists per batch."""
    first, (answer, supports, contradicts) = decisive[0], together(decisive)
    words = "; ".join(worded(detail) for detail in decisive)
    return Verdict(number, CLAIMS[number], answer, first.estimate, first.quantity,
                   arm.experiment, arm.rule, budget,
                   f"{words}.{f' {note}' if note else ''}{apart_note(arm)}".replace("..", "."), tuple(details),
                   supports=supports, contradicts=contradicts)


def worded(detail: Detail) -> str:
    """Return a contrast in words: its quantity, estimate, answer and note."""
    found = detail.estimate
    written = estimated(found.scaled(100), "points") if in_points(detail.quantity) else estimated(found)
    return f"{detail.quantity}: {written}, {detail.answer}" + (f" ({detail.note})" if detail.note else "")


def faster_at_first(arm: Arm) -> Verdict:
    """Judge claim 2: train loss at equal steps, a tenth into the larger batch's training, reference minus larger batch,
    above 0; the same at equal examples and at equal seconds is reported beside it."""
    if not arm.larger:
        return no_contrast(2, arm, FIRST_BUDGET)
    steps = {batch: FIRST_SHARE * _steps(arm, batch) for batch in arm.larger}
    long_enough = [batch for batch in arm.larger if steps[batch] >= FEWEST_STEPS]
    short = [f"{batch:,}" for batch in arm.larger if batch not in long_enough]
    note = (f"Batch {', '.join(short)}: a tenth of training is fewer than {FEWEST_STEPS} steps, too few to speak of "
            "convergence; train longer.") if short else ""
    if not long_enough:
        return undecided(2, note + apart_note(arm), arm.experiment, arm.rule, FIRST_BUDGET)
    axes = {"steps": "step", "examples": "epoch", "seconds": "train_seconds"}
    found = {name: judge_first([_saved(arm, batch, steps[batch], name, axis) for batch in long_enough], 0.0, 0.0)
             for name, axis in axes.items()}
    first, beside = found["steps"][0], [found[name][0] for name in ("examples", "seconds")]
    known = [worded(detail) for detail in beside if detail.estimate.n]
    if known:
        note = f"Beside it, {'; '.join(known)}. {note}".strip()
    return assemble(2, arm, FIRST_BUDGET, [first], [detail for details in found.values() for detail in details
                                                    if detail.estimate.n], note)


def _steps(arm: Arm, batch: int) -> float:
    return float(arm.runs.loc[arm.runs["global_batch"] == batch, "steps"].iloc[0])


def _saved(arm: Arm, batch: int, step: float, name: str, axis: str) -> Contrast:
    """The loss saved at equal steps, examples or seconds, namely those that the larger batch has spent at `step`."""
    two = (arm.reference_batch, batch)
    spent = arm.at(axis, (batch,), "step", step)[batch].mean() if axis != "step" else step
    at = arm.at("train_loss", two, axis, float(spent))
    return Contrast(_against(arm, batch, f"loss saved at equal {name}"), batch, pairs(at, *two),
                    cross_fitted=arm.cross_fitted)


def lost_words(arm: Arm) -> str:
    """Return in words what a batch loses on the test data: `test accuracy lost`, or `test loss added` where the arm is
    judged by its loss."""
    return "test accuracy lost" if arm.outcome.percent else "test loss added"


def gap_words(arm: Arm, gap: str) -> str:
    """Return `gap` as it is where the arm is judged by accuracy, or followed by `in loss` where it is judged by its
    loss."""
    return gap if arm.outcome.percent else f"{gap} in loss"


def _against(arm: Arm, batch: int, what: str) -> str:
    return f"{what}, batch {batch:,} against {arm.reference_batch:,}"


def ends_worse(arm: Arm) -> Verdict:
    """Judge claim 3: test accuracy lost (or test loss added) by more than the margin, and a higher train loss."""
    if not arm.larger:
        return no_contrast(3, arm, EQUAL_EPOCHS)
    details, judged = {}, arm.outcome
    for metric, sign, what, limit in ((judged.test, judged.sign, lost_words(arm), judged.margin),
                                      ("train_loss", -1, "train loss added", 0.0)):
        matrix, reach = arm.at_end(metric), arm.outcome.span if metric == judged.test else float("inf")
        details[metric] = judge_first(
            [Contrast(_against(arm, batch, what), batch,
                      sign * pairs(matrix, arm.reference_batch, batch), "", reach, arm.cross_fitted)
             for batch in arm.larger], limit, limit)
    accuracy, loss = details[judged.test], details["train_loss"]
    found = assemble(3, arm, EQUAL_EPOCHS, (accuracy[0], loss[0]), (*accuracy, *loss))
    if (accuracy[0].answer, loss[0].answer) == (CONTRADICTED, SUPPORTED):
        found = replace(found, reason=found.reason + " The larger batch fits worse, but "
                        "predicts no worse.")
    return found


def drops_then_stagnates(arm: Arm) -> Verdict:
    """Judge claim 5: the largest batch falls faster than the middle one at first, has stopped at the end, and ends
    higher, at equal epochs and at equal steps.

    A batch that still falls at the end was trained too short to decide, and so was one that is higher at equal epochs
    alone: neither supports the claim nor contradicts it.
    """
    if len(arm.batches) < 3:
        found = no_contrast(5, arm, STAGNATION)
        return replace(found, reason="Three batches are needed (reference, middle, very large); "
                       f"there are {len(arm.batches)}.{apart_note(arm)} Measure more batches.")
    largest, middle = arm.batches[-1], arm.batches[(len(arm.batches) - 1) // 2]
    two, steps, name = (middle, largest), _steps(arm, largest), f"batch {largest:,} against {middle:,}"
    if FIRST_SHARE * steps < FEWEST_STEPS:
        return undecided(5, f"A tenth of training is fewer than {FEWEST_STEPS} steps at batch {largest:,}; train "
                         f"longer.{apart_note(arm)}", arm.experiment, arm.rule, STAGNATION)
    ends, begun, same = (arm.at("train_loss", two, axis, place) for axis, place in (
        ("step", float("inf")), ("step", FIRST_SHARE * steps), ("step", steps)))
    late = arm.at("train_loss", (largest,), "epoch", (1 - LATE_SHARE) * arm.first("epochs"))[largest]
    gained, left = late - ends[largest], late - ends[middle]
    parts = {"train loss saved at equal steps, a tenth into training": pairs(begun, middle, largest),
             f"{percent(STAGNANT)} of the loss left minus the loss gained in the last {percent(LATE_SHARE)}":
                 (STAGNANT * left - gained).dropna().to_numpy(float),
             "train loss added at equal epochs": pairs(ends, largest, middle),
             "train loss added at equal steps": pairs(same, largest, middle)}
    fast, flat, worse, as_many = (judge([Contrast(f"{what}, {name}", largest, values, cross_fitted=arm.cross_fitted)],
                                        0.0, 0.0)[0] for what, values in parts.items())
    return _stagnation(arm, fast, flat, worse, as_many)


def _stagnation(arm: Arm, fast: Detail, flat: Detail, worse: Detail, as_many: Detail) -> Verdict:
    parts = (worse, fast, flat, as_many)
    found = assemble(5, arm, STAGNATION, parts, parts)
    answer, _, contradicts = together((worse, fast))
    if answer == CONTRADICTED:
        return replace(found, verdict=CONTRADICTED, contradicts=contradicts)
    words = ""
    if flat.answer == CONTRADICTED:
        words = " It was still falling when training ended: train longer."
    elif SUPPORTED not in (as_many.answer, found.verdict) and flat.answer == SUPPORTED:
        words = " After as many steps the middle batch was no lower: give the largest batch as many steps."
    return replace(found, verdict=found.verdict if found.verdict == SUPPORTED else NOT_DECIDED,
                   contradicts=contradicts, reason=found.reason + words)
