"""Throughput and efficiency against batch and replicas, weak and strong, per strategy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import MARKERS, estimated, percentage, Table, table
from ....laws.scalability import DISTINCT_COUNTS
from ....statistics.estimate import Estimate, without_interval
from ....study.groups import MOST_PANELS, launches_text, mean_of
from ....study.timing.scaling import Scaling, strategy_names
from ....tables.results import Results
from ....tables.selections import timing_runs
from ...blocks import Section

HERE = ("Training steps alone: the median of each launch's steady windows, each window as slow as its slowest rank. "
        "Compilation, evaluation and checkpoints are left out and reported under \"Where time went\".")
ELSEWHERE = ("Training steps as the tool that measured them timed them. Where it keeps single times, the median of "
             "each launch; warm-up is left out where it tells which it was.")
NOTHING = "No timing run has finished, so throughput and scaling are not known."
GPU_COLUMNS: dict[str, tuple[str, Callable[[Estimate], str]]] = {
    "joules_per_example": ("energy per example, mJ", lambda found: estimated(found.scaled(1000))),
    "gpu_watts": ("power of a GPU, W", estimated),
    "gpu_clock_share": ("clock, of its highest", percentage),
    "gpu_busy_share": ("GPU busy", percentage),
}
GPU_NOTE = (" Energy: of the GPUs alone, by their own counters. Power, clock and use: read after each window, by meters"
            " averaging over up to a second; clock and use of the worst GPU. A low clock is a GPU held "
            "back by heat or by its power limit.")
INTERVAL = "Bars: 95 % t intervals over launches"


def throughput(results: Results) -> Section:
    """Examples per second against batch, per placement."""
    runs = _named(timing_runs(results))
    if runs.empty:
        return Section("throughput", "Throughput against batch", (NOTHING,))
    figures = []
    for index, (experiment, rows) in enumerate(runs.groupby("experiment", sort=False)):
        if index < MOST_PANELS:
            figures.append(_throughput_panel(f"t{index}", str(experiment), rows))
    return Section("throughput", "Throughput against batch", (HERE if results.plan.imported is None else ELSEWHERE,),
                   tuple(figures), _throughput_table(runs))


def _named(runs: pd.DataFrame) -> pd.DataFrame:
    """`strategy` names the transport and several nodes as well."""
    nodes = " on " + runs["nodes"].astype(str) + " nodes"
    return runs.assign(strategy=strategy_names(runs) + nodes.where(runs["nodes"] > 1, ""))


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
                             opacity=1.0 if replicas > 1 else 0.65))
    first = rows.iloc[0]
    title = f"{experiment}: examples per second against {label}"
    panel = Panel(f"{name}-rate", title, Axis(f"{label}, examples", 2, tuple(map(float, rows[column].unique()))),
                  Axis("examples per second", 10), tuple(series))
    counts = [point.n for line in series for _, point in line.points]
    return Figure(panel.name, title, draw_lines(panel),
                  f"{_trained(first)}; labels: strategy, replicas. "
                  f"{INTERVAL}, {launches_text(counts)}.")


def _trained(first: pd.Series) -> str:
    """`adam on mlp_128, glyphs`, of imported runs as much of it as is told."""
    optimizer = f"{first['optimizer']} on " if first["optimizer"] else ""
    return ", ".join(part for part in (f"{optimizer}{first['model'] or 'a model that is not told'}", first["dataset"])
                     if part)


def _throughput_table(runs: pd.DataFrame) -> tuple[Table, ...]:
    gpus = {name: column for name, column in GPU_COLUMNS.items() if runs[name].notna().any()}
    rows = []
    for (experiment, strategy, replicas, batch), own in runs.groupby(
            ["experiment", "strategy", "replicas", "global_batch"], sort=False):
        spread = own["window_spread"].max()
        row = (experiment, strategy, replicas, f"{batch:,}", f"{own['replica_batch'].iloc[0]:,}",
               estimated(mean_of(own, "examples_per_second")), estimated(mean_of(own, "step_seconds").scaled(1000)),
               f"{spread:.0%}" + (" (unstable)" if spread > 0.1 else "") if spread == spread else "")
        rows.append((*row, *(write(mean_of(own, name)) for name, (_, write) in gpus.items())))
    header = ("experiment", "strategy", "replicas", "global batch", "per replica", "examples per second",
              "step, ms", "largest spread")
    return table((*header, *(title for title, _ in gpus.values())), rows,
                 "Mean over launches, 95 % interval, n launches. Spread: standard deviation over mean of one launch's "
                 "windows; above 10 % the machine was not quiet."
                 + (GPU_NOTE if gpus else ""), (2, 3, 4, 7), "Numbers")


def scaling(results: Results, found: Sequence[Scaling]) -> Section:
    """Weak and strong efficiency against a named baseline; above 100 % is flagged, never clamped."""
    title = "Scaling over replicas"
    known = [item for item in found if len(item.points) > 1]
    if not known:
        return Section("scaling", title, ("No scaling experiment with two or more replica counts has finished, so "
                                          "efficiency is not known.",))
    figures: list[Figure] = []
    for index, (experiment, kind) in enumerate(dict.fromkeys((item.experiment, item.kind) for item in known)):
        if index < MOST_PANELS // 2:
            own = [item for item in known if (item.experiment, item.kind) == (experiment, kind)]
            figures += list(_efficiency_panels(f"s{index}", experiment, kind, own))
    warnings = tuple(f"{item.experiment}, {item.strategy}, batch {item.fixed_batch:,}, {point.replicas} replicas: "
                     f"{point.warning}." for item in known for point in item.points if point.warning)
    text = ["Weak: the batch per replica is fixed, efficiency E = X(p) / (p X(1)). Strong: the global batch is fixed, "
            "E = T(1) / (p T(p)). The baseline is the same strategy on the fewest replicas measured, by the same "
            "code path. Values above 100 % are shown as they are and listed as suspect.", *_laws(known)]
    return Section("scaling", title, tuple(text), tuple(figures), table(
        ("experiment", "strategy", "fixed batch", "replicas", "baseline", "speed-up", "efficiency", "Karp-Flatt"),
        [row for item in known for row in _scaling_rows(item)],
        "Ratio of the means over launches with its 95 % interval (Fieller). Karp-Flatt: the serial share that "
        "explains the speed-up; negative where it is more than linear.", (2, 3), "Numbers"), warnings)


def _efficiency_panels(name: str, experiment: str, kind: str, found: Sequence[Scaling]) -> Iterator[Figure]:
    label = "batch per replica" if kind == "weak" else "global batch"
    largest = max(point.replicas for item in found for point in item.points)
    lines: dict[tuple[str, int], list[tuple[float, Estimate]]] = {}
    for item in found:
        for point in item.points[1:]:
            lines.setdefault((item.strategy, point.replicas), []).append((float(item.fixed_batch), point.efficiency))
    series = tuple(Series(f"{strategy}, {replicas}" if largest > 2 else strategy, role(strategy),
                          tuple(points), MARKERS[index % len(MARKERS)])
                   for index, ((strategy, replicas), points) in enumerate(lines.items()))
    batches = tuple(float(item.fixed_batch) for item in found)
    base = found[0].points[0].baseline_replicas
    counts = [point.efficiency.n for item in found for point in item.points]
    launches = launches_text(counts)
    title = f"{experiment}: {kind} efficiency against {label}"
    panel = Panel(f"{name}-batch", title, Axis(f"{label}, examples", 2, batches), Axis("efficiency", percent=True),
                  series, (1.0, "ideal"))
    yield Figure(panel.name, title, draw_lines(panel),
                 f"{largest if largest == 2 else 'Several'} replicas against {base} of the same strategy. 95 % "
                 f"intervals of the ratio over launches, {launches}.")
    yield _replica_panel(name, experiment, kind, found, launches)


def _replica_panel(name: str, experiment: str, kind: str, found: Sequence[Scaling], launches: str) -> Figure:
    """Speed-up against replicas at the smallest and the largest batch of each strategy."""
    series = []
    for strategy in dict.fromkeys(item.strategy for item in found):
        own = sorted((item for item in found if item.strategy == strategy), key=lambda item: item.fixed_batch)
        for item in dict.fromkeys((own[0].fixed_batch, own[-1].fixed_batch)):
            chosen = next(each for each in own if each.fixed_batch == item)
            series.append(Series(f"{strategy}, {item:,}", role(strategy), tuple(
                (float(point.replicas), point.speedup) for point in chosen.points),
                "o" if item == own[-1].fixed_batch else "v", opacity=1.0 if item == own[-1].fixed_batch else 0.6))
    counts = sorted({point.replicas for item in found for point in item.points})
    base = counts[0]
    ideal = Series("ideal", role("single"), tuple((float(p), without_interval(p / base, 0)) for p in counts), "")
    title = f"{experiment}: {kind} speed-up against replicas"
    panel = Panel(f"{name}-replicas", title, Axis("replicas", 2, tuple(map(float, counts))),
                  Axis(f"throughput against {base} replica{'s' * (base > 1)}"), (*series, ideal))
    return Figure(panel.name, title, draw_lines(panel), f"Labels: strategy, {_fixed(kind)}; the smallest and the "
                  f"largest batch measured. 95 % intervals of the ratio over launches, {launches}.")


def _fixed(kind: str) -> str:
    return "batch per replica" if kind == "weak" else "global batch"


def _scaling_rows(item: Scaling) -> Iterator[tuple[str, ...]]:
    for point in item.points:
        if point.replicas != point.baseline_replicas:
            yield (f"{item.experiment} ({item.kind})", item.strategy, f"{item.fixed_batch:,}", str(point.replicas),
                   item.baseline, estimated(point.speedup),
                   percentage(point.efficiency) + (", above 100 %" if point.warning else ""),
                   estimated(point.karp_flatt))


def _peak(replicas: Estimate) -> str:
    return f"throughput peaks at {estimated(replicas)} replicas" if math.isfinite(replicas.value) else \
        "no peak of throughput is seen"


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:].rstrip('.')}." if note else ""


def _laws(known: Sequence[Scaling]) -> list[str]:
    """Amdahl and USL where enough replica counts were measured, else one sentence that says not."""
    sentences = []
    for item in known:
        if item.usl is None or item.amdahl is None or math.isnan(item.usl.contention.value):
            continue
        sentences.append(f"{item.experiment}, {item.strategy}, batch {item.fixed_batch:,}: Universal Scalability Law "
                         f"contention {estimated(item.usl.contention)}, coherency {estimated(item.usl.coherency)}, "
                         f"{_peak(item.usl.peak_replicas)}; Amdahl's serial share "
                         f"{estimated(item.amdahl.contention)}. {_sentence(item.usl.note)}".strip())
        sentences[-1] += "".join(f" {name} fitted to fewer replicas predicts {error.size:g} with an error of "
                                 f"{percentage(error.relative_error)}." for name, error in item.held_out.items()
                                 if math.isfinite(error.relative_error.value))
    if sentences and not any("predicts" in sentence for sentence in sentences):
        sentences = [*sentences[:MOST_PANELS - 1], "Neither law was tested on replica counts left out of its fit: that "
                     f"takes {DISTINCT_COUNTS + 1} counts."]
    return sentences[:MOST_PANELS] or [
        "Amdahl's law and the Universal Scalability Law are not fitted: not enough points (they need "
        f"{DISTINCT_COUNTS} distinct replica counts at a fixed global batch)."]
