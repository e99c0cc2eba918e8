"""What the sections of a report read: the results, and what is computed from them once for all sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from ...benchmarks.records.store import Store
from ..decision.decision import decide_study, Decision
from ..decision.imported import decide_imported
from ..importers import imported_store
from ..study.convergence import Convergence, convergences
from ..study.groups import first_panels, Workload, workloads
from ..study.timing.input_bound import Halves, three_ways
from ..study.timing.step_fits import Goodput, goodputs, StepFit, step_fits
from ..tables.reading import read
from ..tables.results import Results
from ..tables.selections import timing_runs

# Where the runs of a report come from: a study that ran here; imported runs of the kinds that a decision is made of,
# with whole curves or with their ends alone; imported runs that no study of one's own could hold.
OWN, CURVES, ENDS, FOREIGN = "own", "curves", "ends", "foreign"


@dataclass(frozen=True, eq=False)
class Findings:
    """Results, and everything that several sections or decision.json share; each part is computed when first read.

    deadline_seconds: for one training, to name the cheapest option that meets it.
    """

    results: Results
    deadline_seconds: float | None = None

    @classmethod
    def of(cls, source: Store | Results, deadline_seconds: float | None = None) -> Findings:
        """Return the findings of a store or of tables at hand; raises RecordError for a store without a plan."""
        return cls(source if isinstance(source, Results) else read(source), deadline_seconds)

    @cached_property
    def origin(self) -> str:
        """Return OWN, CURVES, ENDS or FOREIGN."""
        if imported_store.of(self.results.plan) is None:
            return OWN
        if not set(self.results.runs["kind"]) & {"accuracy", "memory"}:
            return FOREIGN
        # Claims about batches are about the way, not only the end.
        return CURVES if bool(self.results.evaluations.duplicated(["run_id", "phase"]).any()) else ENDS

    @cached_property
    def decided(self) -> Decision:
        """Return the decision; no claim is judged on imported runs without curves."""
        if self.origin == FOREIGN:
            return decide_imported(self.results, self.convergences, self.deadline_seconds)
        return decide_study(self.results, [] if self.origin == ENDS else None, self.deadline_seconds)

    @cached_property
    def workloads(self) -> list[Workload]:
        """Return the accuracy runs by experiment and placement, in the plan's order."""
        return workloads(self.results)

    @property
    def panels(self) -> list[tuple[str, Workload]]:
        """Return the workloads that have figures, each with the name that its figures' names begin with."""
        return list(first_panels(self.workloads))

    @cached_property
    def timing(self) -> pd.DataFrame:
        """Return the timing runs that finished."""
        return timing_runs(self.results)

    @cached_property
    def steps(self) -> Sequence[StepFit]:
        """Return the step models, fitted to the timing runs."""
        return step_fits(self.results)

    @cached_property
    def goodputs(self) -> Sequence[Goodput]:
        """Return throughput times statistical efficiency, where both are known."""
        return goodputs(self.results, self.decided.critical)

    @cached_property
    def input_halves(self) -> Sequence[Halves]:
        """Return the throughput of runs that read from disk beside their input's and their model's alone."""
        return three_ways(self.timing)

    @cached_property
    def convergences(self) -> Sequence[Convergence]:
        """Return what imported runs to a target tell of the batch, by benchmark."""
        return convergences(self.results)

    @cached_property
    def by_run(self) -> pd.DataFrame:
        """Return one row per run: training seconds summed over the phases that it trained, and `spent_seconds`, all
        of its time with the start of its process."""
        runs = self.results.all_runs
        elsewhere = (runs["continues"] != "") & (runs["phase"] == 0)
        trained = runs["train_seconds"].mask(elsewhere, 0.0).groupby(runs["run_id"]).transform("sum")
        start = runs[["launch_seconds", "import_seconds"]].fillna(0).sum(axis=1)
        return runs.assign(train_seconds=trained, start_seconds=start,
                           spent_seconds=runs["total_seconds"] + start).drop_duplicates("run_id")

    def facts(self) -> Mapping[str, Sequence[Any]]:
        """Return what decision.json holds besides the decision."""
        if self.origin == FOREIGN:
            return {"convergence": self.convergences}
        return {"steps": self.steps, "goodput": self.goodputs, "tuned": self.results.tuned, "input": self.input_halves}
