"""Which runs belong on one panel, what a panel is called, and means over seeds or launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ...benchmarks.config.optimizers import known
from ...benchmarks.schedules.rules import rule_order
from ...benchmarks.text import number
from ..columns import possible, PROPORTIONAL, REPEATS
from ..formatting import MARKERS, what_ran
from ..statistics.estimate import Estimate, geometric_mean, mean_estimate, t_interval, without_interval
from ..tables.outcome import Outcome
from ..tables.results import Results
from .arm_runs import arm_runs, is_listed_elsewhere

MOST_PANELS = 8


@dataclass(frozen=True)
class Workload:
    """Accuracy runs that differ in batch, rule and seed alone; `marker` stands for them in every figure.

    name: that of the experiment, with its placement where there are several. title: what was trained, for headings; the
    name follows where two experiments train the same.
    """

    experiment: str
    name: str
    detail: str
    marker: str
    runs: pd.DataFrame
    outcome: Outcome
    title: str

    @property
    def placement(self) -> str:
        """Return the strategy and replicas that all the runs have."""
        return str(self.runs["placement"].iloc[0])

    @property
    def reference_batch(self) -> int:
        """Return the global batch that the others are compared with."""
        return int(self.runs["reference_batch"].iloc[0])

    @property
    def batches(self) -> list[int]:
        """Return the global batches trained, ascending."""
        return sorted(int(batch) for batch in self.runs["global_batch"].unique())

    @property
    def rules(self) -> list[str]:
        """Return the rules in the order of every figure; rules that `rule_order` does not know come last."""
        found = list(self.runs["rule"].unique())
        return sorted(found, key=rule_order)

    def arm(self, rule: str, batch: int) -> pd.DataFrame:
        """Return the rule's runs at this batch, one row per seed; empty where it has none. They are for all to read."""
        if (rule, batch) not in self._arms_found:
            self._arms_found[rule, batch] = arm_runs(self.runs[self.runs["global_batch"] == batch], rule)
        return self._arms_found[rule, batch]

    @cached_property
    def _arms_found(self) -> dict[tuple[str, int], pd.DataFrame]:
        """Return the arms taken from `runs` so far: many sections ask for the same ones."""
        return {}

    @property
    def arms(self) -> list[tuple[str, int, pd.DataFrame]]:
        """Return every rule and batch that has runs, with these."""
        each = [(rule, batch, self.arm(rule, batch)) for rule in self.rules for batch in self.batches]
        return [(rule, batch, runs) for rule, batch, runs in each if not runs.empty]

    def is_listed_elsewhere(self, rule: str, batch: int) -> bool:
        """Return whether the rule's runs at this batch are the constant rule's, listed there."""
        return is_listed_elsewhere(rule, batch, self.reference_batch)


def workloads(results: Results) -> list[Workload]:
    """Return the groups of accuracy runs, one per experiment and placement, in the plan's order."""
    runs = results.runs[results.runs["kind"] == "accuracy"]
    grouped = runs.groupby(["experiment", "placement"], sort=False)
    several = runs.groupby("experiment")["placement"].nunique()
    trained = Counter(_trained(rows) for _, rows in grouped)
    found = []
    for index, ((experiment, placement), rows) in enumerate(grouped):
        first = rows.iloc[0]
        name = f"{experiment}, {placement}" if several[experiment] > 1 else str(experiment)
        detail = what_ran(first["optimizer"], first["model"], first["dataset"], str(placement))
        found.append(Workload(str(experiment), name, detail, MARKERS[index % len(MARKERS)], rows,
                              results.outcomes[str(experiment)],
                              _trained(rows) if trained[_trained(rows)] == 1 else f"{_trained(rows)} ({name})"))
    return found


