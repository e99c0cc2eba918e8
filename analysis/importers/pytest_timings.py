"""Times of pytest-benchmark as runs: one per test, a window per round."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median, stdev
from typing import Any

from ..pytest_benchmark import HINT, Benchmark, read_benchmarks
from .files import Sources
from .found import TIMING, Found, ImportedRun, Options, label

QUESTION = "How long does one round of each benchmark take?"


def read(sources: Sources, options: Options) -> Found:
    """Raises RecordError for a file that pytest-benchmark did not write."""
    sources.content(sources.path, HINT.removeprefix("give "))
    found = read_benchmarks(sources.path)
    environment = {"host": found.facts.get("host"), "processor": found.machine.get("processor"),
                   "python": found.machine.get("python_version")}
    known = {key: label(value) for key, value in environment.items() if value and value != "not recorded"}
    bare = sum(not one.seconds for one in found.benchmarks)
    notes = (f"{bare} of {len(found.benchmarks)} benchmarks come without the seconds of their rounds (the file keeps "
             "the summary alone): their mean stands for the median.",) if bare else ()
    return Found(tuple(_run(one, known, found.machine) for one in found.benchmarks), QUESTION, notes)


def _run(one: Benchmark, environment: Mapping[str, str], conditions: Mapping[str, str]) -> ImportedRun:
    windows = tuple({"rank": 0, "phase": 0, "start_step": index, "steps": 1, "seconds": value, "steady": True}
                    for index, value in enumerate(one.seconds))
    name = label(one.name) or "unnamed"
    columns: dict[str, Any] = {"run_id": name, "status": "completed", "experiment": name, "kind": TIMING,
                               "step_seconds": median(one.seconds) if one.seconds else one.summary.mean}
    if len(one.seconds) > 1:
        columns["window_spread"] = stdev(one.seconds) * len(one.seconds) / sum(one.seconds)
    return ImportedRun(columns, windows=windows, environment=environment,
                       words={"conditions": {**conditions, **one.options}, "rounds": one.summary.n,
                              "mean": one.summary.mean, "stddev": one.summary.std})
