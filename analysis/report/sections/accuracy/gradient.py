"""Gradient noise: how it falls with the batch, and the noise scale while training goes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .....benchmarks.text import number
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import estimated, table
from ....laws.noise_scale import CAVEATS, PUBLISHED, covariance_slope, estimate_probes, noise_scales
from ....statistics.estimate import Estimate, mean_estimate
from ....statistics.ratio import paired_ratio
from ....study.arm_runs import reference_norms
from ....study.groups import batch_shades, seeds_text, Workload
from ....tables.results import Results
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("noise", "Gradient noise", needs="No run has finite gradient norms, so gradient noise is not known. Give an "
         "accuracy experiment `noise_batches`.")
def build(findings: Findings) -> Section | None:
    """Return the trace of the gradient covariance against batch, and B_simple against steps."""
    found = [(name, work, _probes(work, findings.results)) for name, work in findings.panels]
    found = [(name, work, probes) for name, work, probes in found if not probes.empty]
    if not found:
        return None
    figures = [figure for name, work, probes in found for figure in _panels(name, work, probes)]
    published = "; ".join(f"{name} {run:,} over a run, {start:,} at its start"
                          for name, (run, start, _) in PUBLISHED.items())
    text = ("The noise of a gradient is the trace of its covariance over batches; independent examples make it fall "
            "as 1/B, a slope of -1. The noise scale B_simple is the batch at which noise and signal are equal. "
            + " ".join(CAVEATS), f"Published values of B_simple (McCandlish 2018): {published}.")
    rows = []
    for _, work, probes in found:
        slope = covariance_slope(probes)
        scales = _scales_by_seed(probes)
        rows.append((work.name, estimated(slope.slope) + (f"; {slope.note}" if slope.note else ""),
                     slope.batches, estimated(mean_estimate(scales), "examples"), probes["run_id"].nunique()))
    return Section(text, tuple(figures), table(
        ("experiment", "slope of log noise on log batch", "batches", "noise scale, run average", "seeds"), rows,
        "Slope: least squares over probed steps and batches, n probes. Noise scale: ratio of run averages per seed, "
        "mean over seeds, 95 % interval.", (2, 4), "Numbers"))


def _probes(work: Workload, results: Results) -> pd.DataFrame:
    """Return the probes of the workload's completed runs at the reference batch, with their estimates."""
    own = reference_norms(results, work.experiment, work.placement)
    if own.empty:
        return own
    own = own.assign(**{name: own[name].astype("float64") for name in ("step", "batch", "count")})
    return estimate_probes(own, int(work.runs["train_examples"].iloc[0]))


def _scales_by_seed(probes: pd.DataFrame) -> list[float]:
    """Return B_simple of each seed, in examples; a seed whose average |G|^2 is not positive gives none."""
    scales = noise_scales(probes, int(probes["train_examples"].iloc[0]))
    return [float(value) for value in scales if np.isfinite(value)]


def _most_groups(probes: pd.DataFrame) -> pd.DataFrame:
    """One probe per run and step, the one with most groups: its noise trace varies least."""
    ordered = probes.sort_values(["run_id", "step", "count"], ascending=[True, True, False])
    return ordered.drop_duplicates(["run_id", "step"])


def _panels(name: str, work: Workload, probes: pd.DataFrame) -> Iterator[Figure]:
    batches = sorted(float(batch) for batch in probes["batch"].unique())
    steps = sorted(probes["step"].unique())
    shown = list(dict.fromkeys([steps[0], steps[len(steps) // 2], steps[-1]]))
    shades = batch_shades([int(step) for step in shown])
    series = tuple(Series(f"step {int(step):,}", role("constant"),
                          tuple(_traces(probes[probes["step"] == step])), work.marker, opacity=shades[int(step)])
                   for step in shown)
    counts = [point.n for line in series for _, point in line.points]
    slope = covariance_slope(probes).slope
    title = f"{work.name}: gradient noise against batch"
    panel = Panel(f"{name}-noise", title, Axis("examples per gradient", 2, tuple(batches)),
                  Axis("trace of the gradient covariance", 10), series)
    yield Figure(panel.name, title, draw_lines(panel),
                 f"{work.detail}. Slope over all probed steps: {estimated(slope)}; -1 for independent examples. Bars: "
                 f"95 % intervals over seeds, {seeds_text(counts)}.")
    yield _scale_panel(name, work, probes)


def _traces(rows: pd.DataFrame) -> Iterator[tuple[float, Estimate]]:
    for batch, own in rows.groupby("batch"):
        values = own["covariance_trace"].to_numpy(dtype=np.float64)
        yield float(batch), mean_estimate(values[np.isfinite(values)])


def _scale_panel(name: str, work: Workload, probes: pd.DataFrame) -> Figure:
    chosen = _most_groups(probes)
    points = []
    for step, rows in chosen.groupby("step"):
        if rows["gradient_norm_squared"].mean() > 0:
            points.append((float(step), paired_ratio(rows["noise_trace"].to_numpy(),
                                                     rows["gradient_norm_squared"].to_numpy())))
    title = f"{work.name}: gradient noise scale while training"
    panel = Panel(f"{name}-scale", title, Axis("steps", 10), Axis("B_simple, examples", 10),
                  (Series(f"B = {work.reference_batch:,}", role("constant"), tuple(points), work.marker),))
    missing = probes["step"].nunique() - len(points)
    unknown = f" At {missing} of the probed steps the gradient's own size cannot be told from zero." if missing else ""
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Trace and squared gradient averaged over seeds, then divided; 95 % intervals "
                  f"(Fieller), {seeds_text([p.n for _, p in points])}.{unknown} Mean over the run: "
                  f"{number(float(np.mean(_scales_by_seed(probes) or [np.nan])))} examples.")
