"""A plan's records as tables: the one place where analysis reads results.

Each record becomes rows of numbers at once and is let go, so ten thousand of them fit easily.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from ..benchmarks import searches
from ..benchmarks.rules import RULES
from ..benchmarks.schema import SCHEMA_VERSION, problems
from ..benchmarks.store import Run, Store, altered, read_json
from ..benchmarks.tuning import TUNED_RULE
from . import imported
from .importers.found import ImportedRun
from .outcome import DEFAULT_LOSS_MARGIN, DEFAULT_MARGIN, Outcome, judged_by
from .rows import EVALUATION, GRADIENT_NORM, MEMORY, METRIC, RUN, WINDOW, Numbers, metric_rows, run_rows
from .slow_ranks import COLUMNS, rank_rows
from .tuning import TunedBatch, not_chosen, tuned_batches

STATUS = ("run_id", "experiment", "kind", "rule", "trial", "global_batch", "seed", "status", "message")
ENVIRONMENT = ("host", "system", "processor", "cores", "memory_bytes", "python", "tensorflow",
               "keras", "packages", "commit", "dirty", "devices", "gpus", "intra_op_threads",
               "inter_op_threads", "launcher", "input", "library")
SHARED_RULE = "constant"
PUBLISHED_RULE = "as_published"


@dataclass(frozen=True, eq=False)
class Results:
    """What a plan's runs left behind. Absent numbers are NaN.

    plan: the manifest (runs, settings, skipped, text, ...).
    runs: one row per run and phase, columns rows.RUN: keys, metrics at the end (NaN where the
    phase diverged), step_seconds and examples_per_second of timing runs, timing and memory;
    `environment` is a row of `environments`. Of a tuned arm's trials only those chosen are here
    and in the frames below: one row per batch and seed, as of any other rule.
    evaluations, windows, gradient_norms, memory: long, with the keys rows.REPEATED.
    statuses: one row per run of the plan, columns STATUS, runs without a record included.
    environments: one row per distinct machine and software, with `runs`, the runs it did.
    notes: what a reader must know about these records, in sentences.
    ranks: one row per rank of the timing runs of several ranks, columns slow_ranks.COLUMNS.
    metrics: one row per run, part of the data and metric beside loss and accuracy, columns rows.METRIC.
    tuned: the tuned arms' batches with all trials; not_chosen: rows as of `runs`, of the trials not chosen.
    searches: the answers of largest-batch searches, found or on the way.
    """

    plan: Mapping[str, Any]
    runs: pd.DataFrame
    evaluations: pd.DataFrame
    windows: pd.DataFrame
    gradient_norms: pd.DataFrame
    memory: pd.DataFrame
    statuses: pd.DataFrame
    environments: pd.DataFrame
    notes: tuple[str, ...] = ()
    ranks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    tuned: tuple[TunedBatch, ...] = ()
    not_chosen: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RUN)))
    searches: tuple[searches.Answer, ...] = ()
    metrics: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(METRIC)))

    @cached_property
    def all_runs(self) -> pd.DataFrame:
        """`runs`, and those of the trials that were not chosen."""
        return pd.concat([self.runs, self.not_chosen]) if len(self.not_chosen) else self.runs

    @property
    def settings(self) -> Mapping[str, Any]:
        value = self.plan.get("settings")
        return value if isinstance(value, Mapping) else {}

    @cached_property
    def accuracy(self) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """experiment -> its accuracy runs and their evaluations."""
        runs, curves = (dict(list(frame[frame["kind"] == "accuracy"].groupby("experiment")))
                        for frame in (self.runs, self.evaluations))
        return {str(name): (rows, curves.get(name, self.evaluations[:0])) for name, rows in runs.items()}

    @property
    def margin(self) -> float:
        """Accuracy difference, as a fraction, that counts as the same."""
        return self._positive("margin", DEFAULT_MARGIN)

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """experiment -> what its accuracy runs are judged by, with the margin that holds for them."""
        loss_margin = self._positive("loss_margin", DEFAULT_LOSS_MARGIN)
        return {name: judged_by(runs, self.margin, loss_margin) for name, (runs, _) in self.accuracy.items()}

    def _positive(self, name: str, default: float) -> float:
        value = self.settings.get(name)
        return float(value) if isinstance(value, (int, float)) and value > 0 else default


def experiments(results: Results) -> tuple[str, ...]:
    """Names of the accuracy experiments, in the plan's order of first mention."""
    names = results.runs.loc[results.runs["kind"] == "accuracy", "experiment"]
    order = [str(item.get("name")) for item in _planned(results.plan)]
    found = list(dict.fromkeys(names))
    return tuple(sorted(found, key=lambda name: order.index(name) if name in order else 999))


