"""Throughput, efficiency, steps and time to the target, and cost at replica counts that were not measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...benchmarks.config.strategies import strategy_name
from ...benchmarks.errors import PlanError, RecordError
from ..laws.allreduce import halving_doubling_seconds, hierarchical_seconds, Link, ring_seconds
from ..laws.cost import cost
from ..laws.step_laws import HALVING, HIERARCHICAL, RING, fit_step_laws, StepLaw, StepLaws
from ..laws.step_model import StepPoint
from ..statistics.estimate import Estimate, unknown
from ..statistics.held_out import FARTHEST, extrapolation_warning, HeldOutError
from ..study.study import Study
from ..study.timing.step_fits import ALIKE, held_out_at, point_of
from ..study.trained_steps import trained_steps, TrainedSteps
from ..tables.results import Results
from .forecast import Forecast, Prediction

EXTRAPOLATION = 64.0
DOUBLINGS = 3  # of the most replicas measured, in the report
MOST_REPLICAS = 10_000_000
BYTES = {"float32": 4, "float64": 8}
MEASURED = "as measured"


def replica_counts(text: str) -> tuple[int, ...]:
    """`8,16` as numbers, ascending. Raises PlanError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 9 and 1 <= int(part) <= MOST_REPLICAS
               for part in parts):
        raise PlanError(f"--gpus {text!r} must be numbers of replicas with commas between, such as 8,16,32.")
    return tuple(sorted({int(part) for part in parts}))


def given_link(text: str) -> Link | None:
    """`ALPHA,BETA`: seconds per message and seconds per byte; "" is none. Raises PlanError."""
    if not text:
        return None
    try:
        alpha, beta = (float(part) for part in text.split(","))
    except ValueError:
        alpha = beta = math.nan
    if not (0 <= alpha < 10 and 0 < beta < 1):
        raise PlanError(f"--network {text!r} must be ALPHA,BETA: seconds per message and seconds per byte, such as "
                        "5e-6,8e-11 for 5 microseconds and 12.5 GB/s.")
    return Link(alpha, 1 / beta)


def forecasts(results: Results, replicas: Sequence[int], link: Link | None = None,
              price: float | None = None) -> tuple[Forecast, ...]:
    """Return the forecasts of `forecasts_of` from tables alone."""
    return forecasts_of(Study(results), replicas, link, price)


def study_forecasts(study: Study) -> tuple[Forecast, ...]:
    """Return forecasts at the replicas measured and at up to 8 times as many; none without timing runs."""
    if study.timing.empty:
        return ()
    measured = sorted({int(count) for count in study.timing["replicas"]})
    return forecasts_of(study, [*measured, *(measured[-1] * 2 ** power for power in range(1, DOUBLINGS + 1))])


def forecasts_of(study: Study, replicas: Sequence[int], link: Link | None = None,
                 price: float | None = None) -> tuple[Forecast, ...]:
    """Return one forecast per model and strategy with timing runs. price: per device-hour, by default the plan's own.
    Raises RecordError without timing runs, PlanError for a price below 0."""
    results, runs = study.results, study.timing
    if runs.empty:
        raise RecordError("these results hold no timing runs, so there is no step to predict; measure some with "
                          "kind = \"throughput\".")
    stated = results.settings.get("price_per_device_hour")
    price = price if price is not None else float(stated) if isinstance(stated, (int, float)) else None
    if price is not None and not 0 <= price < math.inf:
        raise PlanError(f"--price {price} must be 0 or more, per device and hour.")
    critical = {one.experiment: one for one in study.critical}
    return tuple(_forecast(rows, replicas, link, price, trained_steps(results, rows, critical))
                 for _, rows in runs.groupby(ALIKE, sort=False))


def _forecast(rows: pd.DataFrame, replicas: Sequence[int], link: Link | None, price: float | None,
              trained: TrainedSteps | None) -> Forecast:
    first = rows.iloc[0]
    measured = tuple(sorted({int(count) for count in rows["replicas"]}))
    known = (str(first["model"]), str(first["optimizer"]), strategy_name(first["strategy"], first["transport"]))
    try:
        laws = laws_of(rows)
    except RecordError as error:
        return Forecast(*known, (), measured, (), (), str(error))
    one_node = not rows["nodes"].max() > 1
    found = tuple(_Case(rows, laws, link, price, trained).predictions(replicas))
    note = "" if not one_node or link is not None else (
        "Measured on one node alone: as measured holds where further replicas are joined as these are; give "
        "--network ALPHA,BETA for a slower link between nodes.")
    if link is None and sum(count > 1 for count in measured) < 2:
        note = f"{' and '.join(map(str, measured))} replicas alone cannot tell what a further one costs: measure " \
               "another count, or give --network ALPHA,BETA."
    if link is not None and not float(first["parameters"]) > 0:
        note += " The model's parameters were not recorded, so --network says nothing of it."
    return Forecast(*known, laws.names, measured, found, held_out(rows), note.strip())


def laws_of(rows: pd.DataFrame) -> StepLaws:
    return fit_step_laws([point_of(row) for row in rows.itertuples()], rows["step_seconds"].tolist())


