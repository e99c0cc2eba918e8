"""Train loss against steps, examples and seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from .....benchmarks.schedules.rules import PUBLISHED_RULE
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....study.arm_runs import conditions
from ....study.groups import (batch_shades, evaluations_of, mean_curve, own_evaluations,
                              seeds_text, Workload)
from ...blocks import Section
from ...builder import ACCURACY_LINES, section
from ...findings import Findings

MOST_CURVES = 5
MOST_WORKLOADS = 4


@section("curves", "Loss curves", needs=ACCURACY_LINES, origin="curves")
def build(findings: Findings) -> Section | None:
    """Return train loss against steps, examples and seconds."""
    if not findings.study.workloads or findings.results.evaluations.empty:
        return None
    figures = []
    for name, work in findings.panels[:MOST_WORKLOADS]:
        figures += list(_curve_panels(name, work, own_evaluations(work, findings.results)))
    if not figures:
        return Section(("No run has a finite train loss, so there is no curve to draw.",))
    text = ("The same runs against three measures of cost. At equal examples a small batch has taken more steps; at "
            "equal steps a large batch has seen more examples; seconds are those of training alone, and runs that "
            "were packed side by side shared the machine. Darker lines are larger batches; other rules are drawn at "
            "the largest batch.",)
    return Section(text, tuple(figures))


def _curve_panels(name: str, work: Workload, evaluations: pd.DataFrame) -> Iterator[Figure]:
    lines = [(conditions(work.arm(rule, batch)), rule, evaluations_of(work, evaluations, rule, batch), text, opacity)
             for rule, batch, text, opacity in _curve_arms(work)]
    for axis, label in (("step", "steps"), ("examples", "examples seen"), ("train_seconds", "seconds of training")):
        series = []
        for selected, rule, rows, text, opacity in lines:
            points = mean_curve(rows, axis, "train_loss")
            series.append(Series(text, role(rule), points, band=True, opacity=opacity,
                                 runs={x: selected for x, _ in points}))
        counts = [point.n for line in series for _, point in line.points]
        if not counts:
            continue
        title = f"{work.title}: train loss against {label}"
        panel = Panel(f"{name}-loss-{axis}", title, Axis(label, 10), Axis("train loss", 10), tuple(series))
        yield Figure(panel.name, title, draw_lines(panel),
                     f"{work.detail}. Fixed subset of the training data, inference mode. Bands: 95 % t intervals over "
                     f"seeds, {seeds_text(counts)}.")


def _curve_arms(work: Workload) -> list[tuple[str, int, str, float]]:
    """(rule, batch, label, opacity): the constant rule at several batches, the others at the largest."""
    constant = [batch for batch in work.batches if not work.arm("constant", batch).empty]
    if len(constant) > MOST_CURVES:
        constant = [*constant[:MOST_CURVES - 1], constant[-1]]
    shades = batch_shades(constant)
    lines = [("constant", batch, f"B = {batch:,}", shades[batch]) for batch in constant]
    for rule in work.rules:
        largest = [batch for batch in work.batches if not work.arm(rule, batch).empty]
        if rule not in ("constant", PUBLISHED_RULE) and largest:
            lines.append((rule, largest[-1], f"{rule}, {largest[-1]:,}", 1.0))
    return lines
