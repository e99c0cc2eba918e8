"""Reads results folders into tables: the only code that opens records for analysis."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from msgspec import to_builtins

from ...benchmarks.errors import RecordError
from ...benchmarks.records import searches
from ...benchmarks.records.failures import ending
from ...benchmarks.records.json_files import read_json
from ...benchmarks.records.manifest import Manifest, of as manifest_of
from ...benchmarks.records.run_folder import Run
from ...benchmarks.records.schema import decode, Record, SCHEMA_VERSION
from ...benchmarks.records.seal import altered
from ...benchmarks.records.store import Store
from ...benchmarks.text import counted
from ..columns import EVALUATION, GRADIENT_NORM, MEMORY, METRIC, RUN, WINDOW
from ..importers import imported_store
from ..importers.imported_run import ImportedRun
from .rank_rows import COLUMNS, rank_rows
from .record_rows import metric_rows, Numbers, run_rows
from .results import ENVIRONMENT, STATUS, Results
from .tuned_rates import not_chosen, tuned_batches


@dataclass
class _Gathering:
    """Rows of the records read so far."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    evaluations: Numbers = field(default_factory=lambda: Numbers(EVALUATION))
    windows: Numbers = field(default_factory=lambda: Numbers(WINDOW))
    gradient_norms: Numbers = field(default_factory=lambda: Numbers(GRADIENT_NORM))
    memory: Numbers = field(default_factory=lambda: Numbers(MEMORY))
    ranks: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    environments: dict[str, int] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    trained: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)

    def add(self, record: Record, version: object) -> None:
        """Take a record. `version`: that of the schema it was written by."""
        first = len(self.rows)
        environment = self._environment(record.environment)
        own = [{**row, "environment": environment} for row in run_rows(record)]
        self.rows += own
        self.evaluations.add(first, to_builtins(record.evaluations))
        self.windows.add(first, to_builtins(record.windows))
        self.gradient_norms.add(first, to_builtins(record.gradient_norms))
        self.ranks += rank_rows(record.run_id, record.own_windows)
        self.metrics += metric_rows(record)
        memory = {} if record.memory is None else to_builtins(record.memory)
        if any(value is not None for value in memory.values()):
            self.memory.add(first, [memory], by_phase=False)
        self.versions[str(version)] += 1
        if record.warnings:
            self.warnings[record.run_id] = record.warnings
        self._note_trained(record)
        self.state(record.run_id, record.status, "", own[-1])

    def add_imported(self, run: ImportedRun) -> None:
        row, first = imported_store.row_of(run), len(self.rows)
        self.rows.append({**row, "environment": self._environment(run.environment)})
        self.evaluations.add(first, imported_store.evaluations_of(run), by_phase=False)
        self.windows.add(first, run.windows)
        if not self.statuses or self.statuses[-1]["run_id"] != row["run_id"]:  # phases of one run follow one another
            self.state(str(row["run_id"]), str(row["status"]), "", row)

    def state(self, run_id: str, status: str, message: str, keys: Mapping[str, Any]) -> None:
        values = {name: keys.get(name) for name in STATUS}
        self.statuses.append({**values, "run_id": run_id, "status": status, "message": message})

    def _note_trained(self, record: Record) -> None:
        """Under each identity that runs go by, what was trained; one thing, unless an edit was gone on with."""
        config, workload = record.config, record.workload
        parts = json.dumps(workload.fingerprint if workload else None, sort_keys=True)
        self.trained.setdefault((config.fingerprint, config.model, config.dataset), set()).add(parts)

    def _environment(self, given: object) -> int:
        text = json.dumps(_comparable(given), sort_keys=True)
        return self.environments.setdefault(text, len(self.environments))

    def results(self, plan: Manifest) -> Results:
        runs = pd.DataFrame(self.rows, columns=list(RUN))
        environments = pd.DataFrame([json.loads(text) for text in self.environments],
                                    columns=list(ENVIRONMENT))
        counts = runs.drop_duplicates("run_id")["environment"].value_counts()
        environments["runs"] = [int(counts.get(i, 0)) for i in range(len(environments))]
        statuses = pd.DataFrame(self.statuses, columns=list(STATUS))
        tuned = tuned_batches(runs, statuses)
        out = not_chosen(runs, tuned)
        gone = set(runs.loc[out, "run_id"])
        all_evaluations = self.evaluations.frame(runs)
        evaluations, norms = (frame[~frame["run_id"].isin(gone)].reset_index(drop=True) if gone else frame
                              for frame in (all_evaluations, self.gradient_norms.frame(runs)))
        trials = all_evaluations[all_evaluations["run_id"].isin(gone)].reset_index(drop=True)
        metrics = pd.DataFrame(self.metrics, columns=list(METRIC))
        metrics = metrics[~metrics["run_id"].isin(gone)].reset_index(drop=True)
        return Results(plan, runs[~out].reset_index(drop=True), evaluations, self.windows.frame(runs), norms,
                       self.memory.frame(runs), statuses, environments, tuple(self._notes(environments)),
                       pd.DataFrame(self.ranks, columns=list(COLUMNS)), tuned, runs[out].reset_index(drop=True), trials,
                       metrics=metrics, warnings=self.warnings)

    def _notes(self, environments: pd.DataFrame) -> list[str]:
        notes = [f"{count} records have schema version {version}; this version reads "
                 f"{SCHEMA_VERSION} and takes from them only what has its names and types."
                 for version, count in sorted(self.versions.items())
                 if version != str(SCHEMA_VERSION)]
        notes += [f"Runs of {len(versions)} versions of {model} on {dataset} are counted together, since it was edited "
                  "and the plan gone on with on purpose (--continue-edited)."
                  for (_, model, dataset), versions in self.trained.items() if len(versions) > 1]
        unread = sum(state["status"] == "unreadable" for state in self.statuses)
        if unread:
            notes.append(f"{unread} records cannot be believed and are left out.")
        for name in ("host", "processor", "packages", "commit"):
            if environments[name].nunique(dropna=False) > 1:
                notes.append(f"The runs differ in {name}: "
                             f"{'; '.join(map(str, environments[name].unique()))}.")
        return notes