def rules(results: Results, experiment: str) -> tuple[str, ...]:
    """The learning-rate rules of an experiment's runs, the constant one first."""
    runs = results.runs
    own = runs[(runs["experiment"] == experiment) & (runs["kind"] == "accuracy")]
    found = [rule for rule in dict.fromkeys(own["rule"]) if rule != PUBLISHED_RULE]
    order = (SHARED_RULE, *RULES)
    return tuple(sorted(found, key=lambda rule: order.index(rule) if rule in order else 999))


def arm(frame: pd.DataFrame, experiment: str, rule: str, placement: str = "") -> pd.DataFrame:
    """The rows of `runs` or `evaluations` that belong to one arm.

    At the reference batch one run stands for every rule, so it is part of each rule's arm; but
    not of the tuned one, which is tuned there like everywhere.
    placement: strategy and replicas, by default those with the most batches: a batch made of
    more replicas is another treatment and never joins silently.
    """
    own = frame[(frame["experiment"] == experiment) & (frame["kind"] == "accuracy")]
    if not placement and not own.empty:
        batches = own.groupby("placement", sort=False)["global_batch"].nunique()
        placement = str(batches.idxmax())
    shared = ((own["rule"] == SHARED_RULE) & (own["global_batch"] == own["reference_batch"])
              & (rule not in (PUBLISHED_RULE, TUNED_RULE)))
    chosen = (own["placement"] == placement) & ((own["rule"] == rule) | shared)
    return own[chosen].assign(rule=rule)


def planned(plan: Mapping[str, Any], experiment: str) -> dict[str, Any]:
    """The keys that the plan's own text gives an experiment, its defaults among them; none without that text."""
    defaults = _tables(plan).get("defaults")
    own = next((item for item in _planned(plan) if item.get("name") == experiment), {})
    return {**(defaults if own and isinstance(defaults, dict) else {}), **own}


