"""Epochs and steps to a target at each batch, from imported runs, and the critical batch they give.

The law is fitted to one number per reference point, not to single runs: an olympic mean, as MLPerf compares them, or,
where the runs are trials, the best of them (Shallue et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..importers.imported_run import BEST_TRIAL
from ..importers.mlperf.units import UNKNOWN
from ..importers.registry import CONVERGENCE
from ..laws.critical_batch import fit_steps_to_target, StepsToTarget, useful_batches, UsefulBatches
from ..statistics.estimate import Estimate, Floats, unknown, without_interval
from ..statistics.olympic_mean import FEWEST_RUNS, olympic_mean
from ..tables.results import Results

WIDEST_SPREAD = 10.0


@dataclass(frozen=True)
class TargetPoint:
    """One reference point: a batch, and how much training its runs took to the target.

    amount: the olympic mean of the epochs or samples to the target, NaN below 3 runs; of trials, the best one. steps:
    the steps in that amount, NaN where the size of an epoch is not known. never: the number of runs that did not pass
    the target; one of them is the worst that an olympic mean drops, and with more there is no mean.
    """

    source: str
    global_batch: int
    amount: Estimate
    steps: Estimate
    fewest: float
    most: float
    optimizer: str
    learning_rate: float
    platform: str
    never: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the source, the batch, the amount and steps to the target, and how many runs never passed it."""
        return {"source": self.source, "global_batch": self.global_batch, "amount": self.amount.to_json(),
                "steps": self.steps.to_json(), "never": self.never}


@dataclass(frozen=True)
class Convergence:
    """Points of one benchmark in order of batch, and the law through their means, whose n is the number of points.

    tuned: a point is the best of its trials, not an olympic mean. unit: what is counted, of which one is
    `examples_each` examples (NaN where that is not known, and then so are steps). minimum_amount and minimum_steps are
    those of the law, at small and at large batches.
    """

    experiment: str
    unit: str
    examples_each: float
    points: tuple[TargetPoint, ...]
    law: StepsToTarget
    useful: UsefulBatches
    minimum_amount: Estimate
    minimum_steps: Estimate
    warnings: tuple[str, ...]
    tuned: bool = False

    @property
    def critical_batch(self) -> Estimate:
        """Return the critical batch of the law, in examples of the global batch."""
        return self.law.critical_batch

    @property
    def each(self) -> str:
        """Return in words what a point is: the best trial or an olympic mean."""
        return "best trial" if self.tuned else "olympic mean"

    @property
    def example(self) -> str:
        """Return what an example of the batch is called, plural: what is counted, where that is no epoch."""
        return "examples" if self.unit in ("epochs", UNKNOWN) else self.unit

    def law_amount(self, batch: float) -> float:
        """Return the amount to the target at a global batch by the law, in `unit`: steps(B) times B."""
        return self.law.steps(batch) * batch

    def to_json(self) -> dict[str, Any]:
        """Return the law, its points and the warnings; `examples_each` is None where it is not known."""
        known = math.isfinite(self.examples_each)
        return {"experiment": self.experiment, "unit": self.unit, "of": self.each,
                "examples_each": int(self.examples_each) if known else None,
                "critical_batch": self.critical_batch.to_json(), "minimum_amount": self.minimum_amount.to_json(),
                "minimum_steps": self.minimum_steps.to_json(), "note": self.law.note,
                "perfect_scaling_end": self.useful.perfect_scaling_end, "largest_useful": self.useful.largest_useful,
                "points": [point.to_json() for point in self.points], "warnings": list(self.warnings)}


def convergences(results: Results) -> tuple[Convergence, ...]:
    """Return one result per benchmark among the imported runs, in order of first mention; none without such runs."""
    runs = results.runs[results.runs["kind"] == CONVERGENCE]
    return tuple(_convergence(str(name), rows, results) for name, rows in runs.groupby("experiment", sort=False))


