"""What could be run: every measured batch, rule and placement with its accuracy or loss, time and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.schedules.rules import is_measured, TUNED_RULE
from ..laws.cost import cost
from ..statistics.estimate import Estimate, Floats, mean_estimate
from ..study.arms import Arm
from ..study.batch_gaps import chosen_metric, gap_table, not_worse_batches, not_worse_than
from ..tables.outcome import Outcome
from ..tables.results import Results
from ..tables.selections import known_whole, timing_runs

ALONE = "timing runs, alone on the machine"
BESIDE = "training runs, other runs beside them"


@dataclass(frozen=True)
class Option:
    """seconds: training alone, of the whole run, `timed` how. device_hours follows from it, and
    money is NaN without a price. `not_worse`: than the reference batch by more than the margin;
    `pareto`: no option of its experiment that was timed in the same way is better in one of time, device-hours and
    outcome and at least as good in the others. `test`, `choosing`: what it is judged by, on the test data
    and on those that choose."""

    experiment: str
    rule: str
    global_batch: int
    learning_rate: float
    placement: str
    replicas: int | None
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
    def fewest_first(self) -> float:
        """Return the number of replicas to order by, infinite where imported runs do not have it."""
        return math.inf if self.replicas is None else self.replicas

    @property
    def rate(self) -> str:
        return f"{self.learning_rate:.3g}" + (" times its measured gain" if is_measured(self.rule) else "")

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
            rule = arms[0].rule if arm.shares(batch) else arm.rule
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
    where = {str(place): (known_whole(rows["replicas"].iloc[0]), ALONE,
                          _mean(rows["step_seconds"]).scaled(steps)) for place, rows in times}
    trained = str(first["placement"])
    where.setdefault(trained, (known_whole(first["replicas"]), BESIDE, _mean(own["train_seconds"])))
    chosen = float(own[chosen_metric(arm)].mean())
    result = []
    for place, (replicas, timed, seconds) in where.items():
        spent = cost(seconds, math.nan if replicas is None else replicas, price)
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
    """At least as good in all three and better in one, by times taken in one way; an unknown number never
    dominates."""
    first, second = _merits(one), _merits(two)
    if any(map(math.isnan, (*first, *second))) or one is two or one.timed != two.timed:
        return False
    return all(a <= b for a, b in zip(first, second)) and first != second


def _merits(of: Option) -> tuple[float, float, float]:
    return of.seconds.value, of.device_hours.value, -of.outcome.sign * of.test.value
