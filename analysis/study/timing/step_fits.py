"""The step model, exposed communication and goodput of the timing runs of one study."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ....benchmarks.errors import RecordError
from ...formatting import what_ran
from ...laws.step.model import example_worth, exposed_communication, fit_step_model, goodput, StepModelFit, StepPoint
from ...statistics.estimate import Estimate
from ...statistics.held_out import HeldOutError
from ...statistics.ratio import log_ratio
from ...tables.results import Results
from ...tables.selections import known_whole, timing_runs
from ..critical import CriticalBatch
from ..groups import mean_of
from .scaling import SAME, strategy_names
from .steadiness import by_launch

# Weak and strong runs of one model and strategy are steps of one machine.
ALIKE = [name for name in SAME if name not in ("experiment", "accumulation")]
PLACED = ["placement", "nodes", "cores_per_replica", "precision", "tf32"]


@dataclass(frozen=True)
class Exposed:
    """Step time in seconds beyond one replica's at the same replica batch, paired by launch: communication that nothing
    hides, and waiting. `share` is the fraction of the step that it takes."""

    replicas: int
    nodes: int
    replica_batch: int
    step_seconds: Estimate
    exposed_seconds: Estimate
    share: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return the replicas, nodes and batch, the times in seconds, and the exposed share of the step."""
        return {"replicas": self.replicas, "nodes": self.nodes, "replica_batch": self.replica_batch,
                "step_seconds": self.step_seconds.to_json(), "exposed_seconds": self.exposed_seconds.to_json(),
                "share_of_step": self.share.to_json()}


@dataclass(frozen=True)
class StepFit:
    """Step model of one model on one strategy.

    `fit` is None, with the reason in `note`, where the runs do not give it; `held_out`: one error per point measured at
    the most replicas and predicted from fewer.
    """

    model: str
    optimizer: str
    strategy: str
    fit: StepModelFit | None
    held_out: tuple[HeldOutError, ...]
    exposed: tuple[Exposed, ...]
    note: str

    @property
    def name(self) -> str:
        """Return the optimizer, the model and the strategy in words."""
        return what_ran(self.optimizer, self.model, self.strategy)

    def to_json(self) -> dict[str, Any]:
        """Return the fitted parameters, in seconds but for the overlap, the held-out errors and the exposed times;
        `step_model` is None without a fit."""
        fitted = {name: value.to_json() for name, value in self.fit.estimates.items()} if self.fit else None
        errors = [{"replica_batch": error.size, "measured_seconds": error.measured.to_json(),
                   "predicted_seconds": error.predicted.to_json(), "relative_error": error.relative_error.to_json()}
                  for error in self.held_out]
        return {"model": self.model, "optimizer": self.optimizer, "strategy": self.strategy, "note": self.note,
                "step_model": fitted, "launches": self.fit.n if self.fit else 0,
                "held_out": errors, "exposed": [each.to_json() for each in self.exposed]}


@dataclass(frozen=True)
class Goodput:
    """Examples per second, and what they are worth beside those of the reference batch.

    noise_scale: the average over a run, from which `worth` and `goodput` are computed; worth_at_start and worth_at_end
    use the noise scale at the first probed step and over the last tenth of the steps.
    """

    experiment: str
    placement: str
    global_batch: int
    reference_batch: int
    noise_scale: Estimate
    examples_per_second: Estimate
    worth: Estimate
    worth_at_start: Estimate
    worth_at_end: Estimate
    goodput: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return every field, estimates with their intervals."""
        return {name: value.to_json() if isinstance(value, Estimate) else value for name, value in vars(self).items()}


def step_fits(results: Results) -> tuple[StepFit, ...]:
    """Return one fit per model and strategy with timing runs, in the plan's order."""
    return tuple(_step_fit(rows) for _, rows in timing_runs(results).groupby(ALIKE, sort=False, dropna=False))


def _step_fit(rows: pd.DataFrame) -> StepFit:
    first = rows.iloc[0]
    try:
        fit, note = _fit(rows), ""
    except RecordError as error:
        fit, note = None, str(error)
    strategy = strategy_names(rows).iloc[0]
    return StepFit(str(first["model"]), str(first["optimizer"]), strategy, fit,
                   _held_out(rows) if fit is not None else (), tuple(_exposed(rows)), note or (fit.note if fit else ""))