def read(store: Store) -> Results:
    """Return the tables of a store's imported runs and of its plan's runs; change nothing in the folder.

    Raises RecordError where the store has no readable plan, or its imported runs are damaged.
    """
    manifest, found = store.manifest, _Gathering()
    for brought in imported_store.runs(store):
        found.add_imported(brought)
    for run_id in manifest.runs:
        run = store.run(run_id)
        path = run.folder / "record.json"
        if path.exists():
            _take(found, read_json(path), run.run_id)
        else:
            _without_record(found, run)
    results, (answers, unread) = found.results(manifest), searches.read_all(store.folder)
    identities = _identities(store)
    current = tuple(answer for answer in answers if not identities or answer.fingerprint in identities)
    left_out = [*_left_out(sum(run.has_record for run in store.others()), "run"),
                *_left_out(len(answers) - len(current), "largest-batch search", "largest-batch searches")]
    return replace(results, searches=current, notes=(*results.notes, *left_out, *unread))


def _identities(store: Store) -> set[str]:
    """By which the plan's runs go, as it stands; empty where that is not known."""
    workloads = read_json(store.folder / "workloads.json")
    entries = workloads.values() if isinstance(workloads, dict) else ()
    return {str(entry.get("identity", "")) for entry in entries if isinstance(entry, dict)}


def _left_out(count: int, one: str, many: str = "") -> list[str]:
    """That there are results of an earlier form of the plan, which no table has."""
    verb = "belongs" if count == 1 else "belong"
    return [f"{counted(count, one, many)} in the folder {verb} to an earlier form of this plan, its model or its data: "
            "kept, and left out here."] if count else []


def from_records(records: Iterable[Mapping[str, Any]], manifest: object) -> Results:
    """Return the tables of records in memory; runs of the manifest that have no record are pending.

    Raises RecordError for a manifest that cannot be read; a record that cannot be read has the status unreadable.
    """
    plan, found = manifest_of(manifest), _Gathering()
    for record in records:
        run_id = record.get("run_id") if isinstance(record, Mapping) else None
        _take(found, record, str(run_id))
    seen = {state["run_id"] for state in found.statuses}
    for run_id in plan.runs:
        if run_id not in seen:
            found.state(run_id, "pending", "", {})
    return found.results(plan)


def _take(found: _Gathering, value: object, run_id: str) -> None:
    """A record of another version counts where all that this version reads is there."""
    same = {**value, "schema_version": SCHEMA_VERSION} if isinstance(value, dict) else value
    try:
        record = decode(same)
        if isinstance(value, dict) and (wrong := altered(value)):
            raise RecordError(wrong[0])
    except RecordError as error:
        found.state(run_id, "unreadable", str(error).removesuffix("."), _config(value))
    else:
        found.add(record, value.get("schema_version") if isinstance(value, dict) else None)


def _without_record(found: _Gathering, run: Run) -> None:
    """A run that a launcher alone saw the end of has the launcher's message."""
    status, attempts = run.status(), run.attempts()
    told = attempts and status not in ("pending", "running", "unreadable")
    text = ending(attempts[-1]).message if told else ""
    found.state(run.run_id, status, text, _config(read_json(run.folder / "config.json")))


def _config(value: object) -> Mapping[str, Any]:
    config = value.get("config") if isinstance(value, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def _comparable(environment: object) -> dict[str, Any]:
    """What distinguishes machines and software; loads, process ids and addresses do not."""
    given = environment if isinstance(environment, Mapping) else {}
    source = given.get("source") if isinstance(given.get("source"), Mapping) else {}
    found = {name: given.get(name) for name in ENVIRONMENT}
    found |= {"commit": (source or {}).get("commit"), "dirty": (source or {}).get("dirty")}
    return {name: ", ".join(f"{k} {v}" for k, v in sorted(value.items()))
            if isinstance(value, Mapping) else ", ".join(map(str, value))
            if isinstance(value, list) else value for name, value in found.items()}
