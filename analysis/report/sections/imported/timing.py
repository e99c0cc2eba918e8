"""Imported times of pytest-benchmark: the rounds of each benchmark."""

from __future__ import annotations

import math

import numpy as np

from .....benchmarks.text import counted, number, percent
from ....figures.bars import draw_rows, Row
from ....figures.drawing import Figure
from ....figures.theme import OTHERS
from ....formatting import table
from ....importers.registry import TIMING
from ....statistics.estimate import without_interval
from ...blocks import Section
from ...builder import section
from ...findings import Findings

MOST_ROWS = 16
LONGEST_LABEL = 28
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


@section("timing", "Times of one round", origin="foreign")
def build(findings: Findings) -> Section | None:
    """Return the rounds' times of each benchmark; None without such times."""
    results = findings.results
    runs = results.runs[results.runs["kind"] == TIMING]
    if runs.empty:
        return None
    windows = {str(run): rows["seconds"].to_numpy(dtype=np.float64)
               for run, rows in results.windows.groupby("run_id")}
    rows = []
    for run in runs.to_dict("records"):
        rounds = windows.get(str(run["run_id"]), np.empty(0))
        ends = (written(float(rounds.min())), written(float(rounds.max()))) if rounds.size else ("", "")
        spread = float(run["window_spread"])
        rows.append((run["run_id"], written(float(run["step_seconds"])), *ends,
                     f"{percent(spread)}" if math.isfinite(spread) else "", f"{rounds.size:,}" if rounds.size else ""))
    name, title = "timing-medians", "Seconds of one round"
    shown = [Row(_short(str(run)), without_interval(float(seconds), 1), OTHERS[0]) for run, seconds in
             zip(runs["run_id"][:MOST_ROWS], runs["step_seconds"])]
    figure = Figure(name, title, draw_rows(name, title, "seconds", shown, log=True),
                    f"Medians over the rounds of one process, {counted(len(shown), 'benchmark')} of {len(runs):,}.")
    return Section((
        "Rounds of one process follow one another on the same machine and share its state, so they give no interval "
        "for the next process: compare two files with `batchscale compare`.",), (figure,), table(
        ("benchmark", "median", "least", "most", "spread", "rounds"), rows,
        "Spread: standard deviation over mean of the rounds. Where a file keeps no rounds, its mean stands for the "
        "median.", (1, 2, 3, 4, 5), longest=200))


def written(seconds: float) -> str:
    """Seconds in the unit that leaves 1 or more.

    >>> written(0.0025)
    '2.50 ms'
    """
    for size, unit in UNITS:
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{seconds:.2g} s"


def _short(name: str) -> str:
    last = name.rsplit("::", 1)[-1]
    return last if len(last) <= LONGEST_LABEL else f"{last[:LONGEST_LABEL - 3]}..."
