"""Accuracy or loss, and gaps, against the batch: what growing the batch does to what is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from .....benchmarks.config.choices import MEASURED_RULE
from .....benchmarks.schedules.rules import PUBLISHED_RULE, TUNED_RULE
from .....benchmarks.text import listed, number
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import Role, role
from ....formatting import estimated, Table, table
from ....statistics.estimate import Estimate, unknown
from ....study.arm_runs import conditions
from ....study.example_sampling import gap_between, sampling
from ....study.groups import (MOST_PANELS, mean_of, peak_rates, seeds_text, Workload)
from ....tables.outcome import LOSS, Outcome
from ....tables.results import Results
from ...blocks import Section
from ...builder import ACCURACY_LINES, section
from ...findings import Findings
from .budgets import budgets


@dataclass(frozen=True)
class Cell:
    """One rule at one batch: its runs, one row per seed, and what they come to."""

    rule: str
    batch: int
    arm: pd.DataFrame
    value: Estimate
    gap: Estimate
    batch_gap: Estimate

    @property
    def lost(self) -> pd.DataFrame:
        """Return the runs that did not complete, a row per seed."""
        return self.arm[self.arm["status"] != "completed"]


@section("accuracy", "Accuracy against batch", needs=ACCURACY_LINES)
def build(findings: Findings) -> Section | None:
    """Return test accuracy or loss, generalization gap and batch gap against the global batch."""
    found = findings.study.workloads
    kinds = list(dict.fromkeys(work.outcome.name for work in found)) or ["accuracy"]
    if not found:
        return None
    shown = [(name, work, cells(work)) for name, work in findings.panels]
    figures = [figure for name, work, own in shown for figure in _batch_panels(name, work, own)]
    text = ["Each point is the end of training at equal epochs. Generalization gap: accuracy on training data minus "
            "accuracy on test data, at the same weights. Batch gap: test accuracy at the reference batch minus test "
            "accuracy at this batch, paired by seed; above zero means that the larger batch ends worse."]
    if LOSS.name in kinds:
        text.append("Where an experiment has no accuracy, its loss stands for it: the generalization gap is then test "
                    "loss minus train loss, and the batch gap test loss at this batch minus that at the reference "
                    "batch; above zero is worse, as before.")
    if any(TUNED_RULE in work.rules for work in found):
        text.append("The tuned arm has the best rate by validation at every batch, the reference batch included, and "
                    "its gaps are against that.")
    if any(MEASURED_RULE in work.rules for work in found):
        text.append("Runs under adascale are not at equal epochs: they end when their gains add up to the steps of the "
                    "reference batch's run, which takes them more examples than the other rules have. The ten "
                    "claims compare at equal epochs and leave them out.")
    if not figures:
        text = ["No figure: it takes runs with a finite result at two batches or more."]
    text += [f"{work.name} was trained at one batch only; it is in the table." for work in found
             if len(work.batches) < 2]
    text += _left_out(found)
    return Section(tuple(text), tuple(figures),
                   table(("experiment", "rule", "batch", "peak rate", f"test {' or '.join(kinds)}",
                          "generalization gap", "batch gap", "without a result"),
                         (row for _, work, own in shown for row in _rows(work, own)), numbers=(2, 3),
                         caption="At the end of training: mean, 95 % interval over seeds, n. Gaps of accuracies in "
                                 "percentage points.", fold="Numbers") + budgets(findings.study.arms)
                   + _other_metrics(findings.results), title=f"{listed(kinds).capitalize()} against batch")


def _left_out(found: Sequence[Workload]) -> list[str]:
    rest = [work.name for work in found[MOST_PANELS:]]
    return [f"Without figures, to keep this page readable: {listed(rest)}; all are in results.csv."] if rest else []


def cells(work: Workload) -> list[Cell]:
    """Return a cell for every rule and batch that has runs; tuned rates are held against the tuned reference batch,
    the others against the constant rule's."""
    shared, tuned = (work.arm(rule, work.reference_batch) for rule in ("constant", TUNED_RULE))
    return [_cell(rule, batch, arm, tuned if rule == TUNED_RULE else shared, work.outcome)
            for rule, batch, arm in work.arms]


def _cell(rule: str, batch: int, arm: pd.DataFrame, reference: pd.DataFrame, outcome: Outcome) -> Cell:
    """No gaps where a run was lost: the seeds that are left are not a fair sample of what the reference has."""
    mean = mean_of(arm, outcome.test)
    if (arm["status"] != "completed").any():
        return Cell(rule, batch, arm, mean, unknown(mean.n), unknown(mean.n))
    return Cell(rule, batch, arm, mean, mean_of(arm, outcome.gap), batch_gap(reference, arm, outcome))


