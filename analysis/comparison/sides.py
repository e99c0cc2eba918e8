"""One side of a comparison, from a results folder or from a file of pytest-benchmark."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...benchmarks.config.strategies import strategy_name
from ...benchmarks.config.objectives import ACCURACY, metric_name
from ...benchmarks.errors import RecordError
from ...benchmarks.records.json_files import read_json
from ...benchmarks.records.store import open_store, Store
from ...benchmarks.runs.run_config import RunConfig
from ...benchmarks.schedules.rules import TUNED_RULE
from ..importers import imported_store
from ..importers.benchmarks.pytest_benchmark import Benchmark, read_benchmarks
from ..tables.outcome import DEFAULT_MARGIN
from ..tables.reading import read
from ..tables.results import DRIFT_GUARD, Results
from ..tables.selections import peak_bytes
from .changes import NOT_RECORDED, REPEATS, Cell, Side
from .imported_side import BENCHMARKS, imported_side

MACHINE = ("processor", "cores", "memory_gib", "devices", "gpus", "tensorflow", "keras", "horovod", "tensor_float_32")
FACTS = ("host", "system", "python", "commit", "gpu_driver", "gpu_libraries")
# What names a configuration; what else differs between two of one name joins it.
NAMED = ("experiment", "kind", "strategy", "transport", "replicas", "nodes", "global_batch", "rule", "scaling")
# Of some runs only, and without effect on what is compared.
APART = ("noise_batches",)
TRIED = ("trial", "base_learning_rate")
DEFAULTS = {item.name: item.default for item in dataclasses.fields(RunConfig)
            if item.default is not dataclasses.MISSING}


def read_side(path: Path) -> Side:
    """Return the side in a results folder or in a file of pytest-benchmark. Raises RecordError for what holds nothing
    that can be compared, and BatchscaleError for a folder of several plans."""
    side = _benchmarks(path) if path.is_file() else _results(path)
    if not any(cell.measured for cell in side.cells.values()):
        raise RecordError(f"{path} holds no throughput, step time, accuracy or memory to compare.")
    return side


def _benchmarks(path: Path) -> Side:
    found = read_benchmarks(path)
    cells = {("seconds", one.name): _benchmark_cell(one, found.machine) for one in found.benchmarks}
    return Side(str(path), BENCHMARKS, cells, DEFAULT_MARGIN,
                {name: frozenset((value,)) for name, value in found.facts.items()})


def _benchmark_cell(one: Benchmark, machine: Mapping[str, str]) -> Cell:
    conditions = {key: frozenset((value,)) for key, value in {**machine, **one.options}.items()}
    values: dict[Hashable, float] = dict(enumerate(one.seconds))
    return Cell("seconds", values, conditions, summary=None if values else one.summary)


def _results(path: Path) -> Side:
    store = open_store(path)
    imported = imported_store.imported_from(store.manifest)
    if imported is not None:
        return imported_side(str(path), imported.format, imported_store.runs(store))
    return results_side(str(path), read(store), configurations(store))


def configurations(store: Store) -> dict[str, dict[str, Any]]:
    """Return run_id -> its configuration as it stands in the folder, with the default for each key that it lacks.
    Raises RecordError where a configuration is absent or cannot be read."""
    found = {}
    for run_id in store.manifest.runs:
        value = read_json(store.run(run_id).folder / "config.json")
        config = value.get("config") if isinstance(value, dict) else None
        if not isinstance(config, dict):
            raise RecordError(f"{store.folder / run_id / 'config.json'} is absent or cannot be read, so what was run "
                              "is not known; run the plan again to write it.")
        found[run_id] = {**DEFAULTS, **config}
    return found


def results_side(name: str, results: Results, configs: Mapping[str, Mapping[str, Any]]) -> Side:
    """Return the side that the throughput, accuracy and memory runs of a plan make, without the drift guard. configs:
    run_id -> configuration, of every run of the plan."""
    rows = {str(row["run_id"]): row for row in results.runs.assign(peak=peak_bytes(results.runs)).to_dict("records")}
    ended = dict(zip(results.statuses["run_id"].astype(str), results.statuses["status"].astype(str)))
    places = [_place(dict(row)) for row in results.environments.to_dict("records")]
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for run_id, config in configs.items():
        if config.get("experiment") != DRIFT_GUARD and config.get("kind") in ("throughput", "accuracy", "memory"):
            groups[tuple(str(config.get(key)) for key in _naming(config))].append(run_id)
    cells = {}
    for members in groups.values():
        for label, runs in _split(_chosen(members, configs, rows), configs):
            metric = _metric(configs[runs[0]])
            cells[metric, label] = _cell(metric, runs, configs, rows, ended, places)
    facts = {key: frozenset(str(value) for value in results.environments[key].dropna() if value != "") for key in FACTS}
    return Side(name, "the results of a plan", cells, results.margin, facts)


def _naming(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Memory is compared over all batches at once, paired by batch: each is measured once."""
    return tuple(key for key in NAMED if not (key == "global_batch" and config.get("kind") == "memory"))


