"""Batches trained one after another on the same weights, beside runs that start anew."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from .....benchmarks.schedules.rules import PUBLISHED_RULE
from ....decision.sentences import published
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import table
from ....statistics.estimate import Estimate
from ....study.groups import (evaluations_of, finite, first_panels, mean_curve, mean_of, own_evaluations, seeds_text,
                              Workload)
from ...blocks import Section
from ...builder import section
from ...findings import Findings


FLAW = ("The often-copied example compiles the model again for each batch size but never builds it anew: each batch "
        "goes on from the weights the last one left. Its curves then show how long the model was trained in all, not "
        "what the batch does. The dotted line is that procedure, done here; the solid ones start each batch from fresh "
        "weights.")


@section("as-published", "The published comparison, and its flaw", origin="curves", needs="as_published = true")
def build(findings: Findings) -> Section | None:
    """Return batches trained one after another on the same weights, beside runs that start anew."""
    found = [work for work in findings.study.workloads
             if finite(work.runs[work.runs["rule"] == PUBLISHED_RULE], work.outcome.test)]
    if not found:
        return None
    shown = [(name, work, own_evaluations(work, findings.results)) for name, work in first_panels(found)]
    figures = tuple(_carried_panel(name, work, rows) for name, work, rows in shown)
    text = [FLAW]
    arms = findings.study.arms_by_experiment
    text += (f"{name}: {what}." for name in dict.fromkeys(work.experiment for work in found)
             if name in arms and (what := published(findings.results, arms[name][0])))
    cells = [row for _, work, rows in shown for row in _carried_rows(work, rows)]
    return Section(tuple(text), figures, table(
        ("experiment", "batch", "starts, as published", "starts, fresh", "ends, as published", "ends, fresh"), cells,
        "Test accuracy, or loss, at the first evaluation and at the last: mean, 95 % interval over seeds, n.", (1,),
        "Numbers"))


def _carried_panel(name: str, work: Workload, evaluations: pd.DataFrame) -> Figure:
    carried = evaluations[evaluations["run_id"].isin(work.runs[work.runs["rule"] == PUBLISHED_RULE]["run_id"])]
    epochs = int(work.runs["epochs"].iloc[0])
    phases = carried.drop_duplicates("phase").sort_values("phase")[["phase", "global_batch"]]
    series, joined, counts = [], [], []
    for phase, batch in phases.itertuples(index=False):
        for rule, label in ((PUBLISHED_RULE, ""), ("constant", "")):
            rows = evaluations_of(work, evaluations, rule, int(batch))
            rows = rows.assign(total=rows["epoch"] + int(phase) * epochs)
            points = mean_curve(rows, "total", work.outcome.test)
            counts += [point.n for _, point in points]
            if rule == PUBLISHED_RULE:
                joined += list(points)
            else:
                series.append(Series(label, role(rule), points, band=True))
    series = [Series("" if i < len(series) - 1 else "fresh weights", s.role, s.points, band=True, name="fresh weights")
              for i, s in enumerate(series)]
    series.append(Series("as published", role(PUBLISHED_RULE), tuple(joined), band=True))
    marks = tuple((float(phase * epochs), f"B = {batch:,}") for phase, batch in phases.itertuples(index=False))
    title = f"{work.title}: batches one after another, and each from fresh weights"
    bounds = (-0.01, 1.12) if work.outcome.percent else work.outcome.bounds  # room for the marks' names
    panel = Panel(f"{name}-carried", title, Axis("epochs trained one after another"),
                  Axis(f"test {work.outcome.name}", percent=work.outcome.percent, bounds=bounds), tuple(series),
                  marks=marks)
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Bands: 95 % t intervals over seeds, {seeds_text(counts)}.")


def _carried_rows(work: Workload, evaluations: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for batch in work.batches:
        sides = [evaluations_of(work, evaluations, rule, batch) for rule in (PUBLISHED_RULE, "constant")]
        if sides[0].empty:
            continue
        first = [work.outcome.cell(_end(side, "min", work.outcome.test)) for side in sides]
        last = [work.outcome.cell(_end(side, "max", work.outcome.test)) for side in sides]
        yield (work.name, f"{batch:,}", *first, *last)


def _end(rows: pd.DataFrame, which: str, metric: str) -> Estimate:
    steps = rows.groupby("run_id")["step"].transform(which)
    return mean_of(rows[rows["step"] == steps], metric)
