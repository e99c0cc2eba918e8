"""Steps at larger batches than measured: laws fitted without the largest, and how far off they are there.

What a study on one machine can check: it has few replica counts, but many batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...benchmarks.errors import RecordError
from ...benchmarks.text import percent
from ..formatting import what_ran
from ..laws.step.laws import fit_step_laws, StepLaws
from ..laws.step.model import StepPoint
from ..statistics.estimate import Estimate
from ..statistics.held_out import HeldOutError
from ..study.groups import mean_of
from ..study.timing.scaling import strategy_names
from ..study.timing.step_fits import ALIKE, held_out_at, points_of
from ..tables.results import Results
from ..tables.selections import timing_runs

FEWEST_BATCHES = 3  # that must be left to fit the fixed time and the time per example
BEYOND = (2, 4)  # times the largest batch measured

Line = tuple[tuple[float, Estimate], ...]
"""(global batch, examples per second), ascending."""


@dataclass(frozen=True)
class BatchForecast:
    """Forecasts of one model on one strategy, by number of replicas.

    held_out: the step at `largest` examples per replica, predicted from smaller batches. predicted, measured: examples
    per second by global batch; the former reach four times as far as the latter.
    """

    model: str
    optimizer: str
    strategy: str
    largest: int
    held_out: Mapping[int, HeldOutError]
    predicted: Mapping[int, Line]
    measured: Mapping[int, Line]

    @property
    def name(self) -> str:
        """Optimizer, model and strategy in words."""
        return what_ran(self.optimizer, self.model, self.strategy)

    @property
    def statement(self) -> str:
        """Sentence on the error, at the largest batch, of laws fitted without it; "" where no error is known."""
        each = [f"{percent(error.relative_error.value, signed=True)} on {count} replica{'s' * (count > 1)} "
                f"({'within' if error.within else 'outside'} the interval)" for count, error in self.held_out.items()]
        return (f"{self.name}: fitted without {self.largest:,} examples per replica, the largest batch timed, the laws "
                f"are off there by {', '.join(each)}.") if each else ""

    def to_json(self) -> dict[str, Any]:
        """Return the names, the largest replica batch and the held-out errors, in seconds, as a JSON object."""
        return {"model": self.model, "optimizer": self.optimizer, "strategy": self.strategy,
                "largest_replica_batch": self.largest,
                "held_out": [{"replicas": replicas, "measured_seconds": error.measured.to_json(),
                              "predicted_seconds": error.predicted.to_json(),
                              "relative_error": error.relative_error.to_json(), "within_interval": error.within}
                             for replicas, error in self.held_out.items()]}


def batch_forecasts(results: Results) -> tuple[BatchForecast, ...]:
    """Return a forecast per model and strategy that was timed at four batches per replica or more.

    Only runs on one node without accumulation count; it is left out where no law fits the smaller batches.
    """
    runs = timing_runs(results)
    runs = runs[~(runs["accumulation"] > 1) & ~(runs["nodes"] > 1)]
    found = (_forecast(rows) for _, rows in runs.groupby(ALIKE, sort=False, dropna=False))
    return tuple(one for one in found if one is not None)


def _forecast(rows: pd.DataFrame) -> BatchForecast | None:
    largest = int(rows["replica_batch"].max())
    rest, last = rows[rows["replica_batch"] < largest], rows[rows["replica_batch"] == largest]
    if rest["replica_batch"].nunique() < FEWEST_BATCHES:
        return None
    try:
        laws = fit_step_laws(points_of(rest), rest["step_seconds"].tolist())
    except RecordError:
        return None
    first, counts = rows.iloc[0], sorted(int(count) for count in rest["replicas"].unique())
    return BatchForecast(
        str(first["model"]), str(first["optimizer"]),
        strategy_names(rows).iloc[0], largest,
        {int(count): held_out_at(laws.predict_seconds, own) for count, own in last.groupby("replicas")
         if count in counts},
        {count: _line(laws, count, rows) for count in counts},
        {count: tuple((float(batch), mean_of(own, "examples_per_second"))
                      for batch, own in rows[rows["replicas"] == count].groupby("global_batch")) for count in counts})


def _line(laws: StepLaws, replicas: int, rows: pd.DataFrame) -> Line:
    sizes = sorted(float(batch) for batch in rows.loc[rows["replicas"] == replicas, "replica_batch"].unique())
    found = []
    for size in [*sizes, *(sizes[-1] * times for times in BEYOND)]:
        total = size * replicas
        seconds = laws.predict_seconds(StepPoint(replicas, 1, size))
        found.append((total, _rate(total, seconds)))
    return tuple(found)


def _rate(examples: float, seconds: Estimate) -> Estimate:
    return seconds.under(examples)
