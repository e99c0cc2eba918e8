"""Throughput, efficiency, steps and time to the target, and cost at replica counts that were not measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...benchmarks.errors import PlanError, RecordError
from ..laws.cost import cost
from ..laws.public.nodes import NodesRule
from ..laws.public.curves import PublicCurves, Rule, shipped
from ..laws.step.laws import ENOUGH_FREEDOM, half_widths, StepLaws
from ..laws.step.model import StepPoint
from ..laws.step.synchronization import undetermined
from ..statistics.estimate import Estimate, unknown, without_interval
from ..statistics.held_out import FARTHEST, extrapolation_warning
from ..statistics.ratio import quotient
from ..study.groups import mean_of
from ..study.study import Study
from ..study.timing.devices import on_gpus
from ..study.timing.scaling import strategy_names
from ..study.timing.step_fits import ALIKE, by_point
from ..study.trained_steps import trained_steps, TrainedSteps
from ..tables.results import Results
from .checking import doubtful, held_out, HeldOut, laws_of, too_wide
from .curves import from_curves, from_nodes, FromCurves, statement
from .forecast import Forecast, Prediction
from .network import beside, Exchange, Network, placed, spanning

EXTRAPOLATION = 64.0
DOUBLINGS = 3  # of the most replicas measured, in the report
MOST_REPLICAS = 10_000_000
BYTES = {"float32": 4, "float64": 8}
MEASURED = "as measured"


def replica_counts(text: str) -> tuple[int, ...]:
    """Return the numbers of text such as `8,16`, ascending, each once. Raises PlanError for any other text."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 9 and 1 <= int(part) <= MOST_REPLICAS
               for part in parts):
        raise PlanError(f"--gpus {text!r} must be numbers of replicas with commas between, such as 8,16,32.")
    return tuple(sorted({int(part) for part in parts}))


def forecasts(results: Results, replicas: Sequence[int], network: Network | None = None, price: float | None = None,
              curves: PublicCurves | None = None, per_node: int = 0) -> tuple[Forecast, ...]:
    """Return the forecasts of `forecasts_of` from tables alone."""
    return forecasts_of(Study(results), replicas, network, price, curves, per_node)


def study_forecasts(study: Study) -> tuple[Forecast, ...]:
    """Return forecasts at the replicas measured and at up to 8 times as many; none without timing runs."""
    if study.timing.empty:
        return ()
    measured = sorted({int(count) for count in study.timing["replicas"]})
    return forecasts_of(study, [*measured, *(measured[-1] * 2 ** power for power in range(1, DOUBLINGS + 1))])


def forecasts_of(study: Study, replicas: Sequence[int], network: Network | None = None, price: float | None = None,
                 curves: PublicCurves | None = None, per_node: int = 0) -> tuple[Forecast, ...]:
    """Return one forecast per model and strategy with timing runs. price: per device-hour, by default the plan's own;
    curves: what is known of the GPUs of other machines, by default what comes with the package; per_node: replicas
    that share a node, where the runs do not say it. Raises RecordError without timing runs, PlanError for a price
    below 0 and for nodes that more replicas shared."""
    results, runs = study.results, placed(study.timing, per_node)
    if runs.empty:
        raise RecordError("these results hold no timing runs, so there is no step to predict; measure some with "
                          "kind = \"throughput\".")
    price = price if price is not None else results.price
    if price is not None and not 0 <= price < math.inf:
        raise PlanError(f"--price {price} must be 0 or more, per device and hour.")
    critical = {one.experiment: one for one in study.critical}
    curves = curves or shipped()
    return tuple(_forecast(rows, replicas, network, price, trained_steps(results, rows, critical),
                           curves if on_gpus(results, rows) else None, per_node)
                 for _, rows in runs.groupby(ALIKE, sort=False, dropna=False))


def _forecast(rows: pd.DataFrame, replicas: Sequence[int], network: Network | None, price: float | None,
              trained: TrainedSteps | None, curves: PublicCurves | None, per_node: int) -> Forecast:
    first = rows.iloc[0]
    measured = tuple(sorted({int(count) for count in rows["replicas"]}))
    known = (str(first["model"]), str(first["optimizer"]), strategy_names(rows).iloc[0])
    try:
        laws, why, checked = laws_of(rows), "", held_out(rows)
    except RecordError as error:
        laws, why, checked = None, str(error).rstrip("."), HeldOut((), "no law of the step is determined")
    case = _Case(rows, by_point(rows), laws, why, checked, network, price, trained, curves, per_node)
    found = tuple(case.predictions(replicas))
    rules = case.rules(found)
    if laws is None and not rules and not any(each.synchronization != MEASURED for each in found):
        reasons = dict.fromkeys(each.refusal for each in found if each.refusal)
        return Forecast(*known, (), measured, (), (), "", f"{'; '.join(reasons) or why}.")
    return Forecast(*known, laws.names if laws else (), measured, found, checked.errors, checked.reason,
                    " ".join(_notes(case, found)), rules, statement(rules, curves) if curves else "")


