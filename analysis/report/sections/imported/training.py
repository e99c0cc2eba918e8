"""Imported curves: accuracy and loss against epochs, steps or hours, and where each run ends."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from .....benchmarks.schedules.rules import PUBLISHED_RULE
from .....benchmarks.text import counted, duration, number, percent
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import OTHERS, RULES
from ....formatting import Table, table
from ....importers.registry import CONVERGENCE, TRAINING
from ....statistics.estimate import without_interval
from ....study.groups import MOST_PANELS
from ...blocks import Section
from ...builder import section
from ...findings import Findings

MOST_LINES = 8
HEADER = ("task and target", "line", "run", "batch", "model", "on", "time to the target", "epochs", "price",
          "final accuracy", "final loss", "note")
FLUSH_RIGHT = (1, 3, 7, 8, 9, 10)
HOUR = 3600.0
UNITS = (("hours", HOUR, 3 * HOUR), ("minutes", 60.0, 300.0), ("seconds", 1.0, 0.0))  # above so many seconds
METRICS = {"test_top5_accuracy": "top-5 accuracy", "test_accuracy": "test accuracy",
           "validation_accuracy": "validation accuracy", "train_accuracy": "train accuracy"}
LOSSES = {"test_loss": "test loss", "validation_loss": "validation loss", "train_loss": "train loss"}
FEWEST_POINTS = 2  # of a curve; the end alone is in the table
COLOURS = (*OTHERS, *(RULES[name] for name in ("constant", "linear", "sqrt", PUBLISHED_RULE)))


@section("training", "The way and the end of each training", origin="foreign")
def build(findings: Findings) -> Section | None:
    """Return the curves and the times to the target, one run an entry; None without either."""
    results = findings.results
    runs = results.runs[results.runs["kind"].isin((TRAINING, CONVERGENCE))]
    runs = runs[(runs["kind"] == TRAINING) | (runs["total_seconds"] > 0) | runs["seconds_to_target"].notna()]
    if runs.empty:
        return None
    figures, rows = [], []
    for index, (experiment, own) in enumerate(runs.groupby("experiment", sort=False)):
        own = own.assign(on=results.environments["devices"].iloc[own["environment"]].fillna("").to_numpy())
        ordered = own.sort_values(["seconds_to_target", "run_id"], na_position="last", kind="stable")
        if index < MOST_PANELS // 2:
            figures += list(_panels(f"e{index}", str(experiment), ordered, results.evaluations))
        rows += [_row(place + 1, row) for place, row in enumerate(ordered.to_dict("records"))]
    text = (f"{counted(len(runs), 'run')}, each trained once, so without an interval: a repeat would end elsewhere and "
            "take another time. Seconds are those of the tool's own clock, on the hardware named, with or without "
            "evaluation as the tool counts it; different hardware and settings make these no comparison of batch "
            "sizes.",)
    return Section(text, tuple(figures), _table(rows))


def _table(rows: Sequence[tuple[str, ...]]) -> tuple[Table, ...]:
    """Without the columns that no run has a value for."""
    kept = [at for at in range(len(HEADER)) if any(row[at] for row in rows)]
    return table([HEADER[at] for at in kept], [[row[at] for at in kept] for row in rows],
                 "In order of the time to the target, then of the name. Price: that time at the entry's own price per "
                 "hour. Final: of the test, else of the validation, else of the training. Lines: the first "
                 f"{MOST_LINES} with a curve.", [place for place, at in enumerate(kept) if at in FLUSH_RIGHT],
                 longest=80)


def _row(place: int, row: Mapping[Hashable, object]) -> tuple[str, ...]:
    seconds, price, epochs, batch = (float(str(row[name])) for name in (
        "seconds_to_target", "price_per_hour", "epochs_to_target", "global_batch"))
    accuracy, loss = (_final(row, names) for names in (METRICS, LOSSES))
    return (str(row["experiment"]), str(place), str(row["run_id"]), f"{batch:,.0f}" if batch > 0 else "",
            str(row["model"]), str(row["on"]),
            duration(seconds) if math.isfinite(seconds) else "", _known(epochs),
            f"{price * seconds / HOUR:.2f}" if math.isfinite(price * seconds) else "",
            percent(accuracy, 2) if math.isfinite(accuracy) else "", _known(loss), str(row["flags"]))


def _final(row: Mapping[Hashable, object], names: Iterable[str]) -> float:
    """The first of these that the run ended with."""
    ends = (float(str(row.get(name, math.nan))) for name in names)
    return next((value for value in ends if math.isfinite(value)), math.nan)


def _known(value: float) -> str:
    return number(value) if math.isfinite(value) else ""


def _panels(name: str, experiment: str, runs: pd.DataFrame, evaluations: pd.DataFrame) -> Iterator[Figure]:
    """An accuracy and a loss, each against the ways that are known, the metric that the target is about first."""
    own = evaluations[evaluations["run_id"].isin(runs["run_id"])]
    longest = float(own["elapsed_seconds"].max())
    unit, each = next(((name, size) for name, size, least in UNITS if longest > least), ("seconds", 1.0))
    ways = [("epoch", "epochs", 1.0), ("elapsed_seconds", unit, each)]
    if not own["epoch"].notna().any():
        ways.insert(0, ("step", "steps", 1.0))
    for metrics in (METRICS, LOSSES):
        metric = next((column for column in metrics if own[column].notna().sum() >= FEWEST_POINTS), "")
        for way in ways if metric else ():
            yield from _panel(f"{name}{'-loss' if metrics is LOSSES else ''}", experiment, runs, own, way, metric)


def _panel(name: str, experiment: str, runs: pd.DataFrame, own: pd.DataFrame, way: tuple[str, str, float],
           metric: str) -> Iterator[Figure]:
    x, label, size = way
    series = tuple(_series(runs, own, x, size, metric))
    if not series:
        return
    words = {**METRICS, **LOSSES}[metric]
    title = f"{experiment}: {words} against {label}"
    panel = Panel(f"{name}-{x.partition('_')[0]}", title, Axis(label, 10 if x == "elapsed_seconds" else 0),
                  Axis(words, percent=metric in METRICS), series)
    yield Figure(panel.name, title, draw_lines(panel), "Labels: the lines of the table, "
                 f"{counted(len(series), 'run')}, n = 1 each.")


def _series(runs: pd.DataFrame, evaluations: pd.DataFrame, x: str, size: float, metric: str) -> Iterator[Series]:
    curves = {str(run): rows for run, rows in evaluations.groupby("run_id")}
    shown = [(place, str(run)) for place, run in enumerate(runs["run_id"]) if str(run) in curves]
    for index, (place, run) in enumerate(shown[:MOST_LINES]):
        across = curves[run][x].to_numpy(dtype=np.float64) / size
        up = curves[run][metric].to_numpy(dtype=np.float64)
        points = tuple((float(a), without_interval(float(b), 1)) for a, b in zip(across, up)
                       if math.isfinite(a) and math.isfinite(b))
        if points:
            yield Series(str(place + 1), COLOURS[index % len(COLOURS)], points, band=True)
