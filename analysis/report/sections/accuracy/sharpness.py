"""Sharpness against batch: a diagnostic beside the generalization gap, not its explanation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .....benchmarks.schedules.stability import stability_bound
from .....benchmarks.text import number
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import estimated, percentage, table
from ....study.arm_runs import conditions
from ....study.groups import finite, mean_of, seeds_text, Workload
from ...blocks import Section
from ...builder import section
from ...findings import Findings

MEASURES = (("eigenvalue", "top Hessian eigenvalue"), ("sam_sharpness", "SAM sharpness"))


@section("sharpness", "Sharpness (a diagnostic)", needs='sharpness_examples = 1000')
def build(findings: Findings) -> Section | None:
    """Return top Hessian eigenvalue and SAM sharpness at the end of training, against the global batch."""
    found = [(name, work) for name, work in findings.panels if finite(work.runs, "eigenvalue")]
    if not found:
        return None
    text = ("Measured where training ended, on training examples that are the same for all runs, in inference mode and "
            "float32: the Hessian's eigenvalue that is largest in size, by power iteration, and SAM sharpness, "
            "by how much the loss rises within a step of length 0.05 along the gradient.",
            "This describes the place where a run ended. It is no explanation of a generalization gap: sharpness "
            "changes when weights are rescaled without any change of what the model computes, it falls where the loss "
            "itself is small, and it follows the rate, since training does not stay where it is too sharp for it.")
    figures = tuple(figure for name, work in found for figure in _panels(name, work))
    rows = [row for _, work in found for row in _rows(work)]
    return Section(text, figures, table(
        ("experiment", "rule", "batch", "top Hessian eigenvalue", "SAM sharpness", "last rate x eigenvalue",
         "stable to", "generalization gap"), rows, "At the end of training: mean, 95 % interval over seeds, n. Stable "
        "to: the product beyond which the optimizer diverges on a quadratic; none where it rescales gradients.",
        (2,), "Numbers", longest=150), _unstable(found))


def _arms(work: Workload) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Every rule and batch that was measured; the reference batch's runs once."""
    for rule, batch, arm in work.arms:
        if not work.is_listed_elsewhere(rule, batch) and finite(arm, "eigenvalue"):
            yield rule, batch, arm


def _products(arm: pd.DataFrame) -> pd.DataFrame:
    return arm.assign(product=arm["last_learning_rate"] * arm["eigenvalue"])


def _bound(work: Workload) -> float | None:
    first = work.runs.iloc[0]
    return stability_bound(str(first["optimizer"]), float(first["momentum"]))


def _rows(work: Workload) -> Iterator[tuple[str, ...]]:
    bound = _bound(work)
    for rule, batch, arm in _arms(work):
        yield (work.name, rule, f"{batch:,}", estimated(mean_of(arm, "eigenvalue")),
               estimated(mean_of(arm, "sam_sharpness")), estimated(mean_of(_products(arm), "product")),
               "none" if bound is None else number(bound),
               percentage(mean_of(arm, "generalization_gap"), signed=True))


def _unstable(found: list[tuple[str, Workload]]) -> tuple[str, ...]:
    """Arms of which a run ended beyond its optimizer's bound of stability."""
    told = []
    for _, work in found:
        bound = _bound(work)
        for rule, batch, arm in _arms(work) if bound is not None else ():
            beyond = int(np.sum(_products(arm)["product"].to_numpy(np.float64) > bound))
            if beyond:
                told.append(f"{work.name}, {rule}, batch {batch:,}: {beyond} of {len(arm)} runs ended where rate times "
                            f"top Hessian eigenvalue is above {number(float(bound or 0))}, beyond what "
                            f"{work.runs['optimizer'].iloc[0]} is stable at on a quadratic.")
    return tuple(told)


def _panels(name: str, work: Workload) -> Iterator[Figure]:
    """One measure against batch, a line for each rule; the reference batch's runs stand for all that share them."""
    if len(work.batches) < 2:
        return
    for column, label in MEASURES:
        series = tuple(Series(rule, role(rule), tuple(
            (float(batch), mean_of(arm, column)) for batch in work.batches
            if finite(arm := work.arm(rule, batch), column)), work.marker,
            runs={float(batch): conditions(work.arm(rule, batch)) for batch in work.batches}) for rule in work.rules)
        series = tuple(line for line in series if line.points)
        counts = [point.n for line in series for _, point in line.points]
        title = f"{work.title}: {label} against global batch"
        panel = Panel(f"{name}-{column.replace('_', '-')}", title,
                      Axis("global batch, examples", 2, tuple(work.batches)), Axis(label), series)
        yield Figure(panel.name, title, draw_lines(panel),
                     f"{work.detail}. At the end of training. Bars: 95 % intervals of the mean over seeds, "
                     f"{seeds_text(counts)}.")
