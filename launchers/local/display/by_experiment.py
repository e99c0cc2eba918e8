"""A table of a study's experiments: how many of the runs are done, under way, lost, and what came of them so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from ....benchmarks.records.run_folder import FINAL, Run
from .figure import Figure, figure

GOOD = ("completed", "diverged", "out_of_memory")
HEADER = ("experiment", "done", "running", "failed", "to do", "so far")


@dataclass
class Tally:
    """The runs of one experiment by how they stand, and the figures of those that completed by batch and rule."""

    done: int = 0
    running: int = 0
    failed: int = 0
    waiting: int = 0
    figures: dict[tuple[int, str, float], list[Figure]] = field(default_factory=dict)

    def count(self, run: Run, status: str) -> None:
        """Count a run of this status."""
        self.done += status in GOOD
        self.running += status == "running"
        self.failed += status in FINAL and status not in GOOD
        self.waiting += status != "running" and status not in FINAL
        record = run.record() if status == "completed" else None
        if record is not None and (found := figure(record)):
            config = run.config
            self.figures.setdefault((config.global_batch, config.rule, config.base_learning_rate), []).append(found)

    def so_far(self) -> str:
        """Return the mean over seeds at the smallest and at the largest batch, under the best rule and rate there."""
        batches = sorted({batch for batch, _, _ in self.figures})
        ends = dict.fromkeys(batches[:1] + batches[-1:])
        return ", ".join(f"{self._best(batch)} at batch {batch:,}" for batch in ends)

    def _best(self, batch: int) -> Figure:
        means = [Figure(found[0].name, fmean(one.value for one in found), found[0].more_is_better)
                 for (size, _, _), found in self.figures.items() if size == batch]
        return max(means, key=lambda one: one.value if one.more_is_better else -one.value)


def table(runs: Sequence[Run], statuses: Mapping[str, str]) -> list[str]:
    """Return the lines of the table, in the plan's order of experiments."""
    tallies: dict[str, Tally] = {}
    for run in runs:
        tallies.setdefault(run.config.experiment, Tally()).count(run, statuses[run.run_id])
    rows = [HEADER, *((name, f"{one.done}", f"{one.running}", f"{one.failed}", f"{one.waiting}", one.so_far())
                      for name, one in tallies.items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADER))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
