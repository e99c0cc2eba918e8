"""The critical batch from three sources side by side: steps to a target, gradient noise, throughput."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .content import Figure, Section, estimated, number, table
from .critical_batch import (StepsToTarget, ThroughputKnee, UsefulBatches, compare_sources, fit_steps_to_target,
                             throughput_knee, useful_batches)
from .estimate import Estimate, mean_estimate, without_interval
from .groups import Workload, finite, first_panels, mean_of, workloads
from .plots import OTHERS, STRATEGIES, role
from .plots_bars import Row, draw_rows
from .plots_lines import Axis, Panel, Series, draw_lines
from .sections_gradient import noise_probes, scales_by_seed
from .sections_scaling import timing_runs
from .table import Results

TARGET_SHARE = 0.9
CURVE_POINTS = 40
STEPS, NOISE, KNEE = "steps to target", "gradient noise scale", "throughput knee"
TITLE = "Critical batch, three ways"


@dataclass(frozen=True)
class Critical:
    """Steps per run and batch (None: never passed), their law, and the other two sources in examples."""

    target: float
    batches: tuple[int, ...]
    steps: tuple[float | None, ...]
    law: StepsToTarget
    useful: UsefulBatches
    noise: Estimate
    knee: ThroughputKnee
    knee_of: str

    @property
    def sources(self) -> Mapping[str, Estimate]:
        return {STEPS: self.law.critical_batch, NOISE: self.noise, KNEE: self.knee.knee_batch}


def critical(results: Results) -> Section:
    """Per workload under the constant rule."""
    found = [(name, work, _critical(work, results)) for name, work in first_panels(workloads(results))]
    known = [(name, work, item) for name, work, item in found
             if item is not None and any(math.isfinite(source.value) for source in item.sources.values())]
    if not known:
        return Section("critical", TITLE, ("None of the three sources has data: runs at several batches that pass a "
                                           "target, gradient norms, or timing at several batches.",))
    text = [f"Below the critical batch, doubling the batch nearly halves the steps; above it, hardly. Steps to target: "
            f"steps until validation accuracy first passes {TARGET_SHARE * 100:.0f} % of what the reference batch ends with, "
            "fitted as S(B) = S_min (1 + B_crit / B); it is about training. The noise scale is about the gradient, "
            "the throughput knee (half of peak throughput, one replica) about the hardware. They answer different "
            "questions and are compared, never merged. All at the constant rate."]
    text += [sentence for _, work, item in known for sentence in _words(work, item)]
    figures = [figure for name, work, item in known for figure in _panels(name, work, item)]
    rows = [row for _, work, item in known for row in _rows(work, item)]
    return Section("critical", TITLE, tuple(text), tuple(figures), table(
        ("experiment", "source", "critical batch, examples", "what limits it"), rows,
        "Steps to target: least squares on log steps over runs, n runs. Noise scale: mean over seeds. Knee: least "
        "squares over launches. 95 % intervals.", fold="Numbers"))


def _critical(work: Workload, results: Results) -> Critical | None:
    reference = mean_of(work.arm("constant", work.reference_batch), "validation_accuracy").value
    target = TARGET_SHARE * reference
    batches, steps = _steps(work, results.evaluations, target)
    probes = noise_probes(work, results.gradient_norms)
    noise = mean_estimate(scales_by_seed(probes) if not probes.empty else [])
    knee, knee_of = _knee(work, results)
    return Critical(target, batches, steps, fit_steps_to_target(batches, steps), useful_batches(batches, steps),
                    noise, knee, knee_of)


def _steps(work: Workload, evaluations: pd.DataFrame,
           target: float) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """First step at which each run passes the target; None for one that never does."""
    runs = work.runs[(work.runs["rule"] == "constant") & (work.runs["status"] != "out_of_memory")]
    if not math.isfinite(target):
        return (), ()
    passed = evaluations[evaluations["validation_accuracy"] >= target].groupby("run_id")["step"].min()
    first = [passed.get(run_id) for run_id in runs["run_id"]]
    return (tuple(int(batch) for batch in runs["global_batch"]),
            tuple(None if step is None else float(step) for step in first))


def _knee(work: Workload, results: Results) -> tuple[ThroughputKnee, str]:
    """Of the same model on the fewest replicas; the strategy with the most batches."""
    runs = timing_runs(results)
    runs = runs[(runs["model"] == work.runs["model"].iloc[0]) & (runs["replicas"] == runs["replicas"].min())]
    if runs.empty:
        return throughput_knee([], []), "no timing of this model"
    counts = runs.groupby("placement", sort=False)["replica_batch"].nunique()
    own = runs[runs["placement"] == counts.idxmax()]
    return (throughput_knee(own["replica_batch"].tolist(), finite(own, "step_seconds")),
            f"{counts.idxmax()}, {own['optimizer'].iloc[0]}")


def _words(work: Workload, item: Critical) -> Iterator[str]:
    end, largest = item.useful.perfect_scaling_end, item.useful.largest_useful
    if end is not None and largest is not None:
        note = f" ({item.useful.note})" if item.useful.note else ""
        yield (f"{work.name}: up to batch {end:,} the examples needed stay within 20 % of the fewest (perfect "
               f"scaling); the steps are within 20 % of the fewest from batch {largest:,} on{note}.")
    for sentence in compare_sources(item.sources):
        yield f"{work.name}: {sentence}"


def _rows(work: Workload, item: Critical) -> Iterator[tuple[str, ...]]:
    notes = {STEPS: f"target {number(item.target)}; {item.law.note}".rstrip("; "), NOISE: "",
             KNEE: "; ".join(part for part in (item.knee_of, item.knee.note) if part)}
    for name, source in item.sources.items():
        yield work.name, name, estimated(source), notes[name]


def _panels(name: str, work: Workload, item: Critical) -> Iterator[Figure]:
    if any(step is not None for step in item.steps):
        yield _steps_panel(name, work, item)
    title = f"{work.name}: critical batch from three sources"
    roles = (role("constant"), OTHERS[1], STRATEGIES["horovod-mpi"])
    rows = [Row(source, estimate, each) for (source, estimate), each in zip(item.sources.items(), roles)]
    yield Figure(f"{name}-critical", title, draw_rows(f"{name}-critical", title, "examples", rows, log=True),
                 f"{work.detail}. 95 % intervals; knee: {item.knee_of}.")


def _steps_panel(name: str, work: Workload, item: Critical) -> Figure:
    title = f"{work.name}: steps to target against global batch"
    table_ = pd.DataFrame({"batch": item.batches, "steps": [math.nan if s is None else s for s in item.steps]})
    points = tuple((float(batch), mean_estimate(rows["steps"].dropna().tolist()))
                   for batch, rows in table_.groupby("batch"))
    series = [Series("measured", role("constant"), points, work.marker, line=False)]
    if math.isfinite(item.law.steps(float(max(item.batches)))) and item.law.steps(float(max(item.batches))) > 0:
        places = np.geomspace(min(item.batches), max(item.batches), CURVE_POINTS)
        series.append(Series("S_min (1 + B_crit/B)", STRATEGIES["single"], tuple(
            (float(x), without_interval(item.law.steps(float(x)), 0)) for x in places), band=True))
    lost = tuple((float(batch), role("constant"), f"{int(rows['steps'].isna().sum())} of {len(rows)}")
                 for batch, rows in table_.groupby("batch") if rows["steps"].isna().any())
    panel = Panel(f"{name}-steps", title, Axis("global batch, examples", 2, tuple(map(float, work.batches))),
                  Axis("steps to target", 10), tuple(series), lost=lost)
    crosses = " Crosses: runs that never passed, left out of the fit." if lost else ""
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Target: validation accuracy {number(item.target)}. Bars: 95 % intervals over "
                  f"seeds; the law is fitted to {item.law.critical_batch.n} runs.{crosses}")