def held_out(rows: pd.DataFrame) -> tuple[HeldOutError, ...]:
    """Fitted without the most replicas, which are then predicted; none below four counts with one among them, as the
    rest has no slope."""
    most = int(rows["replicas"].max())
    rest, last = rows[rows["replicas"] < most], rows[rows["replicas"] == most]
    if rest.loc[rest["replicas"] > 1, "replicas"].nunique() < 2:
        return ()
    try:
        laws = laws_of(rest)
    except RecordError:
        return ()
    points = last.groupby(["replica_batch", "nodes", "accumulation"])
    return tuple(held_out_at(laws.predict_seconds, own) for _, own in points)


@dataclass(frozen=True, eq=False)
class _Case:
    """One model and strategy, and what its predictions need."""

    rows: pd.DataFrame
    laws: StepLaws
    link: Link | None
    price: float | None
    trained: TrainedSteps | None

    def predictions(self, replicas: Sequence[int]) -> Iterator[Prediction]:
        for scaling, batch in self._batches():
            for count in replicas:
                each = float(batch) if scaling == "weak" else batch / count
                total = batch * count if scaling == "weak" else batch
                if each != int(each):
                    continue  # a batch that cannot be shared equally is no step of this suite
                point = StepPoint(count, self._nodes(count), each)
                base = StepPoint(1, 1, float(batch))
                for name, sync in self._synchronizations(point):
                    yield self._prediction(scaling, int(total), point, base, name, sync)

    def _batches(self) -> list[tuple[str, int]]:
        """What is held fixed: the replica batch where weak scaling was measured, the global one where strong."""
        weak = self.rows[self.rows["scaling"] != "strong"]
        strong = self.rows[self.rows["scaling"] == "strong"]
        return [*(("weak", int(n)) for n in sorted(weak["replica_batch"].unique())),
                *(("strong", int(n)) for n in sorted(strong["global_batch"].unique()))]

    def _per_node(self) -> int:
        """The most replicas that shared a node; no limit is known where there was one node alone."""
        nodes = self.rows["nodes"].clip(lower=1)
        return int((self.rows["replicas"] // nodes).max()) if nodes.max() > 1 else MOST_REPLICAS

    def _nodes(self, count: int) -> int:
        return math.ceil(count / self._per_node())

    def _synchronizations(self, point: StepPoint) -> Iterator[tuple[str, Callable[[StepLaw], float] | None]]:
        """As measured where two counts of several replicas tell what one more costs; and from the network given."""
        counts = {int(count) for count in self.rows["replicas"]}
        if point.replicas == 1 or point.replicas in counts or sum(count > 1 for count in counts) > 1:
            yield MEASURED, None
        parameters = float(self.rows["parameters"].iloc[0])
        if self.link is None or point.replicas == 1 or not parameters > 0:
            return
        link, size = self.link, parameters * BYTES.get(str(self.rows["precision"].iloc[0]), 4)
        yield RING, lambda law: ring_seconds(point.replicas, size, link)
        if point.replicas & (point.replicas - 1) == 0:
            yield HALVING, lambda law: halving_doubling_seconds(point.replicas, size, link)
        inside = min(self._per_node(), max(counts))
        if 1 < inside < point.replicas and point.replicas % inside == 0:
            local, nodes = StepPoint(inside, 1, point.replica_batch), point.replicas // inside
            # Inside a node at the cost that was measured there; between nodes a ring over the shard of each.
            yield HIERARCHICAL, lambda law: hierarchical_seconds(law.synchronization_seconds(local), nodes, inside,
                                                                 size, link)

    def _prediction(self, scaling: str, total: int, point: StepPoint, base: StepPoint, name: str,
                    sync: Callable[[StepLaw], float] | None) -> Prediction:
        seconds = self.laws.predict_seconds(point, sync)
        rate = seconds.transformed(lambda value: total / value)
        alone = self.laws.predict_seconds(base).value
        share = 1 if scaling == "weak" else point.replicas
        steps = self.trained.steps(total) if self.trained else unknown()
        # The corners of both intervals, so that neither needs to be independent of the other.
        whole = Estimate(seconds.value * steps.value, seconds.low * steps.low, seconds.high * steps.high, steps.n)
        spent = cost(whole, point.replicas, self.price)
        million = cost(rate.transformed(lambda value: 1e6 / value), point.replicas, self.price)
        return Prediction(point.replicas, point.nodes, scaling, total, point.replica_batch, name, seconds, rate,
                          seconds.transformed(lambda value: alone / (share * value)),
                          self.trained.experiment if self.trained else "", steps, whole, spent.device_hours,
                          spent.money, million.money, self._warnings(point, total))

    def _warnings(self, point: StepPoint, total: int) -> tuple[str, ...]:
        measured = self.rows["replicas"].to_numpy(np.float64)
        found = [extrapolation_warning(point.replicas, measured)]
        if point.replicas > EXTRAPOLATION * measured.max():
            found[0] = f"extrapolation: {found[0]}"
        sizes = self.rows["replica_batch"]
        if not sizes.min() / FARTHEST <= point.replica_batch <= sizes.max() * FARTHEST:
            found.append(f"replica batch {point.replica_batch:g} is far from those measured "
                         f"({int(sizes.min())} to {int(sizes.max())})")
        found.append(self.trained.doubt(total) if self.trained else "")
        return tuple(text.removesuffix(".") for text in found if text)
