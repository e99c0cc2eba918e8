"""Where the seconds of the runs went: start, data, building, training, evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from .....benchmarks.text import counted, duration, number
from ....figures.bars import draw_stack
from ....figures.drawing import Figure
from ....figures.theme import OTHERS, RULES, STRATEGIES, Role
from ....formatting import table
from ...blocks import Section
from ...builder import section
from ...findings import Findings

PARTS: tuple[tuple[str, str, Role], ...] = (
    ("start", "start_seconds", Role("#8d99a6", "#6f7c89")), ("data", "data_seconds", OTHERS[1]),
    ("build", "build_seconds", STRATEGIES["single"]),
    ("trace", "trace_seconds", RULES["tuned"]), ("train", "train_seconds", OTHERS[0]),
    ("evaluate", "evaluate_seconds", OTHERS[2]), ("probe", "probe_seconds", OTHERS[3]))
MOST_BARS = 16


@section("time", "Where time went", origin="own")
def build(findings: Findings) -> Section | None:
    """Return seconds by what they went into, per experiment."""
    runs = findings.by_run
    runs = runs[runs["total_seconds"] > 0]
    if runs.empty:
        return None
    columns = [column for _, column, _ in PARTS]
    sums = runs.groupby("experiment", sort=False)[[*columns, "spent_seconds"]].sum()
    sums["runs"] = runs.groupby("experiment", sort=False).size()
    other = (sums["spent_seconds"] - sums[columns].sum(axis=1)).clip(lower=0)
    shown = sums.head(MOST_BARS)
    parts = [(name, role, shown[column].fillna(0).tolist()) for name, column, role in PARTS]
    parts.append(("other", Role("#c3cad2", "#48525c"), other.head(MOST_BARS).tolist()))
    figure = Figure("time-spent", "Seconds of all runs by what they went into", draw_stack(
        "time-spent", "Seconds of all runs by what they went into", "seconds, summed over runs",
        [str(name) for name in shown.index], parts),
        f"Sums over {counted(len(runs), 'run')}: each run's own clock from claim to record, and start, the launching "
        "and importing of its process, which only the first run of a process pays.")
    rows = [(name, int(row["runs"]), *(duration(row[column]) for column in columns), duration(other[name]),
             duration(row["spent_seconds"])) for name, row in sums.iterrows()]
    return Section(tuple(_wall(runs)), (figure,), table(
        ("experiment", "runs", *(name for name, _, _ in PARTS), "other", "total"), rows,
        "Per run, these are columns of results.csv.", range(1, 11), "Numbers"))


def _wall(runs: pd.DataFrame) -> Iterator[str]:
    ended = pd.to_datetime(runs["finished"], errors="coerce", utc=True)
    began = ended - pd.to_timedelta(runs["spent_seconds"], unit="s")
    wall = (ended.max() - began.min()).total_seconds() if ended.notna().any() else math.nan
    total, start = float(runs["spent_seconds"].sum()), float(runs["start_seconds"].sum())
    if not wall > 0:
        return
    yield (f"{counted(len(runs), 'run')} took {duration(total)} of their processes' time, {duration(start)} of it to "
           f"start them, within {duration(wall)} from the first start to the last end: {number(total / wall, 2)} at a "
           f"time on average. For {duration(_idle(began, ended))} of it nothing ran.")


def _idle(began: pd.Series, ended: pd.Series) -> float:
    """Seconds between the first start and the last end in which no run was in progress."""
    spans = pd.DataFrame({"began": began, "ended": ended}).dropna().sort_values("began")
    until = spans["ended"].cummax().shift()
    return float((spans["began"] - until).dt.total_seconds().clip(lower=0).sum())