def _notes(case: _Case, found: Sequence[Prediction]) -> Iterator[str]:
    """What the predictions take for granted."""
    rows, network = case.rows, case.network
    if int(rows["nodes"].max() if rows["nodes"].notna().any() else 1) <= 1 and network is None:
        where = "Measured on one node alone" if rows["nodes"].notna().any() else "No nodes are named"
        yield (f"{where}: as measured holds where further replicas are joined as these are; give "
               "--network ALPHA,BETA or FILE for a slower link between nodes.")
    if network is not None and not case.bytes > 0:
        yield ("The model's parameters were not recorded, so --network says nothing of it; imported runs take them by "
               "--set parameters=25557032.")
    if case.laws is None and any(one.synchronization != MEASURED and not one.refusal for one in found):
        yield ("Too few launches for a law of the step: it is one replica's as measured, with an exchange that hides "
               "behind it wholly or not at all. The spread of a single launch is in no interval.")
    if (baselines := {one.baseline for one in found if one.baseline > 1}):
        yield f"Efficiency is against {min(baselines)} replicas, the fewest measured."


@dataclass(frozen=True, eq=False)
class _Case:
    """One model and strategy, and what its predictions need. `laws` are None where the runs give none, and `why` says
    so. `checked`: by how much laws without the most replicas were off there; beyond the replicas measured,
    intervals have room for as much."""

    rows: pd.DataFrame
    measured: Mapping[StepPoint, pd.DataFrame]
    laws: StepLaws | None
    why: str
    checked: HeldOut
    network: Network | None
    price: float | None
    trained: TrainedSteps | None
    curves: PublicCurves | None
    per_node: int

    def predictions(self, replicas: Sequence[int]) -> Iterator[Prediction]:
        for scaling, batch in self._batches():
            for count in replicas:
                each = float(batch) if scaling == "weak" else batch / count
                total = batch * count if scaling == "weak" else batch
                if each != int(each):
                    continue  # a batch that cannot be shared equally is no step of this suite
                point = StepPoint(count, self._nodes(count), each)
                for exchange in self._exchanges(point):
                    yield self._prediction(scaling, int(total), point, exchange)

    def _batches(self) -> list[tuple[str, int]]:
        """What is held fixed: the replica batch where weak scaling was measured, the global one where strong."""
        weak = self.rows[self.rows["scaling"] != "strong"]
        strong = self.rows[self.rows["scaling"] == "strong"]
        return [*(("weak", int(n)) for n in sorted(weak["replica_batch"].unique())),
                *(("strong", int(n)) for n in sorted(strong["global_batch"].unique()))]

    def _per_node(self) -> int:
        """The most replicas that shared a node; where there was one node alone, what is said of it, if anything."""
        most = max(point.replicas // point.nodes for point in self.measured)
        return most if any(point.nodes > 1 for point in self.measured) else self.per_node or MOST_REPLICAS

    def _nodes(self, count: int) -> int:
        measured = math.ceil(count / self._per_node())
        return self.network.nodes(count, measured) if self.network else measured

    @property
    def bytes(self) -> float:
        """The gradients that replicas exchange."""
        return float(self.rows["parameters"].iloc[0]) * BYTES.get(str(self.rows["precision"].iloc[0]), 4)

    def _exchanges(self, point: StepPoint) -> Iterator[Exchange | None]:
        """None: as measured; and from the network given."""
        yield None
        if self.network is not None and point.replicas > 1 and self.bytes > 0:
            inside = min(self._per_node(), max(int(count) for count in self.rows["replicas"]))
            yield from (one for one in self.network.exchanges(point, self.bytes, inside) if self.laws or not one.law)

    def _prediction(self, scaling: str, total: int, point: StepPoint, exchange: Exchange | None) -> Prediction:
        public = self._public(point) if exchange is None else None
        told = public is not None and public.reaches
        seconds, refusal = self._by_laws(point, exchange, 1.0 if told else self._missed_elsewhere(point))
        seconds = unknown(seconds.n) if refusal else seconds
        told = told and (point.nodes == 1 or bool(refusal) or not self._repeated)
        if public is not None and told:
            seconds, refusal = public.spanning(seconds if self._enough else unknown()), ""
            if point.nodes > 1 and (refusal := too_wide(seconds, False)):
                seconds = unknown(seconds.n)
        elif public is not None and refusal:
            refusal = f"{refusal}; {public.beyond}"
        rate = seconds.under(total)
        baseline = self._baseline(point, total if scaling == "strong" else None)
        steps = self.trained.steps(total) if self.trained else unknown()
        # The corners of both intervals, so that neither needs to be independent of the other.
        whole = Estimate(seconds.value * steps.value, seconds.low * steps.low, seconds.high * steps.high, steps.n)
        spent = cost(whole, point.replicas, self.price)
        million = cost(rate.under(1e6), point.replicas, self.price)
        return Prediction(point.replicas, point.nodes, scaling, total, point.replica_batch,
                          exchange.name if exchange else MEASURED, seconds, rate,
                          self._measured_rate(point), baseline.replicas,
                          self._efficiency(baseline, point, seconds, told),
                          self.trained.experiment if self.trained else "", steps, whole, spent.device_hours,
                          spent.money, million.money, () if refusal else self._warnings(point, total), refusal, told)

    def _public(self, point: StepPoint) -> FromCurves | None:
        """What public curves say of the GPUs of one machine, or of more nodes."""
        return (from_curves(self.curves, self.measured, point) if point.nodes == 1 else
                from_nodes(self.curves, self.measured, point))

    @property
    def _enough(self) -> bool:
        """Whether the laws rest on launches that tell how well they fit."""
        return self.laws is not None and self.laws.laws[0].degrees_of_freedom >= ENOUGH_FREEDOM

    @property
    def _repeated(self) -> bool:
        """Whether several launches of a point tell by how much laws that are determined may miss it: of nodes they then
        speak alone."""
        return self._enough and len(self.rows) - len(self.measured) >= ENOUGH_FREEDOM

    def _by_laws(self, point: StepPoint, exchange: Exchange | None, missed: float) -> tuple[Estimate, str]:
        """The step by the laws, and why it is refused; without laws, what was measured at the point, or of one replica
        beside an exchange. missed: half widths that they are off elsewhere, for replicas beyond those measured."""
        if exchange is not None and exchange.refusal:
            return unknown(), exchange.refusal
        if self.laws is None:
            own = self.measured.get(point if exchange is None else StepPoint(1, 1, point.replica_batch))
            alone = mean_of(own, "step_seconds") if own is not None else unknown()
            if own is None or exchange is None:
                return alone, self.why if own is None else ""
            seconds = beside(alone, exchange.seconds(None))
            return seconds, too_wide(seconds, True)
        beyond = point.replicas > max(each.replicas for each in self.measured)
        laws = self.laws.missing(self.checked.missed(point.replicas)).widened(missed if beyond else 1.0)
        seconds = spanning(laws, point, exchange.seconds) if exchange else laws.predict_seconds(point)
        return seconds, doubtful(self.laws.points, point, seconds, exchange is not None, self.network is not None)

    def _missed_elsewhere(self, point: StepPoint) -> float:
        """Half widths by which laws are off, at the most replicas that public curves know, on machines at the ends of
        the curves' interval; 1 where they say nothing."""
        rules = self.curves.rules if self.curves else ()
        points = (StepPoint(rule.predicted, 1, point.replica_batch) for rule in rules)
        known = {each: public.seconds for each in points
                 if (public := from_curves(self.curves, self.measured, each)) is not None and public.reaches}
        if not known or self.laws is None:
            return 1.0
        most = max(known, key=lambda each: each.replicas)
        there = self.laws.predict_seconds(most)
        return max(half_widths(there, end) for end in (known[most].low, known[most].high))

    def rules(self, found: Sequence[Prediction]) -> tuple[Rule | NodesRule, ...]:
        """The rules that predictions rest on, each once."""
        each = (self._public(StepPoint(one.replicas, one.nodes, one.replica_batch))
                for one in found if one.public_curves)
        return tuple(dict.fromkeys(public.rule for public in each if public))

    def _measured_rate(self, point: StepPoint) -> Estimate:
        own = self.measured.get(point)
        return mean_of(own, "examples_per_second") if own is not None else unknown()

    def _baseline(self, point: StepPoint, fixed_total: int | None) -> StepPoint:
        """One replica where the measured points determine its step, else the fewest measured at this batch."""
        counts = sorted({1, *(each.replicas for each in self.measured)})
        candidates = [StepPoint(count, self._nodes(count), fixed_total / count if fixed_total else point.replica_batch)
                      for count in counts]
        points = tuple(self.measured)
        known = [each for each in candidates if each in points or not undetermined(points, each)]
        return known[0] if known else candidates[0]

    def _efficiency(self, baseline: StepPoint, point: StepPoint, seconds: Estimate, told: bool) -> Estimate:
        """Throughput per replica over the baseline's; the error of each is in the interval. The baseline is by the same
        laws, or as measured where there are none and where public curves tell the point."""
        if point == baseline and math.isfinite(seconds.value):
            return without_interval(1.0, seconds.n)
        own = self.measured.get(baseline) if told or self.laws is None else None
        alone = (mean_of(own, "step_seconds") if own is not None else
                 self.laws.predict_seconds(baseline, launch=False) if self.laws is not None else unknown())
        share = point.global_batch / point.replicas / (baseline.global_batch / baseline.replicas)
        # One launch, whose error is in what public curves say, or that is named as having none.
        if (told or self.laws is None) and not alone.has_interval:
            return seconds.under(alone.value).scaled(share)
        return quotient(alone, seconds).scaled(share)

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
