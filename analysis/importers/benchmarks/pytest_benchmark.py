"""Times of pytest-benchmark as runs: one per test, a window per round."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, stdev
from typing import Any

from ....benchmarks.errors import RecordError
from ....benchmarks.records.json_files import load_json
from ...statistics.difference import Summary
from ..detection import Sample
from ..imported_run import Found, ImportedRun, label, Options
from ..registry import TIMING
from ..sources import Sources

QUESTION = "How long does one round of each benchmark take?"


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins as pytest-benchmark's JSON does."""
    return sample.first_line.lstrip().startswith("{") and sample.holds('"machine_info"') and (
        sample.holds('"benchmarks"') or sample.holds('"commit_info"'))


def read(sources: Sources, options: Options) -> Found:
    """Return one run per benchmark, its step_seconds the median round, else the mean; one window per round.

    Raises RecordError for a file that pytest-benchmark did not write.
    """
    sources.content(sources.path, HINT.removeprefix("give "))
    found = read_benchmarks(sources.path)
    environment = {"host": found.facts.get("host"), "processor": found.machine.get("processor"),
                   "python": found.machine.get("python_version")}
    known = {key: label(value) for key, value in environment.items() if value and value != "not recorded"}
    bare = sum(math.isnan(one.median) for one in found.benchmarks)
    notes = (f"{bare} of {len(found.benchmarks)} benchmarks come without the seconds of their rounds and without their "
             "median: their mean stands for it.",) if bare else ()
    return Found(tuple(_run(one, known, found.machine) for one in found.benchmarks), QUESTION, notes)


def _run(one: Benchmark, environment: Mapping[str, str], conditions: Mapping[str, str]) -> ImportedRun:
    windows = tuple({"rank": 0, "phase": 0, "start_step": index, "steps": 1, "seconds": value, "steady": True}
                    for index, value in enumerate(one.seconds))
    name = label(one.name) or "unnamed"
    columns: dict[str, Any] = {"run_id": name, "status": "completed", "experiment": name, "kind": TIMING,
                               "step_seconds": one.summary.mean if math.isnan(one.median) else one.median}
    if len(one.seconds) > 1:
        columns["window_spread"] = stdev(one.seconds) * len(one.seconds) / sum(one.seconds)
    return ImportedRun(columns, windows=windows, environment=environment,
                       words={"conditions": {**conditions, **one.options}, "rounds": one.summary.n,
                              "mean": one.summary.mean, "stddev": one.summary.std})


HINT = "give a file that pytest wrote with --benchmark-json"
MOST_BENCHMARKS = 100_000
# No clock shows less and no test takes longer; what lies outside is no measurement.
SHORTEST_SECONDS, LONGEST_SECONDS = 1e-15, 1e9


@dataclass(frozen=True)
class Benchmark:
    """One test. `seconds`: per round, empty where the file keeps the summary alone; `median`: of the rounds, NaN where
    the file has neither; `options`: how it was timed."""

    name: str
    seconds: tuple[float, ...]
    median: float
    summary: Summary
    options: Mapping[str, str]


@dataclass(frozen=True)
class BenchmarkFile:
    """Benchmarks of one file. machine: what must be alike to compare two files; facts: host and commit, which are
    reported only."""

    benchmarks: tuple[Benchmark, ...]
    machine: Mapping[str, str]
    facts: Mapping[str, str]


def read_benchmarks(path: Path) -> BenchmarkFile:
    """Return the benchmarks of a file, their machine and facts; times are in seconds.

    Raises RecordError, with one reason, for a file that cannot be believed.
    """
    try:
        given = load_json(path)
        benchmarks = given.get("benchmarks") if isinstance(given, dict) else None
        if not isinstance(benchmarks, list) or not benchmarks or len(benchmarks) > MOST_BENCHMARKS:
            raise RecordError("it holds no list of benchmarks")
        found = tuple(_benchmark(item) for item in benchmarks)
        twice = len(found) - len({one.name for one in found})
        if twice:
            raise RecordError(f"{twice} benchmarks have the name of another")
    except RecordError as error:
        raise RecordError(f"{path}: {error}; {HINT}.") from None
    machine, commit = (given.get(name) if isinstance(given.get(name), dict) else {}
                       for name in ("machine_info", "commit_info"))
    return BenchmarkFile(found, _machine(machine), {"host": _text(machine.get("node")),
                                                    "commit": _text(commit.get("id"))})


def _benchmark(item: object) -> Benchmark:
    stats = item.get("stats") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(stats, dict):
        raise RecordError("a benchmark has no stats")
    name = item.get("fullname") or item.get("name")
    if not isinstance(name, str) or len(name) > 1000:
        raise RecordError("a benchmark has no name")
    data = stats.get("data")
    seconds = tuple(_seconds(name, value) for value in data) if isinstance(data, list) else ()
    rounds = stats.get("rounds")
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 1 <= rounds < 2**53:
        raise RecordError(f"{name[:80]}: rounds={str(rounds)[:40]} is no count")
    summary = Summary(_seconds(name, stats.get("mean")), _spread(stats.get("stddev"), rounds), rounds)
    options, kept = item.get("options"), stats.get("median")
    middle = median(seconds) if seconds else math.nan if kept is None else _seconds(name, kept)
    return Benchmark(name, seconds, middle, summary, {f"options.{key}": _text(value) for key, value in options.items()}
                     if isinstance(options, dict) else {})


def _spread(value: object, rounds: int) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (
            0 <= value <= LONGEST_SECONDS) or rounds < 2:
        return math.nan
    return float(value)


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (
            SHORTEST_SECONDS <= value <= LONGEST_SECONDS):
        raise RecordError(f"{name[:80]}: {str(value)[:40]} is no time in seconds")
    return float(value)


def _machine(machine: Mapping[str, Any]) -> dict[str, str]:
    cpu = machine.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    return {"processor": _text(cpu.get("brand_raw") or machine.get("processor") or None),
            "cores": _text(cpu.get("count")), "machine": _text(machine.get("machine")),
            "python_implementation": _text(machine.get("python_implementation")),
            "python_version": _text(machine.get("python_version"))}


def _text(value: object) -> str:
    return "not recorded" if value is None else (value if isinstance(value, str) else json.dumps(value))[:200]