def _convergence(experiment: str, runs: pd.DataFrame, results: Results) -> Convergence:
    unit = _counted(experiment, results)
    epochs = runs["epochs_to_target"].notna().any() and unit in ("", "epochs", UNKNOWN)
    column = "epochs_to_target" if epochs else "examples_to_target"
    tuned = bool((runs["rule"] == BEST_TRIAL).all())
    size = 1.0 if column == "examples_to_target" else float(runs["train_examples"].iloc[0])
    groups = runs.groupby("reference_point", sort=False)
    found = sorted((_point(str(source), rows, column, size, results, tuned) for source, rows in groups),
                   key=lambda point: point.global_batch)
    # A point of few runs tells nothing; one whose runs never pass is censored, which the law lists.
    usable = [point for point in found if math.isfinite(point.amount.value) or point.never > (0 if tuned else 1)]
    batches = [point.global_batch for point in usable]
    # Steps in units of `size` examples: the critical batch does not depend on it, so it need not be known.
    steps = [point.amount.value / point.global_batch for point in usable]
    law = fit_steps_to_target(batches, steps)
    return Convergence(experiment, _unit(column, unit), size, tuple(found), law,
                       useful_batches(batches, steps), law.minimum_examples, _scaled(law.minimum_steps, size),
                       tuple(_warnings(found, tuned)), tuned)


def _counted(experiment: str, results: Results) -> str:
    """What the benchmark counts, where the import knows it; "" where the columns say it."""
    imported = results.plan.imported
    return imported.units.get(experiment, "") if imported is not None else ""


def _unit(column: str, unit: str) -> str:
    """The unit of the column: where tokens were counted, it has the sequences that they make."""
    if column == "examples_to_target":
        return {"": "samples", "epochs": "samples", "tokens": "sequences"}.get(unit, unit)
    return unit or "epochs"


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    return estimate.scaled(factor) if math.isfinite(factor) else unknown(estimate.n)


def _point(source: str, runs: pd.DataFrame, column: str, size: float, results: Results, tuned: bool) -> TargetPoint:
    amounts, first = runs[column].to_numpy(dtype=float), runs.iloc[0]
    passed = amounts[np.isfinite(amounts)]
    mean = _best(passed, amounts.size) if tuned else _olympic(passed, amounts.size)
    devices = results.environments["devices"].iloc[int(first["environment"])]
    # The rate of the best trial; of runs that differ in nothing but chance it is the same in all.
    best = runs.iloc[int(np.nanargmin(amounts))] if tuned and passed.size else first
    return TargetPoint(source, int(first["global_batch"]), mean, _scaled(mean, size / float(first["global_batch"])),
                       float(passed.min()) if passed.size else math.nan,
                       float(passed.max()) if passed.size else math.nan, str(first["optimizer"]),
                       float(best["base_learning_rate"]), devices if isinstance(devices, str) else "",
                       amounts.size - passed.size)


def _best(passed: Floats, trials: int) -> Estimate:
    return without_interval(float(passed.min()), trials) if passed.size else unknown(trials)


def _olympic(passed: Floats, runs: int) -> Estimate:
    """One run that never passed is the worst one, which is left out whatever it is; the largest stands for it."""
    if runs < FEWEST_RUNS or runs - passed.size > 1 or not passed.size:
        return unknown(runs)
    return olympic_mean(np.append(passed, [passed.max()] * (runs - passed.size)))


def _warnings(points: Sequence[TargetPoint], tuned: bool) -> list[str]:
    few = [point for point in points if not tuned and point.amount.n < FEWEST_RUNS]
    wide = [point for point in points if not tuned and point.most > WIDEST_SPREAD * point.fewest]
    lost = [point for point in points if point.never and (not tuned or math.isnan(point.amount.value))]
    found = [f"{point.source} has {point.amount.n} runs; an olympic mean needs {FEWEST_RUNS}, so it is left out of the "
             "fit." for point in few]
    found += [f"{point.source}: {point.never} of {point.amount.n} runs never passed the target"
              + (", so it has no value." if math.isnan(point.amount.value) else "; it counts as the worst.")
              for point in lost]
    return found + [f"The runs of {point.source} lie between {point.fewest:g} and {point.most:g}: some of them may be "
                    "placeholders. They count as they are; look at the file." for point in wide]
