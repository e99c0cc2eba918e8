"""What the report and decision.json are made of: the study, the decision and the forecasts, each made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import pandas as pd

from ...benchmarks.records.store import Store
from ..decision.decision import decide_of, Decision
from ..decision.imported import decide_imported
from ..hypotheses.plain_words import in_words, SHORT
from ..importers import imported_store
from ..prediction.batches import batch_forecasts, BatchForecast
from ..prediction.forecast import Forecast
from ..prediction.replicas import study_forecasts
from ..study.groups import first_panels, Workload
from ..study.study import Study
from ..study.timing.input_bound import Halves, three_ways
from ..study.timing.step_fits import Goodput, goodputs
from ..tables.reading import read
from ..tables.results import Results
from .cards.card import Card, cards_of
from .cards.words import told

# Where the runs of a report come from: a study that ran here; imported runs of the kinds that a decision is made of,
# with whole curves or with their ends alone; imported runs that no study of one's own could hold.
OWN, CURVES, ENDS, FOREIGN = "own", "curves", "ends", "foreign"


@dataclass(frozen=True, eq=False)
class Findings:
    """Hold a study and what is concluded from it; the sections and decision.json both read it from here.

    deadline_seconds: for one training, to name the cheapest option that meets it.
    """

    study: Study
    deadline_seconds: float | None = None

    @classmethod
    def of(cls, source: Store | Results, deadline_seconds: float | None = None,
           settings: Mapping[str, float | None] = MappingProxyType({})) -> Findings:
        """Return the findings of a store or of tables at hand; raises RecordError for a store without a plan.

        settings: of the plan that are others than it has, such as margin; None leaves one as it is.
        """
        results = source if isinstance(source, Results) else read(source)
        return cls(Study(results.under(**settings)), deadline_seconds)

    @property
    def results(self) -> Results:
        """Return the tables that everything is computed from."""
        return self.study.results

    @cached_property
    def origin(self) -> str:
        """Return OWN, CURVES, ENDS or FOREIGN."""
        if imported_store.imported_from(self.results.plan) is None:
            return OWN
        if not set(self.results.runs["kind"]) & {"accuracy", "memory"}:
            return FOREIGN
        return CURVES if self.study.has_curves else ENDS

    @cached_property
    def decided(self) -> Decision:
        """Return the decision; no claim is judged on imported runs without curves."""
        if self.origin == FOREIGN:
            return decide_imported(self.results, self.study.convergences, self.deadline_seconds)
        return decide_of(self.study, [] if self.origin == ENDS else None, self.deadline_seconds)

    @cached_property
    def cards(self) -> tuple[Card, ...]:
        """Return a card for each experiment with an accuracy or loss; none for imported runs of other kinds."""
        return () if self.origin == FOREIGN else cards_of(self.study, self.decided)

    @property
    def panels(self) -> list[tuple[str, Workload]]:
        """Return the workloads that have figures, each with the name that its figures' names begin with."""
        return list(first_panels(self.study.workloads))

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
    def input_halves(self) -> tuple[Halves, ...]:
        """Return the throughput of runs that read from disk beside their input's and their model's alone."""
        return tuple(three_ways(self.study.timing))

    @cached_property
    def by_run(self) -> pd.DataFrame:
        """Return one row per run: training seconds summed over the phases that it trained, without those of the run
        that it goes on from, and `spent_seconds`, all of its time with the start of its process."""
        runs = self.results.all_runs
        elsewhere = (runs["continues"] != "") & (runs["phase"] == 0)
        before = runs["continues"].map(dict(zip(runs["run_id"], runs["train_seconds"])))
        own = (runs["train_seconds"] - before).fillna(0.0).where(elsewhere, runs["train_seconds"])
        trained = own.groupby(runs["run_id"]).transform("sum")
        start = runs[["launch_seconds", "import_seconds"]].fillna(0).sum(axis=1)
        return runs.assign(train_seconds=trained, start_seconds=start,
                           spent_seconds=runs["total_seconds"] + start).drop_duplicates("run_id")

    def facts(self) -> Mapping[str, Sequence[Any]]:
        """Return what decision.json holds besides the decision."""
        if self.origin == FOREIGN:
            return {"convergence": self.study.convergences}
        return {"steps": self.study.steps, "goodput": self.goodputs, "tuned": self.study.tuned,
                "rate_laws": self.study.rate_laws,
                "input": self.input_halves, "forecasts": self.forecasts, "largest_batches": self.batch_forecasts,
                "memory_laws": self.study.memory_laws}

    def to_json(self) -> dict[str, Any]:
        """Return the content of decision.json: the decision, and all that the report shows beside it."""
        cards = [{**card.to_json(), **told(card).to_json()} for card in self.cards]
        claims = [{"number": one.number, "short": SHORT[one.number], "in_words": in_words(one)}
                  for one in self.decided.verdicts]
        return {**self.decided.to_json(), "cards": cards, "claims_in_words": claims,
                **{name: [one.to_json() for one in those] for name, those in self.facts().items()}}
