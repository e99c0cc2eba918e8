"""A plan's records as tables: the one place where analysis reads results.

Each record becomes rows of numbers at once and is let go, so ten thousand of them fit easily.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import pandas as pd
from msgspec import structs

from ...benchmarks.errors import PlanError
from ...benchmarks.planning import keys
from ...benchmarks.planning.derived_keys import SEED_KEYS, seed_looks, seeds_for_claims
from ...benchmarks.planning.tuning import Halving, halving, HALVING_KEYS
from ...benchmarks.records.manifest import Manifest
from ...benchmarks.records.searches import Answer
from ...benchmarks.schedules.rules import PUBLISHED_RULE, rule_order
from ..columns import EVALUATION, METRIC, RUN
from ..statistics.decision_rules import one_sided_level
from ..statistics.sequential.spending import Counts
from .outcome import DEFAULT_LOSS_MARGIN, DEFAULT_MARGIN, judged_by, Outcome
from .rank_rows import COLUMNS
from .tuned_rates import TunedBatch

STATUS = ("run_id", "experiment", "kind", "rule", "trial", "stops_after", "global_batch", "reference_batch",
          "seed", "status", "message")
MOST_LOOKS = 100
MOST_PLANS = 16  # whose text is kept, read
DRIFT_GUARD = "drift_guard"
UNSAID = {field.name: field.default for field in structs.fields(keys.Experiment) if field.name in HALVING_KEYS}
ENVIRONMENT = ("host", "system", "processor", "cores", "memory_bytes", "python", "tensorflow",
               "keras", "packages", "commit", "dirty", "devices", "gpus", "intra_op_threads",
               "inter_op_threads", "launcher", "input", "library", "gpu_driver", "gpu_libraries", "tensor_float_32")


@dataclass(frozen=True, eq=False)
class Results:
    """Tables of what a plan's runs measured. Absent numbers are NaN.

    plan: the manifest (runs, settings, skipped, text, ...).
    runs: one row per run and phase, columns RUN: keys, metrics at the end (NaN where the
    phase diverged), step_seconds and examples_per_second of timing runs, timing and memory;
    `environment` is a row of `environments`. Of a tuned arm's trials only those that stand for it are
    here and in the frames below: one row per batch and seed, as of any other rule.
    evaluations, windows, gradient_norms, memory: long, with the keys REPEATED.
    statuses: one row per run of the plan, columns STATUS, runs without a record included.
    environments: one row per distinct machine and software, with `runs`, the runs it did.
    notes: what a reader must know about these records, in sentences.
    ranks: one row per rank of the timing runs of several ranks, columns rank_rows.COLUMNS.
    metrics: one row per run, part of the data and metric beside loss and accuracy, columns METRIC.
    tuned: the tuned arms' batches with all trials; not_chosen: rows as of `runs`, of the other trials;
    not_chosen_evaluations: those of these.
    searches: the answers of largest-batch searches, complete or partial.
    warnings: run_id -> the sentences its record warns in.
    """

    plan: Manifest
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
    not_chosen_evaluations: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(EVALUATION)))
    searches: tuple[Answer, ...] = ()
    metrics: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(METRIC)))
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def all_runs(self) -> pd.DataFrame:
        """Table of `runs` and of `not_chosen`, the trials that do not stand for a tuned arm."""
        return pd.concat([self.runs, self.not_chosen]) if len(self.not_chosen) else self.runs

    @cached_property
    def all_evaluations(self) -> pd.DataFrame:
        """Table of the evaluations of `all_runs`."""
        return pd.concat([self.evaluations, self.not_chosen_evaluations]) if len(self.not_chosen_evaluations) \
            else self.evaluations

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the plan, as its manifest holds them."""
        return self.plan.settings

    @cached_property
    def accuracy(self) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """Accuracy runs and their evaluations by the name of their experiment."""
        runs, curves = (dict(list(frame[frame["kind"] == "accuracy"].groupby("experiment")))
                        for frame in (self.runs, self.evaluations))
        return {str(name): (rows, curves.get(name, self.evaluations[:0])) for name, rows in runs.items()}

    @cached_property
    def timing_runs(self) -> pd.DataFrame:
        """Rows of timing runs that have a step time, without those of the drift guard."""
        runs = self.runs
        return runs[(runs["kind"] == "throughput") & (runs["experiment"] != DRIFT_GUARD) & (runs["step_seconds"] > 0)]

    @cached_property
    def norms(self) -> dict[str, pd.DataFrame]:
        """Gradient norms by the name of their experiment."""
        return {str(name): rows for name, rows in self.gradient_norms.groupby("experiment")}

    @property
    def margin(self) -> float:
        """Accuracy difference, as a fraction, that counts as the same."""
        return self._positive("margin", DEFAULT_MARGIN)

    @property
    def loss_margin(self) -> float:
        """Loss difference, as a share of the reference batch's loss, that counts as the same."""
        return self._positive("loss_margin", DEFAULT_LOSS_MARGIN)

    @property
    def price(self) -> float | None:
        """Price of a device-hour in the plan's currency; None where none is stated."""
        value = self.settings.get("price_per_device_hour")
        return float(value) if isinstance(value, (int, float)) else None

    def under(self, **settings: float | None) -> Results:
        """Return the same tables under other settings of the plan; None leaves a setting as it is."""
        changed = {name: value for name, value in settings.items() if value is not None}
        return replace(self, plan=structs.replace(self.plan, settings={**self.settings, **changed}))

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """Outcome that judges the accuracy runs, with its margin, by the name of their experiment."""
        alpha = one_sided_level(self.earlier_looks)
        return {name: judged_by(runs, self.margin, self.loss_margin, alpha, looks_of(self.plan, name))
                for name, (runs, _) in self.accuracy.items()}

    @property
    def earlier_looks(self) -> int:
        """Return how often earlier, smaller sets of these seeds were judged before this one was asked for."""
        value = self.settings.get("earlier_looks")
        return max(0, min(value, MOST_LOOKS)) if isinstance(value, int) else 0

    def _positive(self, name: str, default: float) -> float:
        value = self.settings.get(name)
        return float(value) if isinstance(value, (int, float)) and value > 0 else default


