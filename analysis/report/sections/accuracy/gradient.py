"""Gradient noise: how it falls with the batch, and the noise scale while training goes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import estimated, table
from ....laws.noise_average import NoiseScale
from ....laws.noise_scale import CAVEATS, PUBLISHED, SLOPE_BATCHES, covariance_slopes, estimate_probes
from ....statistics.estimate import Estimate, mean_estimate
from ....study.arm_runs import conditions, reference_norms
from ....study.critical import CriticalBatch
from ....study.groups import batch_shades, seeds_text, Workload
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("noise", "Gradient noise", needs="noise_batches = [1, 8, 32, 128]")
def build(findings: Findings) -> Section | None:
    """Return the trace of the gradient covariance against batch, and B_simple against steps."""
    named = {item.experiment: item for item in findings.decided.critical}
    found = [(name, work, item, item.noise) for name, work in findings.panels
             if (item := named.get(work.experiment)) is not None and item.noise is not None and item.noise.curve
             and findings.study.is_compared(work)]
    if not found:
        return None
    probes = {work.experiment: estimate_probes(reference_norms(findings.results, work.experiment),
                                               int(work.runs["train_examples"].iloc[0])) for _, work, _, _ in found}
    figures = [figure for name, work, _, noise in found for figure in _panels(name, work, noise,
                                                                              probes[work.experiment])]
    published = "; ".join(f"{name} {run:,} over a run, {start:,} at its start"
                          for name, (run, start, _) in PUBLISHED.items())
    text = ("The noise of a gradient is the trace of its covariance over batches; independent examples make it fall "
            "as 1/B, a slope of -1. The noise scale B_simple is the batch at which noise and signal are equal. Over a "
            "run it is averaged over the progress made, integral B ds / integral ds with ds = dS/(1 + B/batch) for "
            "dS steps, which is the critical batch of that run; at each step it is read from the probe with most "
            "examples. " + " ".join(CAVEATS), f"Published values of B_simple (McCandlish 2018): {published}.",
            *(f"{item.experiment}: {noise.note}." for _, _, item, noise in found if noise.note))
    rows = [_row(work, item, noise, probes[work.experiment]) for _, work, item, noise in found]
    return Section(text, tuple(figures), table(
        ("experiment", "slope of log noise on log batch", "noise scale over the run", "at the start", "at the end",
         "up to the target"), rows,
        "Slope: least squares over probed steps and batches of each seed, mean over seeds. Noise scale in examples: "
        "trace and squared gradient averaged over seeds, then divided, 95 % interval after Fieller; at the first "
        "probed step, over the last tenth of the steps, and over the steps of the reference batch to the target of "
        "the section on the critical batch. n counts seeds.", (), "Numbers"))


def _row(work: Workload, item: CriticalBatch, noise: NoiseScale, probes: pd.DataFrame) -> tuple[str, ...]:
    slope = _slope(probes)
    few = "" if slope.n else f"not known: no step has {SLOPE_BATCHES} batches of 2 or more groups"
    to_target = estimated(item.noise_to_target.average) if item.noise_to_target else ""
    return (work.name, few or estimated(slope), estimated(noise.average), estimated(noise.start),
            estimated(noise.end), to_target)


def _slope(probes: pd.DataFrame) -> Estimate:
    """Of each seed, averaged: probes of one step share examples, so that they are no repeats."""
    slopes = covariance_slopes(probes)
    return mean_estimate(slopes[np.isfinite(slopes)])


def _panels(name: str, work: Workload, noise: NoiseScale, probes: pd.DataFrame) -> Iterator[Figure]:
    batches = sorted(float(batch) for batch in probes["batch"].unique())
    steps = sorted(probes["step"].unique())
    shown = list(dict.fromkeys([steps[0], steps[len(steps) // 2], steps[-1]]))
    shades = batch_shades([int(step) for step in shown])
    series = tuple(Series(f"step {int(step):,}", role("constant"),
                          tuple(_traces(probes[probes["step"] == step])), work.marker, opacity=shades[int(step)],
                          runs=dict.fromkeys(batches, _selected(work)))
                   for step in shown)
    counts = [point.n for line in series for _, point in line.points]
    title = f"{work.title}: gradient noise against batch"
    panel = Panel(f"{name}-noise", title, Axis("examples per gradient", 2, tuple(batches)),
                  Axis("trace of the gradient covariance", 10), series)
    yield Figure(panel.name, title, draw_lines(panel),
                 f"{work.detail}. Slope, mean over seeds: {estimated(_slope(probes))}; -1 for independent examples. "
                 f"Bars: 95 % intervals over seeds, {seeds_text(counts)}.")
    yield _scale_panel(name, work, noise)


def _selected(work: Workload) -> str:
    return conditions(work.arm("constant", work.reference_batch))


def _traces(rows: pd.DataFrame) -> Iterator[tuple[float, Estimate]]:
    for batch, own in rows.groupby("batch"):
        values = own["covariance_trace"].to_numpy(dtype=np.float64)
        yield float(batch), mean_estimate(values[np.isfinite(values)])


def _scale_panel(name: str, work: Workload, noise: NoiseScale) -> Figure:
    points = tuple((step, value) for step, value in noise.curve if value.value > 0)
    title = f"{work.title}: gradient noise scale while training"
    panel = Panel(f"{name}-scale", title, Axis("steps", 10), Axis("B_simple, examples", 10),
                  (Series(f"B = {work.reference_batch:,}", role("constant"), points, work.marker,
                          runs=dict.fromkeys([step for step, _ in points], _selected(work))),))
    missing = len(noise.curve) - len(points)
    unknown = f" At {missing} of the probed steps the gradient's own size cannot be told from zero." if missing else ""
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Trace and squared gradient averaged over seeds, then divided; 95 % intervals "
                  f"(Fieller), {seeds_text([p.n for _, p in points])}; no bar: no interval.{unknown} Over the run: "
                  f"{estimated(noise.average, 'examples')}.")
