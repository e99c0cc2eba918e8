"""Whether an experiment can be decided at all: nothing is recommended where nothing was learned, where every run was
lost, or where the runs themselves warn that their results cannot be believed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...benchmarks.runs.run_warnings import EVALUATION
from ...benchmarks.text import counted, listed, number
from ..study.arms import Arm, LEARNED_SHARE
from ..study.groups import column_mean
from ..study.learning.chance import Chance, chance_of, Learned, learned_at
from ..study.learning.warned import badly_evaluated, warnings_of
from ..tables.results import Results
from .options import Option
from .recommendation import Recommendation

LOWER = 10.0  # a rate so many times lower is the next to try
Key = tuple[int, str]  # global batch and rule, as options have them


@dataclass(frozen=True)
class Grounds:
    """Evidence of one experiment that a decision rests on. `refusal`: why nothing is recommended, "" where something
    may be; `left_out`: batches and rules that may not be recommended; `caution` says which and why."""

    experiment: str
    chance: Chance
    learned: tuple[Learned, ...]
    refusal: str = ""
    caution: str = ""
    left_out: frozenset[Key] = frozenset()

    def sound(self, options: Sequence[Option]) -> tuple[Option, ...]:
        """Return the options that may be recommended; all of them where none may be, since then none is."""
        if self.refusal:
            return tuple(options)
        return tuple(one for one in options if (one.global_batch, one.rule) not in self.left_out)

    def judged(self, one: Recommendation) -> Recommendation:
        """Return the recommendation with what speaks against it, or the refusal in its place."""
        if self.refusal:
            return Recommendation(one.experiment, one.optimizer, one.model, one.loss, None, self.refusal, one.valid_for)
        if not self.caution:
            return one
        cautions = " ".join(part for part in (one.caution, self.caution) if part)
        return replace(one, caution=cautions)

    def to_json(self) -> dict[str, Any]:
        """Return the grounds for decision.json."""
        level = self.chance.level
        return {"experiment": self.experiment, "chance": level if math.isfinite(level) else None,
                "chance_is": self.chance.words if math.isfinite(level) else "not known", "refusal": self.refusal,
                "caution": self.caution, "learned": [one.to_json() for one in self.learned]}


def grounds_of(arms: Sequence[Arm], results: Results) -> Grounds:
    """Return the grounds of one experiment's arms."""
    first, lasting = arms[0], refusal_at_any_margin(arms, results)
    if not any(arm.batches for arm in arms):
        return Grounds(first.experiment, Chance(math.nan, ""), (), lasting)
    chance = chance_of(first)
    learned = tuple(found for arm in arms for batch in arm.batches if not (arm is not first and arm.shares(batch))
                    and (found := learned_at(arm, batch, chance)) is not None)
    refusal = _nothing_learned(arms, chance, learned) or lasting
    if refusal:
        return Grounds(first.experiment, chance, learned, refusal)
    idle = {(one.global_batch, one.rule) for one in learned if not one.shown}
    warned = not_believed(arms, results)
    return Grounds(first.experiment, chance, learned, "", _caution(idle, warned, arms, results),
                   frozenset({*idle, *warned}))


def refusal_at_any_margin(arms: Sequence[Arm], results: Results) -> str:
    """Return why nothing of these arms can be recommended whatever the margin; "" where something may be."""
    return _reference_warned(arms[0], results) if any(arm.batches for arm in arms) else _all_lost(arms)


def not_believed(arms: Sequence[Arm], results: Results) -> dict[Key, Arm]:
    """Return the batches and rules whose evaluations cannot be believed, each with its arm."""
    return {(batch, arms[0].rule if arm.shares(batch) else arm.rule): arm for arm in arms
            for batch in badly_evaluated(results, arm.runs) if batch in arm.batches}


def _all_lost(arms: Sequence[Arm]) -> str:
    """Every run diverged, ran out of memory or never reached its rate."""
    runs = {str(run): str(status) for arm in arms for run, status in zip(arm.runs["run_id"], arm.runs["status"])}
    statuses = Counter(runs.values())
    if not statuses.keys() - {"diverged"}:
        rate = arms[0].first("base_learning_rate")
        return (f"all {counted(len(runs), 'run')} diverged, so nothing was learned. Try a lower learning_rate, such as "
                f"{rate / LOWER:g} instead of {rate:g}, or clip_norm = 1.")
    said = listed(f"{count} {status.replace('_', ' ')}" for status, count in statuses.items())
    fix = " Lower learning_rate where they diverged, and the batches where memory ran out." \
        if statuses.keys() & {"diverged", "out_of_memory"} else ""
    return f"no batch was trained by every one of its runs ({said}), so nothing is recommended.{fix}"


