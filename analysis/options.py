"""What could be run: every measured batch, rule and placement with its accuracy or loss, time and cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..benchmarks.tuning import TUNED_RULE
from .arms import Arm
from .claims_cost import timing_runs
from .cost import cost
from .estimate import Estimate, Floats, mean_estimate
from .gaps import chosen_metric, gap_table, not_worse_batches, not_worse_than
from .outcome import Outcome
from .table import Results
from .verdict import FEWEST_SEEDS

ALONE = "timing runs, alone on the machine"
BESIDE = "training runs, other runs beside them"


@dataclass(frozen=True)
class Option:
    """seconds: training alone, of the whole run, `timed` how. device_hours follows from it, and
    money is NaN without a price. `not_worse`: than the reference batch by more than the margin;
    `pareto`: no option of its experiment is better in one of time, device-hours and outcome
    and at least as good in the others. `test`, `choosing`: what it is judged by, on the test data
    and on those that choose."""

    experiment: str
    rule: str
    global_batch: int
    learning_rate: float
    placement: str
    replicas: int
    outcome: Outcome
    test: Estimate
    choosing: float
    seconds: Estimate
    timed: str
    device_hours: Estimate
    money: Estimate
    not_worse: bool
    pareto: bool = False

    @property
    def rate(self) -> str:
        return f"{self.learning_rate:.3g}" + (" times its measured gain" if self.rule == "adascale" else "")

    def to_json(self) -> dict[str, Any]:
        names = {"test": self.outcome.test, "choosing": f"choosing_{self.outcome.name}"}
        return {names.get(name, name): value.to_json() if isinstance(value, Estimate) else
                None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in vars(self).items() if name != "outcome"}


def options(arms: Sequence[Arm], results: Results) -> tuple[Option, ...]:
    """Those of one experiment's arms (one per rule); diverged batches are none."""
    price = results.settings.get("price_per_device_hour")
    price = float(price) if isinstance(price, (int, float)) else None
    found: dict[tuple[int, str, str], Option] = {}
    for arm in arms:
        fit = _fit(arm, standard(arms), arm.outcome.margin)
        for batch in arm.batches:
            shared = batch == arm.reference_batch and arm.rule != TUNED_RULE
            rule = arms[0].rule if shared else arm.rule
            own = arm.runs[arm.runs["global_batch"] == batch]
            for option in _placed(arm, results, own, rule, batch in fit, price):
                found.setdefault((batch, rule, option.placement), option)
    listed = list(found.values())
    return tuple(replace(one, pareto=not any(_dominates(two, one) for two in listed))
                 for one in listed)


def standard(arms: Sequence[Arm]) -> Arm:
    """The arm whose reference batch every option is held against: the tuned one where it is the better there, by
    validation, or else what the rules share. A batch that merely equals a badly tuned reference is no gain."""
    def merit(arm: Arm) -> float:
        ends = arm.at_end(chosen_metric(arm))
        value = float(ends[arm.reference_batch].mean()) if arm.reference_batch in ends else math.nan
        return -math.inf if math.isnan(value) else arm.outcome.sign * value

    return max([arms[0], *(arm for arm in arms[1:] if arm.rule == TUNED_RULE)], key=merit)


def _fit(arm: Arm, against: Arm, margin: float) -> set[int]:
    """The batches shown to be not worse than the reference batch of `against`."""
    metric = chosen_metric(arm)
    if arm is not against and TUNED_RULE in (arm.rule, against.rule):
        return set(not_worse_than(arm, against, margin, metric))
    return {arm.reference_batch} | set(not_worse_batches(gap_table(arm, margin, metric=metric)))


def _placed(arm: Arm, results: Results, own: pd.DataFrame, rule: str, not_worse: bool,
            price: float | None) -> list[Option]:
    """The batch where it was trained, and wherever its step was timed."""
    first = own.iloc[0]
    steps = float(first["steps"])
    times = _timed(results, arm, int(first["global_batch"]))
    where = {str(place): (int(rows["replicas"].iloc[0]), ALONE,
                          _mean(rows["step_seconds"]).scaled(steps)) for place, rows in times}
    trained = str(first["placement"])
    where.setdefault(trained, (int(first["replicas"]), BESIDE, _mean(own["train_seconds"])))
    chosen = float(own[chosen_metric(arm)].mean())
    result = []
    for place, (replicas, timed, seconds) in where.items():
        spent = cost(seconds, replicas, price)
        result.append(Option(arm.experiment, rule, int(first["global_batch"]),
                             float(first["peak_learning_rate"]), place, replicas,
                             arm.outcome, _mean(own[arm.outcome.test]), chosen, seconds, timed,
                             spent.device_hours, spent.money, not_worse))
    return result


def _timed(results: Results, arm: Arm, batch: int) -> list[tuple[object, pd.DataFrame]]:
    runs = timing_runs(results)
    same = runs["global_batch"] == batch
    for name in ("dataset", "model", "optimizer"):
        same &= runs[name] == arm.text(name)
    return list(runs[same].groupby("placement", sort=False))


def _mean(values: pd.Series) -> Estimate:
    numbers: Floats = values.to_numpy(np.float64)
    return mean_estimate(numbers[np.isfinite(numbers)])


def _dominates(one: Option, two: Option) -> bool:
    """At least as good in all three and better in one; an unknown number never dominates."""
    first, second = _merits(one), _merits(two)
    if any(map(math.isnan, (*first, *second))) or one is two:
        return False
    return all(a <= b for a, b in zip(first, second)) and first != second


def _merits(of: Option) -> tuple[float, float, float]:
    return of.seconds.value, of.device_hours.value, -of.outcome.sign * of.test.value


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
    fewest = min(o.replicas for o in placed)
    placed = alone if any(o.replicas == fewest for o in alone) else placed
    placed.sort(key=lambda option: (option.replicas, option.seconds.value))
    option, place_why = _worthwhile(placed, threshold)
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
    best: Mapping[int, Option] = {o.replicas: o for o in reversed(placed)}
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
    best = min(good, key=lambda one: (one.device_hours.value, one.replicas,
                                      -one.outcome.sign * one.choosing))
    return best, f"{best.seconds} s by {best.timed}"
