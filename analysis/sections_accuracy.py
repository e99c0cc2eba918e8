"""Accuracy, gaps and loss against the batch: what growing the batch does to what is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from ..benchmarks.tuning import TUNED_RULE
from .content import Figure, Section, listed, number, percentage, table
from .difference import paired_difference
from .estimate import Estimate, unknown
from .groups import MOST_PANELS, NO_ACCURACY, OWN_REFERENCE, Workload, first_panels, mean_of, seeds_text, workloads
from .plots import Role, role
from .plots_lines import Axis, Panel, Series, draw_lines
from .table import PUBLISHED_RULE, Results


@dataclass(frozen=True)
class Cell:
    """One rule at one batch: its runs, one row per seed, and what they come to."""

    rule: str
    batch: int
    arm: pd.DataFrame
    accuracy: Estimate
    gap: Estimate
    batch_gap: Estimate

    @property
    def lost(self) -> pd.DataFrame:
        return self.arm[self.arm["status"] != "completed"]


def accuracy(results: Results) -> Section:
    """Test accuracy, generalization gap and batch gap against the global batch."""
    found = workloads(results)
    if not found:
        return Section("accuracy", "Accuracy against batch", (NO_ACCURACY,))
    shown = [(name, work, cells(work)) for name, work in first_panels(found)]
    figures = [figure for name, work, own in shown for figure in _batch_panels(name, work, own, results.margin)]
    text = ["Each point is the end of training at equal epochs. Generalization gap: accuracy on training data minus "
            "accuracy on test data, at the same weights. Batch gap: test accuracy at the reference batch minus test "
            "accuracy at this batch, paired by seed; above zero means that the larger batch ends worse."]
    if any(TUNED_RULE in work.rules for work in found):
        text.append("The tuned arm has the best rate by validation at every batch, the reference batch included, and "
                    "its gaps are against that.")
    if any("adascale" in work.rules for work in found):
        text.append("Runs under adascale are not at equal epochs: they end when their gains add up to the steps of the "
                    "reference batch's run, which takes them more examples than the other rules have. The ten "
                    "claims compare at equal epochs and leave them out.")
    if not figures:
        text = ["No figure: it takes runs with a finite accuracy at two batches or more."]
    text += [f"{work.name} was trained at one batch only; it is in the table." for work in found
             if len(work.batches) < 2]
    text += _left_out(found)
    return Section("accuracy", "Accuracy against batch", tuple(text), tuple(figures),
                   table(("experiment", "rule", "batch", "peak rate", "test accuracy", "generalization gap",
                          "batch gap", "without a result"),
                         (row for _, work, own in shown for row in _rows(work, own)), numbers=(2, 3),
                         caption="At the end of training: mean, 95 % interval over seeds, n. Gaps in percentage "
                                 "points.", fold="Numbers"))


def _left_out(found: list[Workload]) -> list[str]:
    rest = [work.name for work in found[MOST_PANELS:]]
    return [f"Without figures, to keep this page readable: {listed(rest)}; all are in results.csv."] if rest else []


def cells(work: Workload) -> list[Cell]:
    """Every rule and batch that has runs; at the reference batch all rules but the tuned one have the constant
    one's, and each is held against what it has there."""
    shared, tuned = (work.arm(rule, work.reference_batch) for rule in ("constant", TUNED_RULE))
    arms = [(rule, batch, work.arm(rule, batch)) for rule in work.rules for batch in work.batches]
    return [Cell(rule, batch, arm, mean_of(arm, "test_accuracy"), mean_of(arm, "generalization_gap"),
                 batch_gap(tuned if rule == TUNED_RULE else shared, arm)) for rule, batch, arm in arms if not arm.empty]


def batch_gap(reference: pd.DataFrame, arm: pd.DataFrame) -> Estimate:
    """Test accuracy at the reference batch minus this arm's, paired by seed."""
    columns = ["seed", "test_accuracy"]
    pairs = reference[columns].merge(arm[columns], on="seed").dropna()
    if pairs.empty:
        return unknown()
    return paired_difference(pairs["test_accuracy_x"].to_numpy(), pairs["test_accuracy_y"].to_numpy()).estimate


def _batch_panels(name: str, work: Workload, own: list[Cell], margin: float) -> Iterator[Figure]:
    if len(work.batches) < 2:
        return
    clean = [cell for cell in own if cell.rule != PUBLISHED_RULE]
    lost = tuple((float(cell.batch), role(cell.rule), f"{len(cell.lost)} of {len(cell.arm)}")
                 for cell in own if len(cell.lost))
    yield from _panel(f"{name}-accuracy", work, "test accuracy against global batch", own,
                      Axis("test accuracy", percent=True, bounds=(-0.01, 1.01)), lambda cell: cell.accuracy, None, lost)
    yield from _panel(f"{name}-gap", work, "generalization gap against global batch", clean,
                      Axis("train minus test accuracy", percent=True, bounds=(-1, 1)), lambda cell: cell.gap, (0, ""))
    yield from _panel(f"{name}-batchgap", work, f"accuracy lost against batch {work.reference_batch}", clean,
                      Axis("batch gap", percent=True, bounds=(-1, 1)), lambda cell: cell.batch_gap,
                      (margin, f"margin {margin * 100:g} %"))


def _panel(name: str, work: Workload, title: str, own: list[Cell], y: Axis, measure: Callable[[Cell], Estimate],
           level: tuple[float, str] | None, lost: tuple[tuple[float, Role, str], ...] = ()) -> Iterator[Figure]:
    """One measure of all rules; nothing where no run has a finite value."""
    series = tuple(Series(rule, role(rule), tuple((float(cell.batch), measure(cell)) for cell in own
                                                  if cell.rule == rule), work.marker)
                   for rule in dict.fromkeys(cell.rule for cell in own))
    counts = [point.n for line in series for _, point in line.points]
    if not any(counts):
        return
    title = f"{work.name}: {title}"
    panel = Panel(name, title, Axis("global batch, examples", 2, tuple(work.batches)), y, series, level, lost=lost)
    crosses = " Crosses at the foot: runs that diverged or ran out of memory." if lost else ""
    yield Figure(name, title, draw_lines(panel),
                 f"{work.detail}. Bars: 95 % intervals of the mean over seeds, {seeds_text(counts)}.{crosses}")


def _rows(work: Workload, own: list[Cell]) -> Iterator[tuple[str, ...]]:
    for cell in own:
        at_reference = cell.batch == work.reference_batch
        if at_reference and cell.rule not in ("constant", *OWN_REFERENCE):
            continue
        lost = cell.lost["status"].value_counts()
        yield (work.name, cell.rule, f"{cell.batch:,}", number(float(cell.arm["peak_learning_rate"].iloc[0])),
               percentage(cell.accuracy), percentage(cell.gap, signed=True),
               "" if at_reference else percentage(cell.batch_gap, signed=True),
               listed(f"{count} {status.replace('_', ' ')}" for status, count in lost.items()))
