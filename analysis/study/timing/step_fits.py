"""The step model, exposed communication and goodput of the timing runs of one study."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ....benchmarks.config.strategies import strategy_name
from ....benchmarks.errors import RecordError
from ...laws.step_model import exposed_communication, fit_step_model, goodput, StepModelFit, StepPoint
from ...statistics.estimate import Estimate, Floats, mean_estimate, unknown
from ...statistics.held_out import HeldOutError
from ...tables.results import Results
from ...tables.selections import known_whole, timing_runs
from ..critical import NOISE, CriticalBatch
from .scaling import SAME

# Weak and strong runs of one model and strategy are steps of one machine.
ALIKE = [name for name in SAME if name not in ("experiment", "accumulation")]
PLACED = ["placement", "nodes", "cores_per_replica", "precision"]


@dataclass(frozen=True)
class Exposed:
    """Step time beyond one replica's at the same replica batch: communication that nothing hides, and waiting."""

    replicas: int
    nodes: int
    replica_batch: int
    step_seconds: Estimate
    exposed_seconds: Estimate

    def to_json(self) -> dict[str, Any]:
        return {"replicas": self.replicas, "nodes": self.nodes, "replica_batch": self.replica_batch,
                "step_seconds": self.step_seconds.to_json(), "exposed_seconds": self.exposed_seconds.to_json()}


@dataclass(frozen=True)
class StepFit:
    """One model on one strategy. `fit` is None, with the reason in `note`, where the runs do not give it;
    `held_out`: a row per replica batch, measured at the most replicas and predicted from fewer."""

    model: str
    optimizer: str
    strategy: str
    fit: StepModelFit | None
    held_out: tuple[HeldOutError, ...]
    exposed: tuple[Exposed, ...]
    note: str

    @property
    def name(self) -> str:
        return f"{self.optimizer} on {self.model}, {self.strategy}"

    def to_json(self) -> dict[str, Any]:
        """The model's parameters are in seconds but for the overlap; what was not measured is not there."""
        fitted = {name: value.to_json() for name, value in self.fit.estimates.items()} if self.fit else None
        errors = [{"replica_batch": error.size, "measured_seconds": error.measured.to_json(),
                   "predicted_seconds": error.predicted.to_json(), "relative_error": error.relative_error.to_json()}
                  for error in self.held_out]
        return {"model": self.model, "optimizer": self.optimizer, "strategy": self.strategy, "note": self.note,
                "step_model": fitted, "launches": self.fit.n if self.fit else 0,
                "held_out": errors, "exposed": [each.to_json() for each in self.exposed]}


@dataclass(frozen=True)
class Goodput:
    """Examples per second, and what they are worth beside those of the reference batch at this noise scale."""

    experiment: str
    placement: str
    global_batch: int
    reference_batch: int
    noise_scale: float
    examples_per_second: Estimate
    goodput: Estimate

    @property
    def efficiency(self) -> float:
        """What an example is worth beside one at the reference batch."""
        return (self.noise_scale + self.reference_batch) / (self.noise_scale + self.global_batch)

    def to_json(self) -> dict[str, Any]:
        return {name: value.to_json() if isinstance(value, Estimate) else value for name, value in vars(self).items()}


def step_fits(results: Results) -> tuple[StepFit, ...]:
    """One per model and strategy with timing runs, in the plan's order."""
    return tuple(_step_fit(rows) for _, rows in timing_runs(results).groupby(ALIKE, sort=False))


def _step_fit(rows: pd.DataFrame) -> StepFit:
    first = rows.iloc[0]
    try:
        fit, note = _fit(rows), ""
    except RecordError as error:
        fit, note = None, str(error)
    strategy = strategy_name(first["strategy"], first["transport"])
    return StepFit(str(first["model"]), str(first["optimizer"]), strategy, fit,
                   _held_out(rows) if fit is not None else (), tuple(_exposed(rows)), note or (fit.note if fit else ""))


def _fit(rows: pd.DataFrame) -> StepModelFit:
    return fit_step_model([point_of(row) for row in rows.itertuples()], rows["step_seconds"].tolist())


def point_of(row: Any) -> StepPoint:
    """Return the point of a row of `runs`; one node and no accumulation where imported runs do not have them."""
    nodes, parts = known_whole(row.nodes) or 1, known_whole(row.accumulation) or 1
    return StepPoint(int(row.replicas), nodes, float(row.replica_batch), parts - 1)


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
    points = last.groupby(["replica_batch", "nodes", "accumulation"])
    return tuple(held_out_at(fit.predict_seconds, own) for _, own in points)


def held_out_at(predict: Callable[[StepPoint], Estimate], own: pd.DataFrame) -> HeldOutError:
    """The launches of one point, which the law behind `predict` never saw."""
    point = point_of(next(own.itertuples()))
    predicted = predict(point)
    note = "its topology was not measured at fewer replicas" if math.isnan(predicted.value) else ""
    return HeldOutError.of(point.replica_batch, own["step_seconds"].tolist(), predicted, note)


def _exposed(rows: pd.DataFrame) -> list[Exposed]:
    plain = rows[rows["accumulation"] == 1]
    alone = {int(batch): own["step_seconds"].to_numpy(np.float64)
             for batch, own in plain[plain["replicas"] == 1].groupby("replica_batch")}
    found = []
    for (replicas, nodes, batch), own in plain[plain["replicas"] > 1].groupby(["replicas", "nodes", "replica_batch"]):
        seconds: Floats = own["step_seconds"].to_numpy(np.float64)
        if int(batch) in alone:
            found.append(Exposed(int(replicas), int(nodes), int(batch), mean_estimate(seconds),
                                 exposed_communication(seconds, alone[int(batch)])))
    return found


def goodputs(results: Results, critical: Sequence[CriticalBatch]) -> tuple[Goodput, ...]:
    """Of every timed batch of the experiments whose noise scale is known, against their reference batch."""
    runs, timed = results.runs, timing_runs(results)
    found = []
    for one in critical:
        noise = one.sources.get(NOISE, unknown()).value
        trained = runs[(runs["experiment"] == one.experiment) & (runs["kind"] == "accuracy")]
        if not noise > 0 or trained.empty:
            continue
        first = trained.iloc[0]
        own = timed[(timed[["dataset", "model", "optimizer"]] == first[["dataset", "model", "optimizer"]]).all(axis=1)]
        for (placement, *_, batch), rows in own.groupby([*PLACED, "global_batch"], sort=False):
            rate, reference = mean_estimate(rows["examples_per_second"].tolist()), int(first["reference_batch"])
            found.append(Goodput(one.experiment, str(placement), int(batch), reference, noise, rate,
                                 goodput(rate, noise, reference, int(batch))))
    return tuple(found)
