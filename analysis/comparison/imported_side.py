"""One side of a comparison from imported runs: what was timed, and accuracies that have a seed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from ..importers.imported_run import ImportedRun
from ..importers.registry import TIMING
from ..statistics.difference import Summary
from ..tables.outcome import DEFAULT_MARGIN
from .changes import Cell, Side

BENCHMARKS = "pytest-benchmark's times"
METRICS = {"throughput": "examples_per_second", "accuracy": "test_accuracy"}
NAMED = ("experiment", "model", "optimizer", "placement", "global_batch", "rule", "scaling")


def imported_side(name: str, form: str, runs: Iterable[ImportedRun]) -> Side:
    """Return the side that imported runs make. Rounds of a benchmark, launches of a timing point and seeds of an arm
    are repeats; runs of other kinds are left out, because nothing in them can be compared."""
    cells: dict[tuple[str, str], Cell] = {}
    groups: dict[tuple[str, str], list[ImportedRun]] = defaultdict(list)
    for run in runs:
        kind = str(run.columns["kind"])
        if kind == TIMING:
            cells["seconds", str(run.columns["experiment"])] = _timing(run)
        elif kind in METRICS:
            groups[METRICS[kind], _label(run.columns)].append(run)
    cells |= {(metric, label): _cell(metric, own) for (metric, label), own in groups.items()}
    return Side(name, BENCHMARKS if form == "pytest-benchmark" else f"imported from {form}", cells, DEFAULT_MARGIN)


def _timing(run: ImportedRun) -> Cell:
    values: dict[Hashable, float] = {row["start_step"]: float(row["seconds"]) for row in run.windows}
    given = run.words.get("conditions")
    given = given if isinstance(given, Mapping) else {}
    conditions = {str(key): frozenset((str(text),)) for key, text in given.items()}
    known = [run.words.get(key) for key in ("mean", "stddev", "rounds")]
    mean, spread, rounds = (float(value) if isinstance(value, (int, float)) else math.nan for value in known)
    bare = not values and mean > 0 and rounds >= 1
    return Cell("seconds", values, conditions, summary=Summary(mean, spread, int(rounds)) if bare else None)


def _label(columns: Mapping[str, Any]) -> str:
    return ", ".join(f"batch {columns[name]}" if name == "global_batch" else str(columns[name]) for name in NAMED
                     if columns.get(name) and not (name == "model" and columns[name] == columns.get("experiment")))


def _cell(metric: str, runs: Iterable[ImportedRun]) -> Cell:
    values: dict[Hashable, float] = {}
    lost: dict[Hashable, str] = {}
    conditions: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        value, status = run.columns.get(metric), str(run.columns["status"])
        repeat = (run.columns.get("seed"), run.columns.get("launch"), run.environment.get("devices"))
        if isinstance(value, (int, float)):
            values[repeat] = float(value)
        else:
            lost[repeat] = "completed without it" if status == "completed" else status
        for key, text in run.environment.items():
            conditions[key].add(str(text))
    return Cell(metric, values, {key: frozenset(texts) for key, texts in conditions.items()}, lost)
