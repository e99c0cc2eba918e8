"""The answer about accuracy in plain words: what growing the batch did at each rule, and in the published way."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..benchmarks.tuning import TUNED_RULE
from .arms import Arm, published_artefact
from .estimate import Estimate, mean_estimate
from .gaps import gap_table
from .table import Results, experiments

SPOKEN = {"sgd": "SGD", "momentum": "SGD with momentum", "adam": "Adam", "constant": "the constant rate",
          "linear": "the linear rule", "sqrt": "the square-root rule",
          "adam_sqrt": "the square-root rule that scales Adam's coefficients too", "legw": "the LEGW rule",
          "noise_scale": "the noise-scale rule", "surge": "the surge rule", "adascale": "AdaScale's measured rate",
          "tuned": "the tuned rate"}


def spoken(name: str) -> str:
    return SPOKEN.get(name, name)


def in_percent(value: Estimate) -> str:
    """An accuracy for people: 93.2 % (93.0 to 93.4, n = 6)."""
    if not math.isfinite(value.value):
        return "not known"
    within = f"{100 * value.low:.1f} to {100 * value.high:.1f}, " if value.has_interval else ""
    return f"{100 * value.value:.1f} % ({within}n = {value.n})"


def in_points(value: Estimate) -> str:
    """A difference of accuracies for people: 1.25 points (1.10 to 1.40, n = 6)."""
    within = f"{100 * value.low:.2f} to {100 * value.high:.2f}, " if value.has_interval else ""
    return f"{100 * value.value:.2f} points ({within}n = {value.n})"


def accuracy_answers(results: Results, arms: Sequence[Arm]) -> list[str]:
    """One sentence or a few per experiment, in the plan's order of experiments."""
    return [text for name in experiments(results)
            if (text := _experiment(results, [arm for arm in arms if arm.experiment == name]))]


def _experiment(results: Results, arms: Sequence[Arm]) -> str:
    told = [arm for arm in arms if arm.larger and arm.rule in SPOKEN]
    if not told:
        return ""
    first = told[0]
    who = f"{spoken(first.text('optimizer'))} on {first.text('model')}"
    ends = first.at_end("test_accuracy")
    reference = mean_estimate(ends[first.reference_batch].dropna()) if first.reference_batch in ends else None
    opening = f"{who}: test accuracy at batch {first.reference_batch:,} is {in_percent(reference)}." if reference \
        else f"{who}."
    return " ".join([opening, *(_arm(arm, results.margin) for arm in told), *_published(results, first)])


def _arm(arm: Arm, margin: float) -> str:
    """What the largest batch of the arm costs, and up to which batch nothing is lost."""
    gaps = gap_table(arm, margin)
    if not gaps:
        return ""
    largest, safe = gaps[-1], [gap.global_batch for gap in gaps if gap.not_worse]
    value = largest.estimate
    change = f"loses {in_points(value)}" if value.value >= 0 else f"gains {in_points(_opposite(value))}"
    upto = f"no more than {100 * margin:g} points are lost up to batch {max(safe):,}" if safe \
        else "no larger batch is shown to keep the accuracy"
    apart = f"; apart from it: {', '.join(f'batch {b:,} {what}' for b, what in arm.apart.items())}" if arm.apart else ""
    return (f"At {spoken(arm.rule)}{_own_reference(arm)}, batch {largest.global_batch:,} {change} at "
            f"{_budget(arm.rule)}; {upto}{apart}.")


def _budget(rule: str) -> str:
    """AdaScale ends when its steps are worth the reference batch's, which takes more epochs."""
    return "its own number of epochs" if rule == "adascale" else "equal epochs"


def _own_reference(arm: Arm) -> str:
    """The tuned arm is tuned at the reference batch too, and is held against what it reaches there."""
    ends = arm.at_end("test_accuracy")
    if arm.rule != TUNED_RULE or arm.reference_batch not in ends:
        return ""
    return (f" of each batch, at which batch {arm.reference_batch:,} reaches "
            f"{in_percent(mean_estimate(ends[arm.reference_batch].dropna()))}")


def _opposite(value: Estimate) -> Estimate:
    return Estimate(-value.value, -value.high, -value.low, value.n)


def _published(results: Results, arm: Arm) -> list[str]:
    """Where one model was trained on and on, what that makes of the largest batch."""
    table = published_artefact(results, arm.experiment)
    if table.empty:
        return []
    last = table.sort_values("global_batch").iloc[-1]
    carried, clean = float(last["kept_end"]), float(last["clean_end"])
    if not (math.isfinite(carried) and math.isfinite(clean)):
        return []
    batch = int(last["global_batch"])
    return [f"Compared the published way, one model trained on from batch to batch, batch {batch:,} would seem to "
            f"reach {100 * carried:.1f} %; started afresh it reaches {100 * clean:.1f} %."]
