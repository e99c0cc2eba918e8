"""Which of the options to take: the fastest that costs no accuracy, as far as the records can tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.schedules.rules import TUNED_RULE
from ..statistics.decision_rules import FEWEST_SEEDS
from ..study.arms import Arm
from ..study.batch_gaps import chosen_metric
from .options import ALONE, Option, standard
from .placement import at_home, timed_alike


@dataclass(frozen=True)
class Recommendation:
    """option is None where nothing can be recommended; `reason` says why, either way. `caution`: what speaks
    against trusting the option's rate."""

    experiment: str
    optimizer: str
    model: str
    loss: str
    option: Option | None
    reason: str
    valid_for: str
    caution: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "option": self.option.to_json() if self.option else None}


def recommend(arms: Sequence[Arm], listed: Sequence[Option], threshold: float) -> Recommendation:
    """The fastest batch that is not worse than the reference, the rule with the best validation
    result at it, and as many replicas as bring at least `threshold` of their share each."""
    arm = arms[0]
    at_reference = arm.runs[arm.runs["global_batch"] == arm.reference_batch]
    seeds = int(at_reference[chosen_metric(arm)].notna().sum())
    about = (arm.experiment, arm.text("optimizer"), arm.text("model"), arm.text("loss"))
    valid = _validity(arms, seeds, arm.outcome.margin)
    if seeds < FEWEST_SEEDS or not arm.batches:
        return Recommendation(*about, None, f"{seeds} seeds have a result at batch "
                              f"{arm.reference_batch:,}; no batch is recommended on fewer than "
                              f"{FEWEST_SEEDS}.", valid)
    fit = [option for option in listed if option.not_worse]
    home = [option for option in fit if option.placement == arm.text("placement")]
    batch, why = _fastest(home)
    rule = max((o for o in home if o.global_batch == batch),
               key=lambda option: option.outcome.sign * option.choosing).rule
    placed = [o for o in fit if (o.global_batch, o.rule) == (batch, rule)]
    alone = [o for o in placed if o.timed == ALONE]
    fewest = min(o.fewest_first for o in placed)
    placed = alone if any(o.fewest_first == fewest for o in alone) else placed
    placed.sort(key=lambda option: (option.fewest_first, option.seconds.value))
    option, place_why = _worthwhile(placed, threshold)
    option = at_home(option, home)
    reference = arm.reference_batch
    shown = any(o.global_batch != reference for o in home)
    tuned = " at its tuned rate" if standard(arms).rule == TUNED_RULE else ""
    of_accuracy = " of accuracy" if arm.outcome.percent else ""
    why = f"Batch {batch:,} is {why} among those not worse than batch {reference:,}{tuned} by more than " \
        f"{arm.outcome.within}, judged by validation." if shown else \
        f"No batch above {reference:,} is shown to cost at most {arm.outcome.within}{of_accuracy}."
    return Recommendation(*about, option, f"{why} {place_why}", valid)


def _fastest(home: Sequence[Option]) -> tuple[int, str]:
    """Of options at one placement; times count where all were taken the same way."""
    timed = {option.timed for option in home}
    if len(timed) == 1 and all(math.isfinite(option.seconds.value) for option in home):
        best = min(home, key=lambda option: (option.seconds.value, -option.global_batch))
        return best.global_batch, f"the fastest to train ({best.timed})"
    return (max(option.global_batch for option in home),
            "the largest; step times at these batches were not all taken in one way")


def _worthwhile(placed: Sequence[Option], threshold: float) -> tuple[Option, str]:
    """From the fewest replicas up, while each step brings enough."""
    best: Mapping[int, Option] = {o.replicas: o for o in reversed(placed) if o.replicas is not None}
    if not best:
        return placed[0], "How many replicas it ran on is not known."
    counts = sorted(best)
    chosen = best[counts[0]]
    for fewer, more in zip(counts, counts[1:]):
        gain = best[fewer].seconds.value / best[more].seconds.value - 1
        share = gain * fewer / (more - fewer)
        if best[fewer].timed != best[more].timed:
            return chosen, (f"What {more} replicas bring is not known: {fewer} were not timed "
                            "alone at this batch.")
        if not share >= threshold:
            return chosen, (f"{more} replicas bring {share:.0%} of their share at this batch, less "
                            f"than {threshold:.0%}: stay at {fewer}.")
        chosen = best[more]
    if len(counts) == 1:
        return chosen, "More replicas were not timed at this batch."
    return chosen, f"Every step up to {counts[-1]} replicas brings at least {threshold:.0%}."


def _validity(arms: Sequence[Arm], seeds: int, margin: float) -> str:
    arm = arms[0]
    batches = sorted({batch for one in arms for batch in one.batches})
    span = f"batches {batches[0]:,} to {batches[-1]:,}" if batches else "no batch"
    rules = ", ".join(one.rule for one in arms)
    return (f"{arm.text('model')} on {arm.text('dataset')} ({int(arm.first('train_examples')):,} "
            f"training examples), {arm.text('optimizer')}, {int(arm.first('epochs'))} epochs, "
            f"{span}, rules {rules}, {seeds} seeds, margin {margin:g}")


def cheapest_in_time(listed: Sequence[Option],
                     deadline_seconds: float) -> tuple[Option | None, str]:
    """The fewest device-hours among options that are not worse and whose time, at the upper end
    of its interval, meets the deadline."""
    fit = [o for o in listed if o.not_worse and math.isfinite(o.seconds.value)]
    late = [o.seconds.high if o.seconds.has_interval else o.seconds.value for o in fit]
    good = [option for option, seconds in zip(fit, late) if seconds <= deadline_seconds]
    if not fit:
        return None, "no time was measured"
    if not good:
        return None, (f"none of {len(fit)} options meets {deadline_seconds:g} s; the fastest takes "
                      f"{min(late):.4g} s. Time more replicas")
    best = min(timed_alike(good), key=lambda one: (one.device_hours.value, one.fewest_first,
                                                   -one.outcome.sign * one.choosing))
    return best, f"{best.seconds} s by {best.timed}"