def _fit(rows: pd.DataFrame) -> StepModelFit:
    return fit_step_model(points_of(rows), rows["step_seconds"].tolist())


def points_of(rows: pd.DataFrame) -> list[StepPoint]:
    """Return the point of each timing run; one node and no accumulation where imported runs do not have them."""
    columns = (rows[name] for name in ("replicas", "nodes", "replica_batch", "accumulation"))
    return [StepPoint(int(replicas), known_whole(nodes) or 1, float(batch), (known_whole(parts) or 1) - 1)
            for replicas, nodes, batch, parts in zip(*columns)]


def by_point(rows: pd.DataFrame) -> dict[StepPoint, pd.DataFrame]:
    """Return the launches of each point, in the order of the rows."""
    points = pd.Series(points_of(rows), rows.index, dtype=object)
    return {point: rows[points == point] for point in dict.fromkeys(points)}


def _held_out(rows: pd.DataFrame) -> tuple[HeldOutError, ...]:
    """Empty below three replica counts: without the largest, the cost of another replica is not measured."""
    most = int(rows["replicas"].max())
    rest, last = rows[rows["replicas"] < most], rows[rows["replicas"] == most]
    if rows["replicas"].nunique() < 3:
        return ()
    try:
        fit = _fit(rest)
    except RecordError:
        return ()
    return tuple(held_out_at(fit.predict_seconds, own) for own in by_point(last).values())


def held_out_at(predict: Callable[[StepPoint], Estimate], own: pd.DataFrame) -> HeldOutError:
    """Return the error of `predict`, a law that was fitted without these launches, at their one point; with a note
    where the law predicts NaN."""
    point, = points_of(own.iloc[:1])
    predicted = predict(point)
    note = "its topology was not measured at fewer replicas" if math.isnan(predicted.value) else ""
    return HeldOutError.of(point.replica_batch, own["step_seconds"].tolist(), predicted, note)


def _exposed(rows: pd.DataFrame) -> list[Exposed]:
    points = {point: own for point, own in by_point(rows).items() if point.accumulation == 0}
    alone = {point.replica_batch: by_launch(own, "step_seconds")
             for point, own in points.items() if point.replicas == 1}
    found = []
    for point, own in sorted(points.items(), key=lambda item: (
            item[0].replicas, item[0].nodes, item[0].replica_batch)):
        if point.replicas > 1 and point.replica_batch in alone:
            one, seconds = alone[point.replica_batch], by_launch(own, "step_seconds")
            found.append(Exposed(point.replicas, point.nodes, int(point.replica_batch), mean_of(own, "step_seconds"),
                                 exposed_communication(seconds, one),
                                 log_ratio(one, seconds).transformed(lambda part: 1 - part).within(0.0, 1.0)))
    return found


def goodputs(results: Results, critical: Sequence[CriticalBatch]) -> tuple[Goodput, ...]:
    """Return the goodput of every timed batch of the experiments whose noise scale is known and positive, relative to
    their reference batch."""
    runs, timed = results.runs, timing_runs(results)
    found = []
    for one in critical:
        trained = runs[(runs["experiment"] == one.experiment) & (runs["kind"] == "accuracy")]
        if one.noise is None or not one.noise.average.value > 0 or trained.empty:
            continue
        first = trained.iloc[0]
        own = timed[(timed[["dataset", "model", "optimizer"]] == first[["dataset", "model", "optimizer"]]).all(axis=1)]
        reference, scales = int(first["reference_batch"]), (one.noise.average, one.noise.start, one.noise.end)
        for (placement, *_, batch), rows in own.groupby([*PLACED, "global_batch"], sort=False, dropna=False):
            rate = mean_of(rows, "examples_per_second")
            worth, at_start, at_end = (example_worth(scale, reference, int(batch)) for scale in scales)
            found.append(Goodput(one.experiment, str(placement), int(batch), reference, one.noise.average, rate,
                                 worth, at_start, at_end, goodput(rate, worth)))
    return tuple(found)
