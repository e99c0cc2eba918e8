"""Drift of the machine between the start and the end of the plan."""

from __future__ import annotations

import math

import numpy as np

from .....benchmarks.text import number
from ....tables.results import DRIFT_GUARD, Results
from ...blocks import Section
from ...builder import section, TIMING_LINES
from ...findings import Findings


def drift_ratio(results: Results) -> float:
    """Return the throughput of the reference run at the end over that at the start; NaN unless both are there."""
    guard = results.runs[results.runs["experiment"] == DRIFT_GUARD].sort_values("launch")
    rates = guard["examples_per_second"].to_numpy(dtype=np.float64)
    return float(rates[-1] / rates[0]) if len(rates) > 1 and np.all(np.isfinite(rates)) else math.nan


@section("drift", "Drift of the machine", origin="own", needs=TIMING_LINES)
def build(findings: Findings) -> Section | None:
    """Return the speed of the same short timing run at the start and at the end of the plan."""
    results = findings.results
    ratio = drift_ratio(results)
    if not math.isfinite(ratio):
        return None
    guard = results.runs[results.runs["experiment"] == DRIFT_GUARD].sort_values("launch")
    rates = " and ".join(number(rate) for rate in guard["examples_per_second"])
    text = (f"The reference run did {rates} examples per second at the start and at the end, {number(ratio)} times as "
            f"many at the end (n = {len(guard)} launches, so without an interval).",)
    return Section(text)