def _chosen(members: Sequence[str], configs: Mapping[str, Mapping[str, Any]],
            rows: Mapping[str, Mapping[Any, Any]]) -> Sequence[str]:
    """Of a tuned arm the runs that stand for it, which alone have rows, one for each seed; the other trials are no
    results. A seed without one has its run at a rate that stands for another seed."""
    standing = [run for run in members if run in rows]
    trials, seeds = ({configs[run][key] for run in standing} for key in ("trial", "seed"))
    return [run for run in members if configs[run]["rule"] != TUNED_RULE or run in rows
            or configs[run]["trial"] in trials and configs[run]["seed"] not in seeds] or members


def _free(config: Mapping[str, Any]) -> set[str]:
    """What may differ between the runs of one cell, and between the sides; a tuned rate is part of the outcome."""
    return {*_naming(config), *APART, *(TRIED if config.get("rule") == TUNED_RULE else ())}


def _split(members: Sequence[str], configs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The runs of one name by what else was varied among them, each with its label."""
    first = configs[members[0]]
    free = {*_free(first), *REPEATS, "global_batch"}
    varied = [key for key in first if key not in free
              and len({json.dumps(configs[run].get(key)) for run in members}) > 1]
    parts: dict[str, list[str]] = defaultdict(list)
    for run_id in members:
        parts[_label(configs[run_id], varied)].append(run_id)
    return list(parts.items())


def _label(config: Mapping[str, Any], varied: Sequence[str]) -> str:
    placed = strategy_name(str(config.get("strategy") or ""), str(config.get("transport") or ""))
    nodes = f" on {config['nodes']} nodes" if config.get("nodes") != 1 else ""
    batch = f"batch {config.get('global_batch')}" if config.get("kind") != "memory" else "all batches"
    rule = str(config.get("rule")) if config.get("kind") == "accuracy" else ""
    scaling = f"{config['scaling']} scaling" if config.get("scaling") else ""
    more = [f"{key} {config.get(key)}" for key in varied]
    return ", ".join(part for part in (str(config.get("experiment")), f"{placed} x {config.get('replicas')}{nodes}",
                                       batch, rule, scaling, *more) if part)


def _metric(config: Mapping[str, Any]) -> str:
    """Throughput and step time say the same of one batch, so each timing run gives one of them."""
    if config["kind"] == "throughput":
        return "step_seconds" if config.get("scaling") == "strong" else "examples_per_second"
    if config["kind"] == "memory":
        return "peak_memory_bytes"
    return "test_accuracy" if ACCURACY in map(metric_name, config["metrics"]) else "test_loss"


def _cell(metric: str, runs: Sequence[str], configs: Mapping[str, Mapping[str, Any]],
          rows: Mapping[str, Mapping[Any, Any]], ended: Mapping[str, str],
          places: Sequence[Mapping[str, str]]) -> Cell:
    values: dict[Hashable, float] = {}
    lost: dict[Hashable, str] = {}
    repeat_keys = (*REPEATS, "global_batch") if metric == "peak_memory_bytes" else REPEATS
    conditions: dict[str, set[str]] = defaultdict(set)
    free = {*_free(configs[runs[0]]), *repeat_keys}
    for run_id in runs:
        config, row = configs[run_id], rows.get(run_id, {})
        repeat = tuple(config.get(key) for key in repeat_keys)
        value = row.get("peak" if metric == "peak_memory_bytes" else metric)
        if isinstance(value, float) and math.isfinite(value) and (value > 0 or metric == "test_accuracy"):
            values[repeat] = value
        else:
            status = ended.get(run_id, "not run")
            lost[repeat] = "completed without it" if status == "completed" else status
        for key in config:
            conditions[key] |= {json.dumps(config[key])} if key not in free else set()
        for key, text in (places[int(row["environment"])] if row else {}).items():
            conditions[key].add(text)
    return Cell(metric, values, {key: frozenset(given) for key, given in conditions.items() if given}, lost)


def _place(environment: Mapping[str, Any]) -> dict[str, str]:
    """The machine and the versions that decide whether two numbers may be compared."""
    packages = dict(item.rsplit(" ", 1) for item in str(environment.get("packages") or "").split(", ") if " " in item)
    memory = environment.get("memory_bytes")
    # A kernel keeps a little more or less for itself from start to start.
    gib = str(round(memory / 2**30)) if isinstance(memory, (int, float)) and memory > 0 else None
    given = {**environment, "memory_gib": gib, "horovod": packages.get("horovod", "none" if packages else None),
             "tensor_float_32": environment.get("tensor_float_32") if environment.get("gpus") else None,
             "tensorflow": next((text for text in (environment.get("tensorflow"), packages.get("tensorflow"),
                                                   packages.get("tensorflow-cpu")) if text), None),
             "keras": environment.get("keras") or packages.get("keras")}
    return {key: _text(given.get(key)) for key in MACHINE}


def _text(value: Any) -> str:
    if value is None or value == "" or bool(pd.isna(value)):
        return NOT_RECORDED
    return f"{value:g}" if isinstance(value, float) else str(value)