def _trained(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return heading(str(first["optimizer"]), str(first["model"]), str(first["experiment"]))


def heading(optimizer: str, model: str, experiment: str) -> str:
    """Return optimizer and model in words, for headings: "Adam on mlp_128"; the experiment where neither is named, as
    in an imported table.

    >>> heading("adam", "mlp_128", "weak_scaling"), heading("", "", "weak_scaling")
    ('Adam on mlp_128', 'weak_scaling')
    """
    spec = known(optimizer)
    return what_ran(spec.words if spec else optimizer, model) or experiment


def peak_rates(runs: pd.DataFrame) -> str:
    """Return the peak learning rate of one rule and batch in words; of a tuned arm each that half of its seeds chose
    for the other."""
    return " or ".join(number(float(rate)) for rate in np.unique(runs["peak_learning_rate"].to_numpy(np.float64)))


def finite(frame: pd.DataFrame, column: str) -> list[float]:
    """Return the finite values of a column; the others are left out."""
    values = frame[column].to_numpy(dtype=np.float64)
    return [float(value) for value in values[np.isfinite(values)]]


def mean_of(frame: pd.DataFrame, column: str) -> Estimate:
    """Return the mean of a column's finite values over the repeats in a frame of runs: seeds, launches, or runs of one
    kind."""
    kinds = set(frame["kind"]) if "kind" in frame else set()
    return column_mean(finite(frame, column), column).per(REPEATS.get(kinds.pop(), "") if len(kinds) == 1 else "")


def column_mean(values: Sequence[float], column: str) -> Estimate:
    """Return the mean of a column's finite values on the scale on which they vary: the geometric mean of times and
    rates, else the arithmetic one with its interval cut to what the column can be."""
    if column in PROPORTIONAL and all(value > 0 for value in values):
        return geometric_mean(values)
    return mean_estimate(values).within(*possible(column))


def mean_curve(frame: pd.DataFrame, x: str, y: str) -> tuple[tuple[float, Estimate], ...]:
    """Return (mean x, mean y) over seeds at each step that all seeds have, with t intervals of y; empty where no y is
    finite."""
    usable = frame[np.isfinite(frame[y].to_numpy(dtype=np.float64))]
    if usable.empty:
        return ()
    steps = usable.groupby("step").agg(x=(x, "mean"), mean=(y, "mean"), std=(y, "std"), n=(y, "size"))
    steps = steps[steps["n"] == usable["run_id"].nunique()]
    low, high = t_interval(steps["mean"], steps["std"], steps["n"])
    return tuple((float(place), _curve_point(float(mean), float(a), float(b), int(n)).within(*possible(y)))
                 for place, mean, a, b, n in zip(steps["x"], steps["mean"], low, high, steps["n"]))


def _curve_point(mean: float, low: float, high: float, n: int) -> Estimate:
    return Estimate(mean, low, high, n) if high > low else without_interval(mean, n)


def seeds_text(counts: Iterable[int]) -> str:
    """Return a count of seeds in words: `n = 6 seeds`, `n = 2 to 6 seeds`, or `no seeds`; zeros are left out."""
    return _n_text(counts, "seed", "seeds")


def launches_text(counts: Iterable[int]) -> str:
    """Return a count of launches in words: `n = 3 launches`, `n = 2 to 6 launches`, or `no launches`; zeros are left
    out."""
    return _n_text(counts, "launch", "launches")


def _n_text(counts: Iterable[int], one: str, more: str) -> str:
    found = sorted(set(counts) - {0})
    if not found:
        return f"no {more}"
    if len(found) == 1:
        return f"n = {found[0]} {one if found[0] == 1 else more}"
    return f"n = {found[0]} to {found[-1]} {more}"


def batch_shades(batches: Sequence[int]) -> dict[int, float]:
    """Return the opacity of each batch, from 0.4 at the smallest to 1 at the largest, so that one colour stays one
    rule."""
    steps = max(len(batches) - 1, 1)
    return {batch: 0.4 + 0.6 * index / steps for index, batch in enumerate(sorted(batches))}


def first_panels(items: Sequence[Workload]) -> Iterator[tuple[str, Workload]]:
    """Yield the first MOST_PANELS workloads, each with a name that is safe as an id."""
    for index, item in enumerate(items[:MOST_PANELS]):
        yield f"w{index}", item


def evaluations_of(work: Workload, evaluations: pd.DataFrame, rule: str, batch: int) -> pd.DataFrame:
    """Return the evaluations of one rule at one batch, those of all its seeds."""
    runs = work.arm(rule, batch)["run_id"]
    return evaluations[evaluations["run_id"].isin(runs) & (evaluations["global_batch"] == batch)]


def own_evaluations(work: Workload, results: Results) -> pd.DataFrame:
    """Return all evaluations of the workload's runs."""
    rows = results.evaluations
    return rows[rows["run_id"].isin(work.runs["run_id"])]
