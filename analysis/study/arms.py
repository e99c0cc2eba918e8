"""One arm of the study: an experiment under one rule, seed by seed and batch by batch.

Matrices are DataFrames, one row per seed and one column per global batch, NaN where a run is not
there. A batch at which any run diverged or ran out of memory stands apart: the seeds that
survived are not a fair sample. So does one at which a run never reached its rule's rate: it does not show the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.schedules.rules import PUBLISHED_RULE, SHARED_RULE, TUNED_RULE
from ..columns import METRICS
from ..statistics.estimate import Floats
from ..tables.outcome import Outcome
from ..tables.results import experiments, Results, rules
from ..tables.selections import known_whole
from .arm_runs import experiment_arm, is_shared
from .learning.warned import never_at_peak

# Below half of the first loss a model has learned something; above it gaps are all near zero.
LEARNED_SHARE = 0.5
GAP = "generalization_gap"
CURVE = ("step", "epoch", "train_seconds", *METRICS)


@dataclass(frozen=True, eq=False)
class Arm:
    """Runs and evaluations of one experiment under one rule.

    `batches`: the global batches at which every run completed and reached the rate of its rule, ascending. `apart`:
    batch -> what became of its runs, for the other batches. `reference_batch`: the stated one, or the smallest trained
    where that one is not among `batches`.
    """

    experiment: str
    rule: str
    runs: pd.DataFrame
    evaluations: pd.DataFrame
    reference_batch: int
    batches: tuple[int, ...]
    apart: Mapping[int, str]
    outcome: Outcome

    @property
    def larger(self) -> tuple[int, ...]:
        """Return the batches above the reference."""
        return tuple(batch for batch in self.batches if batch > self.reference_batch)

    @property
    def cross_fitted(self) -> bool:
        """Return whether each half of the seeds is read at the rate that the other half chose."""
        return self.rule == TUNED_RULE

    @cached_property
    def _first_run(self) -> dict[str, Any]:
        return {str(name): value for name, value in self.runs.iloc[0].items()}

    def rows_at(self, batch: int) -> pd.DataFrame:
        """Return the rows of `runs` at one batch. They are for all to read."""
        if batch not in self._rows_found:
            self._rows_found[batch] = self.runs[self.runs["global_batch"] == batch]
        return self._rows_found[batch]

    @cached_property
    def _rows_found(self) -> dict[int, pd.DataFrame]:
        """Return the rows taken so far: every gap asks for those of its two batches."""
        return {}

    @cached_property
    def gaps_found(self) -> dict[tuple[Any, ...], Any]:
        """Return what `batch_gaps` has found of the arm so far: decision and report ask for the same several times."""
        return {}

    def shares(self, batch: int) -> bool:
        """Return whether its runs at this batch stand for the other rules as well; a batch that takes the place of a
        reference batch without results does not."""
        return is_shared(self.rule, batch, int(self.first("reference_batch")))

    def first(self, column: str) -> float:
        """Return a number that all the runs have in common, read from the first; NaN where imported runs lack it."""
        return float(self._first_run[column])

    def whole(self, column: str) -> int | None:
        """Return a whole number that all the runs have in common; None where imported runs lack it."""
        return known_whole(self.first(column))

    def text(self, column: str) -> str:
        """Return a text that all the runs have in common, read from the first."""
        return str(self._first_run[column])

    @cached_property
    def curves(self) -> dict[tuple[int, int], dict[str, Floats]]:
        """Return (seed, batch) -> evaluations in order of step, one float64 array per name in CURVE that was recorded,
        and the generalization gap as GAP; batches that stand apart are left out."""
        rows = self.evaluations
        rows = rows[rows["global_batch"].isin(self.batches)]
        rows = rows.sort_values(["seed", "global_batch", "step"])
        keys = rows[["seed", "global_batch"]].to_numpy(np.int64)
        table = {name: rows[name].to_numpy(np.float64) for name in CURVE if name in rows}
        table[GAP] = self.outcome.generalization_gap(table)
        starts = np.flatnonzero(np.any(keys[1:] != keys[:-1], axis=1)) + 1
        ends = [*starts.tolist(), len(rows)] if len(rows) else []
        found = {}
        for begin, end in zip([0, *starts.tolist()], ends):
            found[int(keys[begin, 0]), int(keys[begin, 1])] = {
                name: values[begin:end] for name, values in table.items()}
        return found

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that have a curve, ascending."""
        return tuple(sorted({seed for seed, _ in self.curves}))

    def at_end(self, metric: str) -> pd.DataFrame:
        """Return the metric after the last step, where all batches have had equal epochs: a row per seed, a column per
        batch. The table is for all to read."""
        if metric not in self._ends_found:
            self._ends_found[metric] = self._each(self.batches, lambda own: float(own[metric][-1]))
        return self._ends_found[metric]

    @cached_property
    def _ends_found(self) -> dict[str, pd.DataFrame]:
        """Return the tables made so far: every gap at the end of training asks for the same one."""
        return {}

    def at(self, metric: str, batches: Sequence[int], axis: str, place: float) -> pd.DataFrame:
        """Return the metric at `place` of an axis (step, epoch, train_seconds): a row per seed, a column per batch.

        Values between two evaluations are read on a straight line. A place before the latest of the curves' first
        evaluations is moved up to it; after the last evaluation its value is kept. NaN where the axis was not recorded.
        """
        own = [curve[axis] for (_, batch), curve in self.curves.items() if batch in batches and axis in curve]
        start = max((float(places[0]) for places in own if places.size), default=0.0)
        return self._each(batches, lambda curve: _read(curve, metric, axis, max(place, start)))

    def at_step(self, metric: str, batches: Sequence[int], step: float) -> pd.DataFrame:
        """Return the metric after `step` steps, a row per seed and a column per batch; read as in `at`."""
        return self.at(metric, batches, "step", step)

    def at_equal_loss(self, metric: str, batches: Sequence[int]) -> pd.DataFrame:
        """Return the metric where each run first reaches the train loss that all runs of its seed reach: a row per seed
        that has all the batches, a column per batch.

        Values between two evaluations are read on a straight line. NaN where that loss is not below half of the largest
        first loss of the seed's runs: such a model has not learned enough to compare.
        """
        values = {}
        for seed in self.seeds:
            own = {batch: self.curves[seed, batch] for batch in batches
                   if (seed, batch) in self.curves}
            if len(own) == len(batches):
                values[seed] = _equal_loss(own, metric)
        return pd.DataFrame(values, index=list(batches)).T

    def _each(self, batches: Sequence[int],
              function: Callable[[dict[str, Floats]], float]) -> pd.DataFrame:
        values = [[function(self.curves[seed, batch]) if (seed, batch) in self.curves else np.nan
                   for batch in batches] for seed in self.seeds]
        return pd.DataFrame(values, index=list(self.seeds), columns=list(batches),
                            dtype=np.float64)


