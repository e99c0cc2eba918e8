"""The table for people: one number a row, with the columns to begin with and no others.

Of accuracy runs the reference batch stands under every rule, as it does in figures; a tuned arm's other trials are
there and not `chosen`, but for what was seen of them before their end.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ...benchmarks.schedules.rules import PUBLISHED_RULE
from ..study.arm_runs import arm_runs
from ..tables.results import Results
from ..tables.tuned_rates import stopped_early

FILE = "tidy.csv"
KEYS = ("experiment", "kind", "rule", "global_batch", "replicas", "placement", "peak_learning_rate", "trial")
TIDY = (*KEYS, "repeat", "chosen", "run_id", "measure", "value")
MEASURES = {
    "accuracy": ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "test_loss", "test_accuracy",
                 "generalization_gap", "train_seconds"),
    "throughput": ("examples_per_second", "step_seconds"), "memory": ("peak_bytes", "device_peak_bytes")}
TO_TARGET = ("epochs_to_target", "steps_to_target", "seconds_to_target", "train_loss", "validation_loss",
             "validation_accuracy", "total_seconds", "step_seconds")
REPEATED = {"throughput": "launch", "memory": "launch"}


def tidy(results: Results) -> pd.DataFrame:
    """Return one row for each number that was measured, columns TIDY; what was not measured has no row."""
    beside = results.not_chosen[~stopped_early(results.not_chosen)]
    sides = ((_under_rules(results.runs), True), (beside, False))
    parts = [part for rows, chosen in sides if len(rows) for part in _of_kinds(rows.assign(chosen=chosen))]
    return pd.concat([pd.DataFrame(columns=list(TIDY)), *parts] if not parts else parts, ignore_index=True)[list(TIDY)]


def _under_rules(runs: pd.DataFrame) -> pd.DataFrame:
    """With the runs of the reference batch under every rule that they stand for."""
    accuracy = runs["kind"] == "accuracy"
    arms = [arm_runs(own, str(rule)) if rule != PUBLISHED_RULE else own[own["rule"] == rule]
            for _, own in runs[accuracy].groupby(["experiment", "placement"], sort=False)
            for rule in dict.fromkeys(own["rule"])]
    return pd.concat([*arms, runs[~accuracy]]) if arms else runs


def _of_kinds(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for kind, own in rows.groupby("kind", sort=False):
        own = own.assign(repeat=own[REPEATED.get(str(kind), "seed")])
        names = [name for name in MEASURES.get(str(kind), TO_TARGET) if own[name].notna().any()]
        long = own.melt(id_vars=[name for name in TIDY if name in own], value_vars=names, var_name="measure")
        yield long.dropna(subset=["value"])
