"""What could be run: every measured batch, rule and placement with its accuracy or loss, time and cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.schedules.rules import is_measured, TUNED_RULE
from ..laws.cost import cost
from ..statistics.estimate import Estimate, Floats, geometric_mean
from ..study.arms import Arm
from ..study.batch_gaps import chosen_metric
from ..study.groups import column_mean
from ..study.non_inferiority import loss_tests
from ..tables.outcome import Outcome
from ..tables.results import Results
from ..tables.selections import known_whole, timing_runs

ALONE = "timing runs, alone on the machine"
BESIDE = "training runs, other runs beside them"


@dataclass(frozen=True)
class Option:
    """One way to train: a batch under a rule at one placement, with its time, cost and outcome.

    seconds: training alone, of the whole run, `timed` how. device_hours follows from it, and money is NaN without a
    price. `not_worse`: than the reference batch by more than the margin, by its adjusted `p_value` and those before it,
    NaN at the reference batch itself; `pareto`: no option of its experiment that was
    timed in the same way is better in one of time, device-hours and outcome and at least as good in the others. `test`,
    `choosing`: what it is judged by, on the test data and on those that choose. times: launch, or else seed -> the
    seconds behind `seconds`.
    """

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
    p_value: float = math.nan
    pareto: bool = False
    times: Mapping[int, float] = field(default_factory=dict, repr=False)

    @property
    def fewest_first(self) -> float:
        """Return the number of replicas to order by, infinite where imported runs do not have it."""
        return math.inf if self.replicas is None else self.replicas

    @property
    def rate(self) -> str:
        """Return the learning rate in words, to three digits; "not recorded" where it is not finite.

        Under a rule that measures its gain while training, the words name that factor.
        """
        if not math.isfinite(self.learning_rate):
            return "not recorded"
        return f"{self.learning_rate:.3g}" + (" times its measured gain" if is_measured(self.rule) else "")

    def to_json(self) -> dict[str, Any]:
        """Return the option for decision.json; numbers that are not finite are null."""
        names = {"test": self.outcome.test, "choosing": f"choosing_{self.outcome.name}"}
        return {names.get(name, name): value.to_json() if isinstance(value, Estimate) else
                None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in vars(self).items() if name not in ("outcome", "times")}


def options(arms: Sequence[Arm], results: Results) -> tuple[Option, ...]:
    """Return the options of one experiment's arms (one arm per rule); batches that diverged give none."""
    if not arms:
        return ()
    found: dict[tuple[int, str, str], Option] = {}
    tests, outcome = loss_tests(arms), arms[0].outcome
    kept, p_values = tests.kept(outcome.margin, outcome.alpha), tests.p_values(outcome.margin)
    for arm in arms:
        for batch in arm.batches:
            rule = arms[0].rule if arm.shares(batch) else arm.rule
            own = arm.rows_at(batch)
            p_value = p_values[arm.rule].get(batch, math.nan)
            for option in _placed(arm, results, own, rule, batch in kept[arm.rule], p_value, results.price):
                found.setdefault((batch, rule, option.placement), option)
    listed = list(found.values())
    return tuple(replace(one, pareto=not any(_dominates(two, one) for two in listed))
                 for one in listed)


def _placed(arm: Arm, results: Results, own: pd.DataFrame, rule: str, not_worse: bool,
            p_value: float, price: float | None) -> list[Option]:
    """The batch where it was trained, and wherever its step was timed."""
    first = own.iloc[0]
    steps = float(first["steps"])
    timed = {str(place): (known_whole(rows["replicas"].iloc[0]), ALONE, _by(rows, "launch", "step_seconds", steps))
             for place, rows in _timed(results, arm, int(first["global_batch"]))}
    trained = known_whole(first["replicas"]), BESIDE, _by(own, "seed", "train_seconds")
    timed.setdefault(str(first["placement"]), trained)
    chosen = float(own[chosen_metric(arm)].mean())
    rate = _rate(arm, results, int(first["global_batch"]), float(first["peak_learning_rate"]))
    result = []
    for place, (replicas, how, times) in timed.items():
        seconds = geometric_mean(list(times.values())).per("launches" if how == ALONE else "seeds")
        spent = cost(seconds, math.nan if replicas is None else replicas, price)
        result.append(Option(arm.experiment, rule, int(first["global_batch"]), rate, place, replicas,
                             arm.outcome, _mean(own[arm.outcome.test]).per("seeds"), chosen, seconds, how,
                             spent.device_hours, spent.money, not_worse, p_value, times=times))
    return result


def _rate(arm: Arm, results: Results, batch: int, of_first: float) -> float:
    """The peak rate to train with: of a tuned arm the one that all seeds choose."""
    if arm.rule != TUNED_RULE:
        return of_first
    return next((one.chosen.learning_rate for one in results.tuned if (one.experiment, one.global_batch) ==
                 (arm.experiment, batch) and one.placement == arm.text("placement")), of_first)


def _by(rows: pd.DataFrame, repeat: str, column: str, factor: float = 1.0) -> dict[int, float]:
    """repeat -> value, where it is known; numbered through where imported runs do not tell their repeats apart."""
    keys = rows[repeat]
    numbers = range(len(rows)) if keys.isna().any() or keys.duplicated().any() else keys.astype(int)
    return {int(key): float(value) * factor for key, value in zip(numbers, rows[column])
            if math.isfinite(value * factor)}


def _timed(results: Results, arm: Arm, batch: int) -> list[tuple[object, pd.DataFrame]]:
    runs = timing_runs(results)
    same = runs["global_batch"] == batch
    for name in ("dataset", "model", "optimizer", "precision", "tf32"):
        same &= runs[name] == arm.text(name)
    return list(runs[same].groupby("placement", sort=False))


def _mean(values: pd.Series) -> Estimate:
    numbers: Floats = values.to_numpy(np.float64)
    return column_mean(list(numbers[np.isfinite(numbers)]), str(values.name))


def _dominates(one: Option, two: Option) -> bool:
    """At least as good in all three and better in one, by times taken in one way; an unknown number never
    dominates."""
    first, second = _merits(one), _merits(two)
    if any(map(math.isnan, (*first, *second))) or one is two or one.timed != two.timed:
        return False
    return all(a <= b for a, b in zip(first, second)) and first != second


def _merits(of: Option) -> tuple[float, float, float]:
    return of.seconds.value, of.device_hours.value, -of.outcome.sign * of.test.value