def load_arm(results: Results, experiment: str, rule: str) -> Arm | None:
    """Return the arm of an experiment under one rule; None where it has no runs."""
    runs, evaluations = experiment_arm(results, experiment, rule)
    if runs.empty:
        return None
    lost = runs.loc[runs["status"] != "completed", "global_batch"].unique()
    apart = {int(batch): _apart(runs[runs["global_batch"] == batch]) for batch in sorted(lost)}
    apart |= {batch: what for batch, what in never_at_peak(results, runs).items() if batch not in apart}
    trained = sorted(int(batch) for batch in set(runs["global_batch"]) - set(apart))
    stated = int(runs["reference_batch"].iloc[0])
    reference = stated if stated in trained or not trained else trained[0]
    return Arm(experiment, rule, runs, evaluations, reference, tuple(trained), apart, results.outcomes[experiment])


def load_arms(results: Results) -> list[Arm]:
    """Return every experiment's arms, the constant rule first over all experiments."""
    found = [load_arm(results, experiment, rule) for experiment in experiments(results)
             for rule in rules(results, experiment)]
    return sorted((arm for arm in found if arm is not None),
                  key=lambda arm: arm.rule != SHARED_RULE)


def pairs(matrix: pd.DataFrame, first: int, second: int) -> Floats:
    """Return the values of batch `first` minus those of batch `second` for the seeds that have both, float[seeds];
    empty where the matrix lacks either batch."""
    if first not in matrix or second not in matrix:
        return np.empty(0)
    values = (matrix[first] - matrix[second]).to_numpy(np.float64)
    return np.asarray(values[np.isfinite(values)])


def published_artefact(results: Results, experiment: str) -> pd.DataFrame:
    """Return, per global batch, the mean test accuracy (or loss) at the first evaluation (start) and at the end, its
    spread at the end (ddof 1) and n, of runs that keep their weights from batch to batch (kept_) and of runs that begin
    anew (clean_); empty without runs that keep them."""
    (_, kept), (_, clean) = (experiment_arm(results, experiment, rule) for rule in (PUBLISHED_RULE, SHARED_RULE))
    if kept.empty:
        return pd.DataFrame()
    metric = results.outcomes[experiment].test
    columns = [ends.rename(columns=lambda name, which=which: f"{which}_{name}")
               for which, ends in (("kept", _ends(kept, metric)), ("clean", _ends(clean, metric)))]
    return columns[0].join(columns[1], how="left").reset_index()


def _ends(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    ordered = rows.sort_values("step").groupby(["global_batch", "run_id"])[metric]
    each = pd.DataFrame({"start": ordered.first(), "end": ordered.last()})
    grouped = each.groupby(level="global_batch")
    return grouped.mean().assign(n=grouped.size(), spread=grouped["end"].std())


def _apart(rows: pd.DataFrame) -> str:
    counts = rows.loc[rows["status"] != "completed", "status"].value_counts()
    return ", ".join(f"{count} of {len(rows)} runs {status.replace('_', ' ')}"
                     for status, count in counts.items())


def _read(curve: Mapping[str, Floats], metric: str, axis: str, place: float) -> float:
    if axis not in curve or np.isnan(curve[axis]).any():
        return math.nan
    return float(np.interp(place, curve[axis], curve[metric]))


def _equal_loss(curves: Mapping[int, Mapping[str, Floats]], metric: str) -> dict[int, float]:
    losses = {batch: own["train_loss"] for batch, own in curves.items()}
    lowest = [float(np.nanmin(loss)) if np.isfinite(loss).any() else np.nan
              for loss in losses.values()]
    target = float(np.max(lowest))
    first = max(float(loss[0]) for loss in losses.values())
    if not target < LEARNED_SHARE * first:
        return {batch: float("nan") for batch in curves}
    return {batch: _crossing(losses[batch], curves[batch][metric], target)
            for batch in curves}


def _crossing(loss: Floats, values: Floats, target: float) -> float:
    """`values` where `loss` first comes down to `target`."""
    after = int(np.flatnonzero(loss <= target)[0])
    if after == 0 or loss[after] == loss[after - 1]:
        return float(values[after])
    share = (loss[after - 1] - target) / (loss[after - 1] - loss[after])
    return float(values[after - 1] + share * (values[after] - values[after - 1]))
