"""Throughput against batch, per strategy and replicas."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from .....benchmarks.text import percent
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import MARKERS, estimated, percentage, Table, table
from ....statistics.estimate import Estimate
from ....study.arm_runs import conditions
from ....study.groups import heading, MOST_PANELS, launches_text, mean_of
from ....study.timing.devices import utilization_notes
from ....study.timing.scaling import strategy_names
from ....study.timing.steadiness import POINT, unsteady_points
from ...blocks import Section
from ...builder import section, TIMING_LINES
from ...findings import Findings, OWN

HERE = ("Training steps alone: the median of each launch's steady windows, each window as slow as its slowest rank. "
        "Compilation, evaluation and checkpoints are left out and reported under \"Where time went\".")
ELSEWHERE = ("Training steps as the tool that measured them timed them. Where it keeps single times, the median of "
             "each launch; warm-up is left out where it tells which it was.")
GPU_COLUMNS: dict[str, tuple[str, Callable[[Estimate], str]]] = {
    "model_flops_utilization": ("model FLOPs utilisation", percentage),
    "joules_per_example": ("energy per example, mJ", lambda found: estimated(found.scaled(1000))),
    "gpu_watts": ("power of a GPU, W", estimated),
    "gpu_clock_share": ("clock, of its highest", percentage),
    "gpu_busy_share": ("GPU busy", percentage),
}
GPU_NOTE = (" Energy: of the GPUs alone, by their own counters. Power, clock and use: read after each window, by meters"
            " averaging over up to a second; clock and use of the worst GPU. A low clock is a GPU held "
            "back by heat or by its power limit.")
UTILIZATION = ("Model FLOPs utilisation: 3 times the operations of a forward pass, times examples per second, over the "
               "peak rate of the GPUs in the arithmetic of the products, without sparsity. ")
INTERVAL = "Bars: 95 % intervals over launches, of the mean logarithm"


@section("throughput", "Throughput against batch", origin="any", needs=TIMING_LINES)
def build(findings: Findings) -> Section | None:
    """Return examples per second against batch, per placement."""
    runs = _named(findings.study.timing)
    if runs.empty:
        return None
    figures = []
    for index, (experiment, rows) in enumerate(runs.groupby("experiment", sort=False)):
        if index < MOST_PANELS:
            figures.append(_throughput_panel(f"t{index}", str(experiment), rows))
    peaks = list(utilization_notes(findings.results, runs)) if findings.origin == OWN else []
    text = (HERE if findings.origin == OWN else ELSEWHERE, *([UTILIZATION + "; ".join(peaks) + "."] if peaks else []))
    return Section(text, tuple(figures), _throughput_table(runs))


def _named(runs: pd.DataFrame) -> pd.DataFrame:
    """`strategy` names the transport and several nodes as well; `bare_strategy` does not."""
    nodes = " on " + runs["nodes"].astype(str) + " nodes"
    return runs.assign(bare_strategy=runs["strategy"],
                       strategy=strategy_names(runs) + nodes.where(runs["nodes"] > 1, ""))


def _batch_column(rows: pd.DataFrame) -> tuple[str, str]:
    weak = rows["scaling"].iloc[0] == "weak"
    return ("replica_batch", "batch per replica") if weak else ("global_batch", "global batch")


def _throughput_panel(name: str, experiment: str, rows: pd.DataFrame) -> Figure:
    column, label = _batch_column(rows)
    series = []
    for (strategy, replicas), own in rows.groupby(["strategy", "replicas"]):
        points = tuple((float(batch), mean_of(launches, "examples_per_second"))
                       for batch, launches in own.groupby(column))
        marker = MARKERS[sorted(rows["replicas"].unique()).index(replicas) % len(MARKERS)]
        series.append(Series(f"{strategy}, {replicas}", role(strategy), points, marker,
                             opacity=1.0 if replicas > 1 else 0.65,
                             runs={float(batch): conditions(launches.assign(strategy=launches["bare_strategy"]))
                                   for batch, launches in own.groupby(column)}))
    first = rows.iloc[0]
    title = f"{heading(first['optimizer'], first['model'], experiment)}: examples per second against {label}"
    panel = Panel(f"{name}-rate", title, Axis(f"{label}, examples", 2, tuple(map(float, rows[column].unique()))),
                  Axis("examples per second", 10), tuple(series))
    counts = [point.n for line in series for _, point in line.points]
    return Figure(panel.name, title, draw_lines(panel),
                  f"{_trained(first)}; experiment {experiment}; labels: strategy, replicas. "
                  f"{INTERVAL}, {launches_text(counts)}.")


def _trained(first: pd.Series) -> str:
    """`adam on mlp_128, glyphs`, of imported runs as much of it as is told."""
    optimizer = f"{first['optimizer']} on " if first["optimizer"] else ""
    return ", ".join(part for part in (f"{optimizer}{first['model'] or 'a model that is not told'}", first["dataset"])
                     if part)


def _throughput_table(runs: pd.DataFrame) -> tuple[Table, ...]:
    gpus = {name: column for name, column in GPU_COLUMNS.items() if runs[name].notna().any()}
    rows, apart = [], {point.key: point.told for point in unsteady_points(runs)}
    for (experiment, strategy, replicas, batch), own in runs.groupby(
            ["experiment", "strategy", "replicas", "global_batch"], sort=False):
        spread = own["window_spread"].max()
        told = apart.get(tuple(own.iloc[0][POINT]), "")
        row = (experiment, strategy, replicas, f"{batch:,}", f"{own['replica_batch'].iloc[0]:,}",
               estimated(mean_of(own, "examples_per_second")), estimated(mean_of(own, "step_seconds").scaled(1000)),
               f"{percent(spread)}" + (" (unstable)" if spread > 0.1 else "") if spread == spread else "",
               f"unstable: {told}" if told else "steady" if len(own) > 1 else "one launch")
        rows.append((*row, *(write(mean_of(own, name)) for name, (_, write) in gpus.items())))
    header = ("experiment", "strategy", "replicas", "global batch", "per replica", "examples per second",
              "step, ms", "largest spread", "over launches")
    return table((*header, *(title for title, _ in gpus.values())), rows,
                 "Geometric mean over launches, Student's 95 % interval of the mean logarithm. Spread: standard "
                 "deviation over mean of one launch's windows; above 10 % the machine was not quiet. Over launches: "
                 "unstable above 10 %, with the launch without which the others agree."
                 + (GPU_NOTE if gpus.keys() - {"model_flops_utilization"} else ""), (2, 3, 4, 7), "Numbers")