def _nothing_learned(arms: Sequence[Arm], chance: Chance, learned: Sequence[Learned]) -> str:
    at_reference = [one for one in learned if one.global_batch == arms[0].reference_batch]
    if not at_reference or any(one.shown for one in at_reference):
        return ""
    outcome, one = arms[0].outcome, at_reference[0]
    result = f"test {outcome.name} is {outcome.level(one.result)} at batch {one.global_batch:,}"
    better = [other for other in learned if other.shown]
    if better:
        best = max(better, key=lambda other: outcome.sign * other.result.value)
        return (f"nothing is shown to be learned at the reference batch: {result}, and {chance.words}. No batch can be "
                f"held against that, though batch {best.global_batch:,} ({best.rule}) reaches "
                f"{outcome.level(best.result)}. Set reference_batch = {best.global_batch}, or try another rate than "
                f"learning_rate = {arms[0].first('base_learning_rate'):g} at batch {one.global_batch:,}.")
    if one.at_chance:
        return f"nothing was learned: {result}, and {chance.words}. {_to_try(arms[0])}."
    return (f"it is not shown that anything was learned: {result}, and {chance.words}. Seeds that learn stand beside "
            f"seeds that do not. {_to_try(arms[0])}.")


def _to_try(arm: Arm) -> str:
    """By what the train loss did at the reference batch."""
    ends = [(float(own["train_loss"][0]), float(own["train_loss"][-1])) for (_, batch), own in arm.curves.items()
            if batch == arm.reference_batch and len(own["train_loss"]) > 1]
    began, ended = map(float, np.mean(ends, axis=0)) if ends else (math.nan, math.nan)
    epochs, rate = int(arm.first("epochs")), arm.first("base_learning_rate")
    if not ended < began:
        return f"The train loss did not fall: try a lower learning_rate, such as {rate / LOWER:g} instead of {rate:g}"
    fell = f"The train loss fell from {number(began)} to {number(ended)}"
    if ended < LEARNED_SHARE * began:
        return (f"{fell}, so what was learned of the training data does not hold for the test data: look whether both "
                "have the same labels and the same scaling")
    return (f"{fell}: try more epochs than {epochs}, or another learning_rate than {rate:g}, such as "
            f"{rate / LOWER:g} or {rate * LOWER:g}")


def _reference_warned(arm: Arm, results: Results) -> str:
    """What its runs say against the evaluations of the reference batch, which all others are held against."""
    if arm.reference_batch not in badly_evaluated(results, arm.runs):
        return ""
    runs = arm.runs[arm.runs["global_batch"] == arm.reference_batch]
    said = "; ".join(group.sentence for group in warnings_of(results, runs, EVALUATION))
    values = list(arm.at_end(arm.outcome.test)[arm.reference_batch].dropna()) if arm.batches else []
    reached = column_mean(values, arm.outcome.test).per("seeds") if values else None
    result = f": test {arm.outcome.name} is {arm.outcome.level(reached)} there" if reached else ""
    return (f"nothing is recommended, since the evaluations at the reference batch {arm.reference_batch:,} cannot be "
            f"believed{result}. {said[:1].upper()}{said[1:]}.")


def _caution(idle: set[Key], warned: dict[Key, Arm], arms: Sequence[Arm], results: Results) -> str:
    """Which batches are not up for choice, and why."""
    parts = []
    if idle:
        parts.append(f"Left out, as nothing is shown to be learned there: {_named(idle)}.")
    if warned:
        batches = {batch for batch, _ in warned}
        said = [group.sentence for arm in arms for group in warnings_of(
            results, arm.runs[arm.runs["global_batch"].isin(batches)], EVALUATION)]
        parts.append(f"Left out, as evaluations there cannot be believed: {_named(warned)}; {said[0]}.")
    return " ".join(parts)


def _named(keys: set[Key] | dict[Key, Arm]) -> str:
    return listed(f"batch {batch:,} ({rule})" for batch, rule in sorted(keys))
