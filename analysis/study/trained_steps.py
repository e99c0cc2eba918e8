"""Steps to the target of the experiment that trained a timed model, and for which batches they are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ..laws.critical_batch import StepsToTarget
from ..statistics.estimate import Estimate, unknown
from ..statistics.held_out import FARTHEST
from ..tables.results import Results
from .critical import CriticalBatch


@dataclass(frozen=True)
class TrainedSteps:
    """Steps to the target of one experiment, the largest global batch that it trained, and its number of training
    examples."""

    experiment: str
    law: StepsToTarget
    largest_batch: int
    train_examples: int

    def steps(self, batch: int) -> Estimate:
        """Return the steps at a global batch by the law S_min + E_min/B; unknown where `doubt` gives a reason. The
        interval adds the ends of both parts' intervals, so it is wider than that of their sum."""
        if self.doubt(batch):
            return unknown()
        parts = [part for part in (self.law.minimum_steps, self.law.minimum_examples.scaled(1 / batch))
                 if math.isfinite(part.value)]
        return Estimate(self.law.steps(batch), sum(part.low for part in parts), sum(part.high for part in parts),
                        parts[0].n)

    def doubt(self, batch: int) -> str:
        """Return the reason why the steps at this batch are not known; empty when they are."""
        if batch > self.train_examples:
            return f"batch {batch:,} is more than the {self.train_examples:,} training examples"
        if not self.law.steps(batch) > 0:
            return f"the steps to the target are not known: {self.law.note or 'no batch reached it'}"
        identified = self.law.minimum_steps.has_interval and self.law.critical_batch.has_interval
        if batch > self.largest_batch * (FARTHEST if identified else 1):
            return (f"the steps at batch {batch:,} are not known: the largest trained is {self.largest_batch:,}"
                    + ("" if identified else ", and no critical batch shows in those"))
        return ""


def trained_steps(results: Results, rows: pd.DataFrame,
                  critical: Mapping[str, CriticalBatch]) -> TrainedSteps | None:
    """Return the steps of the first experiment with the dataset, model and optimizer of `rows` whose steps have a law;
    None where there is none."""
    runs, first = results.runs, rows.iloc[0]
    same = runs[(runs["kind"] == "accuracy") & (runs["status"] == "completed")
                & (runs[["dataset", "model", "optimizer"]] == first[["dataset", "model", "optimizer"]]).all(axis=1)]
    for name, own in same.groupby("experiment", sort=False):
        if (law := critical[str(name)].steps) is not None:
            return TrainedSteps(str(name), law, int(own["global_batch"].max()), int(own["train_examples"].iloc[0]))
    return None
