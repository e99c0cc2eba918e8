"""The answer about accuracy or loss in plain words: what growing the batch did, by rule and in the published way."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ...benchmarks.config.objectives import CROSS_ENTROPY
from ...benchmarks.config import optimizers, script
from ...benchmarks.schedules.rules import has_own_budget, RULES, TUNED_RULE
from ...benchmarks.text import counted
from ..statistics.estimate import Estimate, t_interval
from ..study.arms import Arm, published_artefact
from ..study.batch_gaps import gap_table
from ..study.groups import heading
from ..study.non_inferiority import against_own_reference
from ..tables.results import experiments, Results


def spoken(name: str) -> str:
    """Return the words for an optimizer or a rule; a name that is in neither registry stands for itself."""
    named = optimizers.known(name) or RULES.get(name)
    return named.words if named else name


def trained(optimizer: str, model: str, loss: str) -> str:
    """Return in words what was trained, with the loss where it is not the usual one: Adam on mlp_128
    (mean_squared_error).

    What an imported table does not name is left out.
    """
    loss = loss.removeprefix(script.PREFIX)
    named = heading(optimizer, model, "A model that is not named")
    return named + (f" ({loss})" if loss not in ("", CROSS_ENTROPY) else "")


def accuracy_answers(results: Results, arms: Sequence[Arm]) -> list[str]:
    """Return one sentence or a few per experiment on what its batches cost, in the plan's order of experiments."""
    return [text for name in experiments(results)
            if (text := _experiment(results, [arm for arm in arms if arm.experiment == name]))]


def _experiment(results: Results, arms: Sequence[Arm]) -> str:
    told = [arm for arm in arms if arm.larger and arm.rule in RULES]
    if not told:
        return ""
    first, kept = told[0], against_own_reference(told)
    who = trained(first.text("optimizer"), first.text("model"), first.text("loss"))
    ends, outcome = first.at_end(first.outcome.test), first.outcome
    reference = outcome.mean(ends[first.reference_batch].dropna()) if first.reference_batch in ends else None
    opening = f"{who}: test {outcome.name} at batch {first.reference_batch:,} is {outcome.level(reference)}." \
        if reference else f"{who}."
    return " ".join([opening, *(_arm(arm, kept[arm.rule]) for arm in told), *_published_way(results, first)])


def _arm(arm: Arm, safe: Sequence[int]) -> str:
    """What the largest batch of the arm costs, and up to which batch nothing is lost."""
    outcome = arm.outcome
    gaps = gap_table(arm, outcome.margin)
    if not gaps:
        return ""
    largest = gaps[-1]
    value = largest.estimate
    of_loss = "" if outcome.percent else " of test loss"
    change = _changed(arm, value) + of_loss
    cost = "are lost" if outcome.percent else "is added"
    upto = f"no more than {outcome.within} {cost} up to batch {max(safe):,}" if safe \
        else f"no larger batch is shown to keep the {outcome.name}"
    apart = f"; apart from it: {', '.join(f'batch {b:,} {what}' for b, what in arm.apart.items())}" if arm.apart else ""
    return (f"At {spoken(arm.rule)}{_own_reference(arm)}, batch {largest.global_batch:,} {change} at "
            f"{_budget(arm.rule)}; {upto}{apart}.")


def _changed(arm: Arm, value: Estimate) -> str:
    """What is lost or gained, in words; neither where the number is written as 0."""
    verb, size = (arm.outcome.worse, value) if value.value >= 0 else (arm.outcome.better, _opposite(value))
    written = arm.outcome.difference(size)
    return f"neither loses nor gains, {written}," if not written.partition(" ")[0].strip("0.") else f"{verb} {written}"


def _budget(rule: str) -> str:
    """AdaScale ends when its steps are worth the reference batch's, which takes more epochs."""
    return "its own number of epochs" if has_own_budget(rule) else "equal epochs"


def _own_reference(arm: Arm) -> str:
    """The tuned arm is tuned at the reference batch too, and is held against what it reaches there."""
    ends = arm.at_end(arm.outcome.test)
    if arm.rule != TUNED_RULE or arm.reference_batch not in ends:
        return ""
    return (f" of each batch, at which batch {arm.reference_batch:,} reaches "
            f"{arm.outcome.level(arm.outcome.mean(ends[arm.reference_batch].dropna()))}")


def _opposite(value: Estimate) -> Estimate:
    return Estimate(-value.value, -value.high, -value.low, value.n)


def _published_way(results: Results, arm: Arm) -> list[str]:
    found = published(results, arm)
    return [f"Compared the published way, one model trained on from batch to batch, {found}."] if found else []


def published(results: Results, arm: Arm) -> str:
    """Return what training one model on and on makes of the largest batch, and why that is no effect of the batch; ""
    where it was not done."""
    table = published_artefact(results, arm.experiment)
    if table.empty:
        return ""
    last = table.sort_values("global_batch").iloc[-1]
    if not (math.isfinite(last["kept_end"]) and math.isfinite(last["clean_end"])):
        return ""
    batch, (carried, clean) = int(last["global_batch"]), (_level(arm, last, which) for which in ("kept", "clean"))
    epochs = int(arm.first("epochs"))
    return (f"batch {batch:,} would seem to reach {carried}, which is what {epochs * len(table):,} epochs do, not the "
            f"batch; started afresh, with {counted(epochs, 'epoch')}, it reaches {clean}")


def _level(arm: Arm, ends: pd.Series[float], which: str) -> str:
    """Where the runs of one way end, over seeds."""
    mean, spread, n = (float(ends[f"{which}_{name}"]) for name in ("end", "spread", "n"))
    low, high = t_interval(mean, spread, n)
    found = Estimate(mean, float(low), float(high), int(n), "seeds")
    return arm.outcome.level(found.within(0.0, 1.0) if arm.outcome.percent else found)