def experiments(results: Results) -> tuple[str, ...]:
    """Return the names of the accuracy experiments in the order of the plan's text; those it lacks come last."""
    names = results.runs.loc[results.runs["kind"] == "accuracy", "experiment"]
    order = [str(item.get("name")) for item in _planned(results.plan)]
    found = list(dict.fromkeys(names))
    return tuple(sorted(found, key=lambda name: order.index(name) if name in order else 999))


def rules(results: Results, experiment: str) -> tuple[str, ...]:
    """Return the learning-rate rules of an experiment's accuracy runs in order of `rule_order`, without the published
    one."""
    own, _ = results.accuracy.get(experiment, (results.runs[:0], results.evaluations))
    found = [rule for rule in dict.fromkeys(own["rule"]) if rule != PUBLISHED_RULE]
    return tuple(sorted(found, key=lambda rule: rule_order(rule)[0]))


def planned(plan: Manifest, experiment: str) -> dict[str, Any]:
    """Return the keys that the plan's text gives an experiment, its defaults among them; empty where it names none."""
    defaults = _tables(plan).get("defaults")
    own = next((item for item in _planned(plan) if item.get("name") == experiment), {})
    return {**(defaults if own and isinstance(defaults, dict) else {}), **own}


def planned_names(plan: Manifest) -> tuple[str, ...]:
    """Return the names of the experiments of the plan's text, in its order; none where it is not to be had."""
    return tuple(str(item["name"]) for item in _planned(plan) if "name" in item)


def looks_of(plan: Manifest, experiment: str) -> Counts:
    """Return the seeds at which the plan has an experiment judged as they come in; () where it fixes their number, or
    where its text is not to be had."""
    return seed_looks(_of_keys(plan, experiment, SEED_KEYS) or {})


def seeds_for_claims_of(plan: Manifest, experiment: str, cells: Collection[tuple[str, int]],
                        reference: float) -> dict[tuple[str, int], int]:
    """Return the seeds that an experiment takes for the claims, as `seeds_for_claims` has them."""
    return seeds_for_claims(_of_keys(plan, experiment, SEED_KEYS) or {}, cells, reference)


def halving_of(plan: Manifest, experiment: str) -> Halving | None:
    """Return how the plan has an experiment's tuned rates halved; None where it does not, or where its text is not to
    be had."""
    given = _of_keys(plan, experiment, HALVING_KEYS)
    return None if given is None else halving({**UNSAID, **given})


def _of_keys(plan: Manifest, experiment: str, names: Collection[str]) -> dict[str, Any] | None:
    """These keys of an experiment, as a plan gives them; None where they are none that can be read."""
    try:
        return keys.defaults({name: value for name, value in planned(plan, experiment).items() if name in names},
                             "plan")
    except PlanError:
        return None


def _planned(plan: Manifest) -> list[dict[str, Any]]:
    """The experiments of the plan's own text; none where that text is not to be had."""
    found = _tables(plan).get("experiment", [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _tables(plan: Manifest) -> dict[str, Any]:
    return _parsed(plan.text)


@lru_cache(maxsize=MOST_PLANS)
def _parsed(text: str) -> dict[str, Any]:
    """The plan's tables, for all to read: every experiment asks for its own."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
