"""One record as rows of numbers: what `table` keeps of it, so that no record stays in memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.config.strategies import strategy_name
from ...benchmarks.records.raw import list_in, number, table_in
from ...benchmarks.schedules.rules import is_measured, PUBLISHED_RULE
from ..columns import CHECKS, METRIC, METRICS, NUMBERS, REPEATED, SHARPNESS, TEXT_KEYS, WHOLE, WHOLE_KEYS
from ..meter_columns import METER_COLUMNS
from .timing import step_timing


class Numbers:
    """Rows of numbers of many runs, 8 bytes each; `row` is their row in `runs`."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = ("row", *columns)
        self._values = array("d")

    def add(self, row: int, values: Iterable[Mapping[str, Any]], by_phase: bool = True) -> None:
        for item in values:
            offset = int(item.get("phase") or 0) if by_phase else 0
            self._values.append(row + offset)
            self._values.extend(number(item.get(name)) for name in self._columns[1:])

    def frame(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The rows, each with the keys of its run."""
        table = np.frombuffer(self._values, dtype=np.float64).reshape(-1, len(self._columns))
        numbers = pd.DataFrame(table, columns=list(self._columns))
        whole = [name for name in self._columns[1:] if name in WHOLE]
        numbers = numbers.astype({name: "Int64" if numbers[name].isna().any() else "int64"
                                  for name in whole})
        if "steady" in numbers:
            numbers["steady"] = numbers["steady"] == 1.0
        at = numbers.pop("row").to_numpy(dtype=np.int64)
        names = [name for name in REPEATED if name not in numbers]
        if "global_batch" not in numbers:
            names.append("global_batch")
        keys = runs[names].iloc[at].reset_index(drop=True)
        return pd.concat([keys, numbers], axis=1)


def run_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per phase that was reached (one for a run that evaluates nothing); keys are RUN
    without `environment`."""
    config = table_in(record, "config")
    batches = [*(config.get("earlier_batches") or ()), config.get("global_batch")]
    evaluations = [row for row in list_in(record, "evaluations") if isinstance(row, Mapping)]
    reached = max((int(row.get("phase") or 0) for row in evaluations), default=0)
    rows = []
    for phase, batch in enumerate(batches[:reached + 1]):
        own = [row for row in evaluations if int(row.get("phase") or 0) == phase]
        status = str(record.get("status")) if phase == reached else "completed"
        rows.append({**_keys(record, config, phase, batch, status),
                     **_measured(record, config, own, phase, batch, status)})
        if is_measured(str(config.get("rule"))) and own:
            rows[-1]["steps"] = int(own[-1].get("step") or 0)  # decided while training
    return rows


def _keys(record: Mapping[str, Any], config: Mapping[str, Any], phase: int, batch: Any,
          status: str) -> dict[str, Any]:
    """Names are "" and counts are 0 where a record lacks them."""
    replicas, accumulation = (int(config.get(name) or 1) for name in ("replicas", "accumulation"))
    batch, examples = int(batch or 0), int(config.get("train_examples") or 0)
    per_epoch = examples // batch if batch else 0
    values = {name: str(config.get(name) or "") for name in TEXT_KEYS}
    values |= {name: int(config.get(name) or 0) for name in WHOLE_KEYS}  # type: ignore[misc]
    parts = f"-{accumulation}x" if accumulation > 1 else ""
    nodes = f"-{count}n" if (count := int(config.get("nodes") or 1)) > 1 else ""
    return {**values, "run_id": str(record.get("run_id")), "status": status, "phase": phase,
            "global_batch": batch, "replicas": replicas, "accumulation": accumulation,
            "replica_batch": batch // (replicas * accumulation), "trial": int(config.get("trial", -1)),
            "steps_per_epoch": per_epoch, "steps": per_epoch * int(config.get("epochs") or 0),
            "placement": f"{strategy_name(values['strategy'], values['transport'])}-{replicas}r{nodes}{parts}"}


def _measured(record: Mapping[str, Any], config: Mapping[str, Any],
              evaluations: list[Mapping[str, Any]], phase: int, batch: Any,
              status: str) -> dict[str, Any]:
    derived, workload = table_in(record, "derived"), table_in(record, "workload")
    published = config.get("rule") == PUBLISHED_RULE
    peak = config.get("base_learning_rate") if published else derived.get("peak_learning_rate")
    values = {"base_learning_rate": config.get("base_learning_rate"),
              "peak_learning_rate": peak, "momentum": config.get("momentum"), **_sharpness(record, phase),
              "weight_kept_per_epoch": derived.get("weight_kept_per_epoch"),
              "warmup_steps": None if published else derived.get("warmup_steps"),
              "parameters": workload.get("parameters"),
              **{name: workload.get(name) for name in (
                  "flops_per_example", "classes", "baseline_accuracy", "baseline_loss")},
              **table_in(record, "timing"), **table_in(record, "memory")}
    if evaluations:
        values["train_seconds"] = evaluations[-1].get("train_seconds")
        values["last_step"] = evaluations[-1].get("step")
        values["mean_gain"] = number(evaluations[-1].get("reference_steps")) / (number(values["last_step"]) or math.nan)
    numbers = {name: number(values.get(name)) for name in NUMBERS}
    if evaluations and status == "completed":
        numbers |= _final(evaluations)
    if config.get("kind") == "throughput":
        numbers |= step_timing(list_in(record, "windows"), int(batch or 0))
        for name in ("input", "synthetic"):
            alone = step_timing(list_in(record, f"{name}_windows"), int(batch or 0))
            numbers[f"{name}_examples_per_second"] = alone["examples_per_second"]
    numbers |= {name: column.value(_rows(record, column.field, phase)) for name, column in METER_COLUMNS.items()}
    flags = "; ".join(str(item) for item in list_in(record, "warnings"))
    agreement, environment = table_in(record, "agreement"), table_in(record, "environment")
    checks = {name: number(agreement.get(name)) for name in CHECKS}
    cores = ",".join(str(core) for core in list_in(environment, "affinity"))
    return {**numbers, **checks, "affinity": cores, "flags": flags,
            "finished": str(record.get("finished") or ""),
            "source": str(table_in(record, "workload").get("source") or ""), "reference_point": "",
            "continues": str(record.get("continues") or "")}


def _final(evaluations: list[Mapping[str, Any]]) -> dict[str, float]:
    """Metrics at the end, and at the evaluation with the best validation loss."""
    final = {name: number(evaluations[-1].get(name)) for name in METRICS}
    losses = [number(row.get("validation_loss")) for row in evaluations]
    found = {**final,
             "generalization_gap": final["train_accuracy"] - final["test_accuracy"],
             "loss_gap": final["test_loss"] - final["train_loss"]}
    if not all(map(math.isnan, losses)):
        best = evaluations[int(np.nanargmin(losses))]
        test = number(best.get("test_accuracy"))
        found |= {"best_validation_step": number(best.get("step")),
                  "test_accuracy_at_best_validation": test,
                  "gap_at_best_validation": number(best.get("train_accuracy")) - test}
    return found


def _rows(record: Mapping[str, Any], field: str, phase: int) -> list[Mapping[str, Any]]:
    """Return the phase's rows of a field of the record; rows that name no phase are the whole run's."""
    return [row for row in list_in(record, field) if isinstance(row, Mapping) and row.get("phase", phase) == phase]


def _sharpness(record: Mapping[str, Any], phase: int) -> dict[str, Any]:
    """Return the sharpness where this phase ended, if it was measured there."""
    own = _rows(record, "sharpness", phase)
    return {name: own[-1].get(name.removeprefix("last_")) for name in SHARPNESS} if own else {}


def metric_rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The other metrics at the end of the last phase of a completed run; keys are METRIC."""
    evaluations = [row for row in list_in(record, "evaluations") if isinstance(row, Mapping)]
    if not evaluations or record.get("status") != "completed":
        return []
    config = table_in(record, "config")
    keys = _keys(record, config, 0, config.get("global_batch"), "completed")
    own = {name: keys[name] for name in METRIC if name in keys}
    return [{**own, "part": part, "metric": metric, "value": number(value)}
            for name, value in table_in(evaluations[-1], "metrics").items()
            for part, _, metric in [str(name).partition("_")]]
