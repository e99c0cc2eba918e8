"""What the report and decision.json are made of: the study, the decision and the forecasts, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..decision.decision import decide_of, Decision
from ..decision.imported import decide_imported
from ..importers import imported_store
from ..prediction.batches import batch_forecasts, BatchForecast
from ..prediction.forecast import Forecast
from ..prediction.replicas import study_forecasts
from ..study.study import Study
from ..study.timing.input_bound import Halves, three_ways
from ..study.timing.step_fits import Goodput, goodputs
from ..tables.results import Results

CURVES = ("accuracy", "memory")  # kinds of run that a decision is made of


@dataclass(frozen=True, eq=False)
class Findings:
    """Hold a study and its decision; sections and decision.json read both from here."""

    study: Study
    decided: Decision

    @property
    def results(self) -> Results:
        """Return the tables that everything is computed from."""
        return self.study.results

    @property
    def imported_alone(self) -> bool:
        """Return whether the runs are imported and of kinds that no decision of a study is made of."""
        return _imported_alone(self.results)

    @cached_property
    def forecasts(self) -> tuple[Forecast, ...]:
        """Return throughput at up to 8 times the replicas measured; none without timing runs."""
        return study_forecasts(self.study)

    @cached_property
    def batch_forecasts(self) -> tuple[BatchForecast, ...]:
        """Return throughput at batches beyond those measured, with the largest one held out."""
        return batch_forecasts(self.results)

    @cached_property
    def goodputs(self) -> tuple[Goodput, ...]:
        """Return the progress per second of every timed batch whose noise scale is known."""
        return goodputs(self.results, self.decided.critical)

    @cached_property
    def input_rates(self) -> tuple[Halves, ...]:
        """Return the rates with and without reading from disk, of each timing point that read from there."""
        return tuple(three_ways(self.study.timing))

    def to_json(self) -> dict[str, Any]:
        """Return the content of decision.json: the decision, and all that the report shows beside it."""
        facts = {"convergence": self.study.convergences} if self.imported_alone else self._facts()
        return {**self.decided.to_json(), **{name: [one.to_json() for one in those] for name, those in facts.items()}}

    def _facts(self) -> dict[str, Sequence[Any]]:
        return {"steps": self.study.steps, "goodput": self.goodputs, "tuned": self.study.tuned,
                "input": self.input_rates, "forecasts": self.forecasts, "largest_batches": self.batch_forecasts,
                "memory_laws": self.study.memory_laws}


def find(results: Results, deadline_seconds: float | None = None) -> Findings:
    """Return the findings of one plan's tables. deadline_seconds: for one training, to judge the options by."""
    study = Study(results)
    if _imported_alone(results):
        return Findings(study, decide_imported(results, study.convergences, deadline_seconds))
    bare = imported_store.of(results.plan) is not None and not study.has_curves
    return Findings(study, decide_of(study, [] if bare else None, deadline_seconds))


def _imported_alone(results: Results) -> bool:
    return imported_store.of(results.plan) is not None and not set(results.runs["kind"]) & set(CURVES)
