"""Throughput and efficiency against batch and replicas, weak and strong, per strategy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from .content import Figure, Section, Table, estimated, number, percentage, table
from .estimate import Estimate, without_interval
from .groups import MOST_PANELS, finite, launches_text, mean_of
from .plots import MARKERS, role
from .plots_lines import Axis, Panel, Series, draw_lines
from .scaling_laws import ScalingPoint, strong_scaling, weak_scaling
from .scalability import DISTINCT_COUNTS, fit_amdahl, fit_usl
from .table import Results

DRIFT_GUARD = "drift_guard"
NOTHING = "No timing run has finished, so throughput and scaling are not known."
INTERVAL = "Bars: 95 % t intervals over launches"


@dataclass(frozen=True)
class Scaling:
    """One strategy of one experiment at one fixed batch, over replicas."""

    strategy: str
    batch: int
    points: tuple[ScalingPoint, ...]
    rates: pd.DataFrame


def timing_runs(results: Results) -> pd.DataFrame:
    """Completed timing runs, the drift guard left out; `strategy` names the transport as well."""
    runs = results.runs
    runs = runs[(runs["kind"] == "throughput") & (runs["experiment"] != DRIFT_GUARD)]
    runs = runs[runs["examples_per_second"] > 0]
    joined = runs["strategy"] + ("-" + runs["transport"]).where(runs["transport"] != "", "")
    return runs.assign(strategy=joined)


def throughput(results: Results) -> Section:
    """Examples per second against batch, per placement."""
    runs = timing_runs(results)
    if runs.empty:
        return Section("throughput", "Throughput against batch", (NOTHING,))
    figures = []
    for index, (experiment, rows) in enumerate(runs.groupby("experiment", sort=False)):
        if index < MOST_PANELS:
            figures.append(_throughput_panel(f"t{index}", str(experiment), rows))
    text = ("Training steps alone: the median of each launch's steady windows, each window as slow as its slowest "
            "rank. Compilation, evaluation and checkpoints are left out and reported under \"Where time went\".",)
    return Section("throughput", "Throughput against batch", text, tuple(figures), _throughput_table(runs))


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
                  f"{first['optimizer']} on {first['model']}, {first['dataset']}; labels: strategy, replicas. "
                  f"{INTERVAL}, {launches_text(counts)}.")


def _throughput_table(runs: pd.DataFrame) -> tuple[Table, ...]:
    rows = []
    for (experiment, strategy, replicas, batch), own in runs.groupby(
            ["experiment", "strategy", "replicas", "global_batch"], sort=False):
        spread = own["window_spread"].max()
        rows.append((experiment, strategy, replicas, f"{batch:,}", f"{own['replica_batch'].iloc[0]:,}",
                     estimated(mean_of(own, "examples_per_second")),
                     estimated(mean_of(own, "step_seconds").scaled(1000)),
                     f"{spread:.0%}" + (" (unstable)" if spread > 0.1 else "") if spread == spread else ""))
    return table(("experiment", "strategy", "replicas", "global batch", "per replica", "examples per second",
                  "step, ms", "largest spread"), rows,
                 "Mean over launches, 95 % interval, n launches. Spread: standard deviation over mean of one launch's "
                 "windows; above 10 % the machine was not quiet.", (2, 3, 4, 7), "Numbers")


def scaling(results: Results) -> Section:
    """Weak and strong efficiency against a named baseline; above 100 % is flagged, never clamped."""
    title = "Scaling over replicas"
    runs = timing_runs(results)
    runs = runs[runs["scaling"].isin(["weak", "strong"])]
    if runs.empty or runs["replicas"].nunique() < 2:
        return Section("scaling", title, ("No scaling experiment with two or more replica counts has finished, so "
                                          "efficiency is not known.",))
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = []
    warnings: list[str] = []
    for index, ((experiment, kind), own) in enumerate(runs.groupby(["experiment", "scaling"], sort=False)):
        found = [item for item in _scalings(str(kind), own) if len(item.points) > 1]
        if index < MOST_PANELS // 2 and found:
            figures += list(_efficiency_panels(f"s{index}", str(experiment), str(kind), found))
        rows += [row for item in found for row in _scaling_rows(str(experiment), item)]
        warnings += [f"{experiment}, {item.strategy}, batch {item.batch:,}, {point.replicas} replicas: {point.warning}."
                     for item in found for point in item.points if point.warning]
    text = ["Weak: the batch per replica is fixed, efficiency E = X(p) / (p X(1)). Strong: the global batch is fixed, "
            "E = T(1) / (p T(p)). The baseline is the same strategy with the fewest replicas measured, on the same "
            "code path. Values above 100 % are shown as they are and listed as suspect."]
    text += _laws(runs)
    return Section("scaling", title, tuple(text), tuple(figures), table(
        ("experiment", "strategy", "fixed batch", "replicas", "baseline", "speed-up", "efficiency", "Karp-Flatt"),
        rows, "Ratio of the means over launches with its 95 % interval (Fieller). Karp-Flatt: the serial share that "
        "explains the speed-up; negative where it is more than linear.", (2, 3, 4), "Numbers"), tuple(warnings))


def _scalings(kind: str, rows: pd.DataFrame) -> Iterator[Scaling]:
    column = "replica_batch" if kind == "weak" else "global_batch"
    for (strategy, batch), own in rows.groupby(["strategy", column]):
        measure = "examples_per_second" if kind == "weak" else "step_seconds"
        launches = {int(replicas): finite(group, measure) for replicas, group in own.groupby("replicas")}
        points = weak_scaling(launches) if kind == "weak" else strong_scaling(launches)
        yield Scaling(str(strategy), int(batch), points, own)


def _efficiency_panels(name: str, experiment: str, kind: str, found: list[Scaling]) -> Iterator[Figure]:
    label = "batch per replica" if kind == "weak" else "global batch"
    largest = max(point.replicas for item in found for point in item.points)
    lines: dict[tuple[str, int], list[tuple[float, Estimate]]] = {}
    for item in found:
        for point in item.points[1:]:
            lines.setdefault((item.strategy, point.replicas), []).append((float(item.batch), point.efficiency))
    series = tuple(Series(f"{strategy}, {replicas}" if largest > 2 else strategy, role(strategy),
                          tuple(points), MARKERS[index % len(MARKERS)])
                   for index, ((strategy, replicas), points) in enumerate(lines.items()))
    batches = tuple(float(item.batch) for item in found)
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


def _replica_panel(name: str, experiment: str, kind: str, found: list[Scaling], launches: str) -> Figure:
    """Speed-up against replicas at the smallest and the largest batch of each strategy."""
    series = []
    for strategy in dict.fromkeys(item.strategy for item in found):
        own = sorted((item for item in found if item.strategy == strategy), key=lambda item: item.batch)
        for item in dict.fromkeys((own[0].batch, own[-1].batch)):
            chosen = next(each for each in own if each.batch == item)
            series.append(Series(f"{strategy}, {item:,}", role(strategy), tuple(
                (float(point.replicas), point.speedup) for point in chosen.points),
                "o" if item == own[-1].batch else "v", opacity=1.0 if item == own[-1].batch else 0.6))
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


def _scaling_rows(experiment: str, item: Scaling) -> Iterator[tuple[str, ...]]:
    for point in item.points:
        if point.replicas != point.baseline_replicas:
            yield (f"{experiment} ({point.kind})", item.strategy, f"{item.batch:,}", str(point.replicas),
                   str(point.baseline_replicas), estimated(point.speedup),
                   percentage(point.efficiency) + (" above 100 %" if point.warning else ""),
                   estimated(point.karp_flatt))


def _laws(runs: pd.DataFrame) -> list[str]:
    """Amdahl and USL where enough replica counts were measured, else one sentence that says not."""
    sentences = []
    for (experiment, _, strategy, batch), own in runs.assign(fixed=runs["replica_batch"].where(
            runs["scaling"] == "weak", runs["global_batch"])).groupby(
                ["experiment", "scaling", "strategy", "fixed"], sort=False):
        if own["replicas"].nunique() < DISTINCT_COUNTS:
            continue
        counts, rates = own["replicas"].to_numpy(float), own["examples_per_second"].to_numpy(float)
        usl, amdahl = fit_usl(counts, rates), fit_amdahl(counts, rates)
        sentences.append(f"{experiment}, {strategy}, batch {batch:,}: Universal Scalability Law contention "
                         f"{estimated(usl.contention)}, coherency {estimated(usl.coherency)}, throughput peaks at "
                         f"{number(usl.peak_replicas.value)} replicas; Amdahl's serial share "
                         f"{estimated(amdahl.contention)}. {usl.note}".strip())
    counts_seen = int(runs["replicas"].nunique())
    return sentences[:12] or [f"Amdahl's law and the Universal Scalability Law are not fitted: not enough points "
                              f"({counts_seen} distinct replica counts, the laws need {DISTINCT_COUNTS})."]