def batch_gap(reference: pd.DataFrame, arm: pd.DataFrame, outcome: Outcome) -> Estimate:
    """Return what this arm loses on the test data against the reference batch, paired by seed."""
    first, second = (rows.set_index("seed")[outcome.test] for rows in (reference, arm))
    cross_fitted = bool((arm["rule"] == TUNED_RULE).any())
    return gap_between(first, second, outcome, sampling(reference, arm, outcome, outcome.test), cross_fitted).estimate


def _batch_panels(name: str, work: Workload, own: list[Cell]) -> Iterator[Figure]:
    if len(work.batches) < 2:
        return
    clean = [cell for cell in own if cell.rule != PUBLISHED_RULE]
    lost = tuple((float(cell.batch), role(cell.rule), f"{len(cell.lost)} of {len(cell.arm)}")
                 for cell in own if len(cell.lost))
    judged = work.outcome
    percent, widest = judged.percent, (-1.0, 1.0) if judged.percent else judged.bounds
    difference, change, margin = ("train minus test accuracy", "accuracy lost", f"{judged.margin * 100:g} %") \
        if percent else ("test minus train loss", "loss added", number(judged.margin))
    yield from _panel(f"{name}-{judged.name}", work, f"test {judged.name} against global batch", own,
                      Axis(f"test {judged.name}", percent=percent, bounds=judged.bounds), lambda cell: cell.value, None,
                      lost)
    yield from _panel(f"{name}-gap", work, "generalization gap against global batch", clean,
                      Axis(difference, percent=percent, bounds=widest, signed=True), lambda cell: cell.gap, (0, ""),
                      lost)
    yield from _panel(f"{name}-batchgap", work, f"{change} against batch {work.reference_batch}", clean,
                      Axis("batch gap", percent=percent, bounds=widest, signed=True), lambda cell: cell.batch_gap,
                      (judged.margin, f"margin {margin}"), lost)


def _panel(name: str, work: Workload, title: str, own: list[Cell], y: Axis, measure: Callable[[Cell], Estimate],
           level: tuple[float, str] | None, lost: tuple[tuple[float, Role, str], ...] = ()) -> Iterator[Figure]:
    """One measure of all rules; nothing where no run has a finite value."""
    series = tuple(Series(rule, role(rule), tuple((float(cell.batch), measure(cell)) for cell in own
                                                  if cell.rule == rule), work.marker,
                          runs={float(cell.batch): conditions(cell.arm) for cell in own if cell.rule == rule})
                   for rule in dict.fromkeys(cell.rule for cell in own))
    counts = [point.n for line in series for _, point in line.points]
    if not any(counts):
        return
    title = f"{work.title}: {title}"
    panel = Panel(name, title, Axis("global batch, examples", 2, tuple(work.batches)), y, series, level, lost=lost)
    crosses = " Crosses at the foot: runs that diverged or ran out of memory." if lost else ""
    yield Figure(name, title, draw_lines(panel),
                 f"{work.detail}. Bars: 95 % intervals of the mean over seeds, {seeds_text(counts)}.{crosses}")


def _rows(work: Workload, own: list[Cell]) -> Iterator[tuple[str, ...]]:
    for cell in own:
        if work.is_listed_elsewhere(cell.rule, cell.batch):
            continue
        lost = cell.lost["status"].value_counts()
        yield (work.name, cell.rule, f"{cell.batch:,}", peak_rates(cell.arm),
               work.outcome.cell(cell.value), work.outcome.cell_difference(cell.gap),
               "" if cell.batch == work.reference_batch else work.outcome.cell_difference(cell.batch_gap),
               listed(f"{count} {status.replace('_', ' ')}" for status, count in lost.items()))


def _other_metrics(results: Results) -> tuple[Table, ...]:
    """The plan's own metrics at the end of training, on the test data."""
    own = results.metrics[results.metrics["part"] == "test"]
    keys = ["experiment", "placement", "metric", "rule", "global_batch"]
    rows = [(experiment, place, rule, f"{int(batch):,}", metric, estimated(mean_of(values, "value")))
            for (experiment, place, metric, rule, batch), values in own.groupby(keys, sort=False)]
    return table(("experiment", "on", "rule", "batch", "metric", "on the test data"), rows,
                 "The other metrics of the plan at the end of training: mean, 95 % interval over seeds, n.", (3,),
                 "Other metrics", longest=150)
