"""The decision on imported runs: what they tell about the batch, and what they cannot decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .content import counted, duration, number
from .convergence import Convergence
from .decision import WORTHWHILE, Decision
from .estimate import Estimate

# Everything that a study of one's own would decide and that a file of reference points says nothing about.
CANNOT_DECIDE = (
    "Which batch is fastest: no step time or throughput was recorded",
    "How many GPUs are worth having: no run was timed on several numbers of replicas",
    "What a batch costs: there is neither time nor price nor energy",
    "Whether a batch fits: no memory was recorded",
    "What a batch does to the final accuracy or the generalization gap: training stopped at the target, and no "
    "accuracy was recorded",
    "Whether another learning-rate rule would do better: each batch has the one setting its creator chose")


def decide_imported(found: Sequence[Convergence], deadline_seconds: float | None = None) -> Decision:
    """Nothing is recommended: a batch with the fewest steps need not be the fastest. Nor is a deadline judged."""
    answers = [sentence for one in found for sentence in _answers(one)]
    answers.append("No batch, number of GPUs or learning rate is recommended: these records hold how much training "
                   "the target took and nothing about time, memory, accuracy or cost. A study of your own model "
                   "decides that: batchscale study PLAN.")
    if deadline_seconds is not None:
        answers.append(f"What meets the deadline of {duration(deadline_seconds)} is not known: no time was recorded.")
    warnings = tuple(warning for one in found for warning in one.warnings)
    return Decision(answers=tuple(answers), sentences=tuple(answers), recommendations=(), options=(), critical=(),
                    scaling=(), memory=(), deadlines=(), verdicts=(), open_questions=CANNOT_DECIDE, warnings=warnings,
                    next_plan="", worthwhile=WORTHWHILE)


def _answers(one: Convergence) -> list[str]:
    return [_critical(one), *_useful(one)]


def _critical(one: Convergence) -> str:
    batch, note = one.critical_batch, one.law.note
    if note or not math.isfinite(batch.value):
        fitted = f" The fit's own value, {_value(batch)}, is an extrapolation." if math.isfinite(batch.value) else ""
        return f"{one.experiment}: the critical batch is not known: {note or 'no finite fit'}.{fitted}"
    steps = f" ({_value(one.minimum_steps)})" if math.isfinite(one.minimum_steps.value) else ""
    exact = "" if batch.has_interval else " Two points fit any such law exactly, so nothing is known about its error."
    return (f"{one.experiment}: the critical batch is {_value(batch)} examples, from "
            f"{counted(batch.n, 'reference point')}. There the target takes twice the fewest steps that any batch "
            f"needs{steps} and twice the fewest {one.unit} ({_value(one.minimum_amount)}): well below it, doubling the "
            f"batch nearly halves the steps; well above it, it saves hardly any.{exact}")


def _value(value: Estimate) -> str:
    return f"{number(value.value)} " + (f"[{number(value.low)} to {number(value.high)}]" if value.has_interval
                                        else "[no interval]")


def _useful(one: Convergence) -> list[str]:
    useful = one.useful
    if useful.perfect_scaling_end is None or useful.largest_useful is None:
        return []
    note = f"; {useful.note}" if useful.note else ""
    return [f"{one.experiment}: batches up to {useful.perfect_scaling_end:,} need at most 20 % more {one.unit} than "
            f"the best one measured; from {useful.largest_useful:,} on, steps are within 20 % of the fewest "
            f"measured{note}."]
