"""Claims 2, 3 and 5: how fast larger batches learn, and where they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..study.arms import Arm, pairs
from .verdict import (CLAIMS, CONTRADICTED, NOT_DECIDED, SUPPORTED, Answer, both, Contrast, Detail, judge, undecided,
                      Verdict)

FIRST_SHARE = 0.1
LATE_SHARE = 0.3
FIRST_BUDGET = "first tenth of training, at equal steps and at equal examples"
EQUAL_EPOCHS = "equal epochs"


def apart_note(arm: Arm) -> str:
    """The batches that stand apart, in a sentence; empty without any."""
    found = [f"{batch:,} ({what})" for batch, what in arm.apart.items()]
    return f" Apart, not compared: batch {', '.join(found)}." if found else ""


def no_contrast(number: int, arm: Arm, budget: str) -> Verdict:
    have = ", ".join(f"{batch:,}" for batch in arm.batches) or "none"
    return undecided(number, f"No larger batch can be compared with the reference batch "
                     f"{arm.reference_batch:,} (trained by every run: {have}).{apart_note(arm)} "
                     "Measure at least one more batch.", arm.experiment, arm.rule, budget)


def assemble(number: int, arm: Arm, budget: str, decisive: Sequence[Detail],
             details: Sequence[Detail], answer: Answer) -> Verdict:
    """The verdict whose estimate is the first decisive detail's."""
    first = decisive[0]
    words = "; ".join(f"{detail.quantity}: {detail.estimate}, {detail.answer}"
                      + (f" ({detail.note})" if detail.note else "") for detail in decisive)
    return Verdict(number, CLAIMS[number], answer, first.estimate, first.quantity,
                   arm.experiment, arm.rule, budget,
                   f"{words}.{apart_note(arm)}".replace("..", "."), tuple(details))


def faster_at_first(arm: Arm) -> Verdict:
    """Claim 2: train loss in the first tenth, reference minus larger batch, above 0."""
    if not arm.larger:
        return no_contrast(2, arm, FIRST_BUDGET)
    by_steps, by_examples = [], []
    for batch in arm.larger:
        two = (arm.reference_batch, batch)
        steps = arm.runs.loc[arm.runs["global_batch"] == batch, "steps"].iloc[0]
        at_step = arm.at_step("train_loss", two, max(1.0, FIRST_SHARE * float(steps)))
        at_epoch = arm.at_epoch("train_loss", two, FIRST_SHARE * arm.first("epochs"))
        by_steps.append(Contrast(_against(arm, batch, "loss saved at equal steps"), batch,
                                 pairs(at_step, *two)))
        by_examples.append(Contrast(_against(arm, batch, "loss saved at equal examples"), batch,
                                    pairs(at_epoch, *two)))
    steps_, examples = judge(by_steps, 0.0, 0.0), judge(by_examples, 0.0, 0.0)
    decisive = (examples[-1], steps_[-1])
    return assemble(2, arm, FIRST_BUDGET, decisive, (*steps_, *examples),
                    both(steps_[-1].answer, examples[-1].answer))


def lost_words(arm: Arm) -> str:
    return "test accuracy lost" if arm.outcome.percent else "test loss added"


def gap_words(arm: Arm, gap: str) -> str:
    """`generalization gap`, or `generalization gap in loss` where the arm is judged by its loss."""
    return gap if arm.outcome.percent else f"{gap} in loss"


def _against(arm: Arm, batch: int, what: str) -> str:
    return f"{what}, batch {batch:,} against {arm.reference_batch:,}"


def ends_worse(arm: Arm) -> Verdict:
    """Claim 3: test accuracy lost (or test loss added) by more than the margin, and a higher train loss."""
    if not arm.larger:
        return no_contrast(3, arm, EQUAL_EPOCHS)
    details, judged = {}, arm.outcome
    for metric, sign, what, limit in ((judged.test, judged.sign, lost_words(arm), judged.margin),
                                      ("train_loss", -1, "train loss added", 0.0)):
        matrix = arm.at_end(metric)
        details[metric] = judge(
            [Contrast(_against(arm, batch, what), batch,
                      sign * pairs(matrix, arm.reference_batch, batch))
             for batch in arm.larger], limit, limit)
    accuracy, loss = details[judged.test], details["train_loss"]
    found = assemble(3, arm, EQUAL_EPOCHS, (accuracy[-1], loss[-1]), (*accuracy, *loss),
                     both(accuracy[-1].answer, loss[-1].answer))
    if (accuracy[-1].answer, loss[-1].answer) == (CONTRADICTED, SUPPORTED):
        found = replace(found, reason=found.reason + " The larger batch fits worse, but "
                        "predicts no worse.")
    return found


def drops_then_stagnates(arm: Arm) -> Verdict:
    """Claim 5: the largest batch falls less steeply than the middle one over the last 30 % of
    the epochs, and ends with a higher train loss."""
    if len(arm.batches) < 3:
        found = no_contrast(5, arm, EQUAL_EPOCHS)
        return replace(found, reason="Three batches are needed (reference, middle, very large); "
                       f"there are {len(arm.batches)}.{apart_note(arm)} Measure more batches.")
    largest, middle = arm.batches[-1], arm.batches[(len(arm.batches) - 1) // 2]
    slope = arm.late_slope((middle, largest), LATE_SHARE)
    ends = arm.at_end("train_loss")
    name = f"batch {largest:,} against {middle:,}"
    flatter = judge([Contrast(f"train loss per epoch over the last 30 %, {name}", largest,
                              pairs(slope, largest, middle))], 0.0, 0.0)
    worse = judge([Contrast(f"train loss added, {name}", largest,
                            pairs(ends, largest, middle))], 0.0, 0.0)
    answer = both(flatter[0].answer, worse[0].answer)
    found = assemble(5, arm, EQUAL_EPOCHS, (worse[0], flatter[0]), (*flatter, *worse), answer)
    if flatter[0].estimate.n == 0:
        found = replace(found, verdict=NOT_DECIDED if worse[0].answer != CONTRADICTED
                        else CONTRADICTED,
                        reason=found.reason + " Too few evaluations in the last 30 %: train "
                        "for more epochs.")
    return found