def _planned(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The experiments of the plan's own text; none where that text is not to be had."""
    found = _tables(plan).get("experiment", [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _tables(plan: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return tomllib.loads(str(plan.get("text") or ""))
    except tomllib.TOMLDecodeError:
        return {}


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

    def add(self, record: Mapping[str, Any]) -> None:
        first = len(self.rows)
        environment = self._environment(record.get("environment"))
        own = [{**row, "environment": environment} for row in run_rows(record)]
        self.rows += own
        self.evaluations.add(first, record["evaluations"])
        self.windows.add(first, record["windows"])
        self.gradient_norms.add(first, record["gradient_norms"])
        self.ranks += rank_rows(record)
        self.metrics += metric_rows(record)
        if any(value is not None for value in record["memory"].values()):
            self.memory.add(first, [record["memory"]], by_phase=False)
        self.versions[str(record.get("schema_version"))] += 1
        self.state(own[-1]["run_id"], str(record["status"]), "", own[-1])

    def add_imported(self, run: ImportedRun) -> None:
        row, first = imported.row_of(run), len(self.rows)
        self.rows.append({**row, "environment": self._environment(run.environment)})
        self.evaluations.add(first, imported.evaluations_of(run), by_phase=False)
        self.windows.add(first, run.windows)
        if not self.statuses or self.statuses[-1]["run_id"] != row["run_id"]:  # phases of one run follow one another
            self.state(str(row["run_id"]), str(row["status"]), "", row)

    def state(self, run_id: str, status: str, message: str, keys: Mapping[str, Any]) -> None:
        values = {name: keys.get(name) for name in STATUS}
        self.statuses.append({**values, "run_id": run_id, "status": status, "message": message})

    def _environment(self, given: object) -> int:
        text = json.dumps(_comparable(given), sort_keys=True)
        return self.environments.setdefault(text, len(self.environments))

    def results(self, plan: Mapping[str, Any]) -> Results:
        runs = pd.DataFrame(self.rows, columns=list(RUN))
        environments = pd.DataFrame([json.loads(text) for text in self.environments],
                                    columns=list(ENVIRONMENT))
        counts = runs.drop_duplicates("run_id")["environment"].value_counts()
        environments["runs"] = [int(counts.get(i, 0)) for i in range(len(environments))]
        statuses = pd.DataFrame(self.statuses, columns=list(STATUS))
        tuned = tuned_batches(runs, statuses)
        out = not_chosen(runs, tuned)
        gone = set(runs.loc[out, "run_id"])
        evaluations, norms = (frame[~frame["run_id"].isin(gone)].reset_index(drop=True) if gone else frame
                              for frame in (self.evaluations.frame(runs), self.gradient_norms.frame(runs)))
        metrics = pd.DataFrame(self.metrics, columns=list(METRIC))
        metrics = metrics[~metrics["run_id"].isin(gone)].reset_index(drop=True)
        return Results(plan, runs[~out].reset_index(drop=True), evaluations, self.windows.frame(runs), norms,
                       self.memory.frame(runs), statuses, environments, tuple(self._notes(environments)),
                       pd.DataFrame(self.ranks, columns=list(COLUMNS)), tuned, runs[out].reset_index(drop=True),
                       metrics=metrics)

    def _notes(self, environments: pd.DataFrame) -> list[str]:
        notes = [f"{count} records have schema version {version}; this version reads "
                 f"{SCHEMA_VERSION} and takes from them only what has its names and types."
                 for version, count in sorted(self.versions.items())
                 if version != str(SCHEMA_VERSION)]
        unread = sum(state["status"] == "unreadable" for state in self.statuses)
        if unread:
            notes.append(f"{unread} records cannot be believed and are left out.")
        for name in ("host", "processor", "packages", "commit"):
            if environments[name].nunique(dropna=False) > 1:
                notes.append(f"The runs differ in {name}: "
                             f"{'; '.join(map(str, environments[name].unique()))}.")
        return notes


def read(store: Store) -> Results:
    """The plan's own runs, or the imported ones. Nothing in the folder is changed. Raises RecordError without a
    plan."""
    manifest, found = store.manifest, _Gathering()
    for brought in imported.runs(store):
        found.add_imported(brought)
    for run_id in manifest["runs"]:
        run = store.run(str(run_id))
        path = run.folder / "record.json"
        if path.exists():
            _take(found, read_json(path), run.run_id)
        else:
            _without_record(found, run)
    results, (answers, unread) = found.results(manifest), searches.read_all(store.folder)
    return replace(results, searches=tuple(answers), notes=(*results.notes, *unread))


def from_records(records: Iterable[Mapping[str, Any]], manifest: Mapping[str, Any]) -> Results:
    """The tables of records at hand; runs of the manifest without one are pending."""
    found = _Gathering()
    for record in records:
        run_id = record.get("run_id") if isinstance(record, Mapping) else None
        _take(found, record, str(run_id))
    seen = {state["run_id"] for state in found.statuses}
    for run_id in manifest.get("runs") or ():
        if run_id not in seen:
            found.state(str(run_id), "pending", "", {})
    return found.results(manifest)


def _take(found: _Gathering, record: object, run_id: str) -> None:
    """A record of another version counts where all that this version reads is there."""
    same = {**record, "schema_version": SCHEMA_VERSION} if isinstance(record, Mapping) else record
    wrong = problems(same) or (altered(dict(record)) if isinstance(record, Mapping) else [])
    if not wrong and isinstance(record, Mapping):
        found.add(record)
    else:
        found.state(run_id, "unreadable", "; ".join(wrong[:3]), _config(record))


def _without_record(found: _Gathering, run: Run) -> None:
    failure = run.failure() or {}
    kind, message = str(failure.get("error") or ""), str(failure.get("message") or "")
    text = ": ".join(part for part in (kind, message) if part)
    found.state(run.run_id, run.status(), text, _config(read_json(run.folder / "config.json")))


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
