"""One record as rows of numbers: what `table` keeps of it, so that no record stays in memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from ...benchmarks.config.fields import RunFields
from ...benchmarks.config.strategies import strategy_name
from ...benchmarks.records.rows import Evaluation, Workload
from ...benchmarks.records.schema import Record
from ...benchmarks.schedules.rules import is_measured, PUBLISHED_RULE
from ..columns import CHECKS, METRIC, METRICS, NUMBERS, REPEATED, SHARPNESS, TEXT_KEYS, WHOLE, WHOLE_KEYS
from ..laws.utilization import peak_flops, products, utilization
from ..meter_columns import METER_COLUMNS, number
from .timing import step_timing


class Numbers:
    """Rows of numbers of many runs, 8 bytes a number; `row` is the index of their run in `runs`."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = ("row", *columns)
        self._values = array("d")

    def add(self, row: int, values: Iterable[Mapping[str, Any]], by_phase: bool = True) -> None:
        """Append the values of one run, one row per mapping; columns that a mapping lacks are NaN.

        row: index in `runs` of the run's first phase; by_phase: whether `phase` of a mapping is added to it.
        """
        for item in values:
            offset = int(item.get("phase") or 0) if by_phase else 0
            self._values.append(row + offset)
            self._values.extend(number(item.get(name)) for name in self._columns[1:])

    def frame(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return all rows as a table, each with the keys of its run from `runs` (columns REPEATED) before it."""
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


def run_rows(record: Record) -> list[dict[str, Any]]:
    """Return one row per phase that was reached, one for a run without evaluations; keys are RUN without
    `environment`."""
    reached = max((row.phase for row in record.evaluations), default=0)
    rows = []
    for phase, batch in enumerate(record.config.batches[:reached + 1]):
        own = [row for row in record.evaluations if row.phase == phase]
        status = record.status if phase == reached else "completed"
        rows.append({**_keys(record, phase, batch, status), **_measured(record, own, phase, batch, status)})
        if is_measured(record.config.rule) and own:
            rows[-1]["steps"] = own[-1].step  # decided while training
    return rows


def _keys(record: Record, phase: int, batch: int, status: str) -> dict[str, Any]:
    """What was varied; a configuration that came without a key has its default."""
    config, settings = record.config, vars(record.config)
    per_epoch = config.epoch_steps(batch) if batch else 0
    values = {name: settings[name] for name in (*TEXT_KEYS, *WHOLE_KEYS) if name in settings}
    return {**values, "run_id": record.run_id, "status": status, "phase": phase, "global_batch": batch,
            "replica_batch": batch // (config.replicas * config.accumulation),
            "steps_per_epoch": per_epoch, "steps": per_epoch * config.epochs, "placement": _placement(config),
            "tf32": _rounded(record)}


def _rounded(record: Record) -> str:
    """Of products in float32 alone: whether a GPU rounded their factors; "" on a CPU, which rounds nothing."""
    given = record.environment
    if record.config.precision != "float32" or not given.get("gpus") or "tensor_float_32" not in given:
        return ""
    return "yes" if given["tensor_float_32"] else "no"


def _placement(config: RunFields) -> str:
    parts = f"-{config.accumulation}x" if config.accumulation > 1 else ""
    nodes = f"-{config.nodes}n" if config.nodes > 1 else ""
    return f"{strategy_name(config.strategy, config.transport, config.exchange)}-{config.replicas}r{nodes}{parts}"


def _measured(record: Record, evaluations: list[Evaluation], phase: int, batch: int, status: str) -> dict[str, Any]:
    config, derived = record.config, record.derived
    published = config.rule == PUBLISHED_RULE
    values = {"base_learning_rate": config.base_learning_rate, "momentum": config.momentum, **_sharpness(record, phase),
              "peak_learning_rate": config.base_learning_rate if published else derived.peak_learning_rate,
              "weight_kept_per_epoch": derived.weight_kept_per_epoch,
              "warmup_steps": None if published else derived.warmup_steps,
              **_workload(record.workload), **_builtins(record.timing), **_builtins(record.memory)}
    if evaluations:
        last = evaluations[-1]
        values |= {"train_seconds": last.train_seconds, "last_step": last.step,
                   "mean_gain": number(last.reference_steps) / (last.step or math.nan)}
    numbers = {name: number(values.get(name)) for name in NUMBERS}
    if evaluations and status == "completed":
        numbers |= _final(evaluations)
    if config.kind == "throughput":
        numbers |= _timed(record, batch)
    numbers |= {name: column.value(_rows(record, column.field, phase)) for name, column in METER_COLUMNS.items()}
    checks = {name: number(_builtins(record.agreement).get(name)) for name in CHECKS}
    affinity = record.environment.get("affinity")
    return {**numbers, **checks, "affinity": ",".join(map(str, affinity)) if isinstance(affinity, list) else "",
            "flags": "; ".join(record.warnings), "finished": record.finished,
            "source": record.workload.source if record.workload else "", "reference_point": "",
            "continues": record.continues}


def _builtins(section: msgspec.Struct | None) -> dict[str, Any]:
    """The section's values by name; none where the run ended before there were any."""
    return {} if section is None else dict(msgspec.to_builtins(section))


def _workload(workload: Workload | None) -> dict[str, Any]:
    """Several outputs have no one number of classes."""
    values = _builtins(workload)
    return {**values, "classes": None} if isinstance(values.get("classes"), dict) else values


def _timed(record: Record, batch: int) -> dict[str, float]:
    """Return the step times of a timing run: of the whole step, and of the input and the model alone."""
    numbers = step_timing(record.windows, batch)
    for name, windows in (("input", record.input_windows), ("synthetic", record.synthetic_windows)):
        numbers[f"{name}_examples_per_second"] = step_timing(windows, batch)["examples_per_second"]
    numbers["model_flops_utilization"] = _utilization(record, numbers["examples_per_second"])
    return numbers


def _utilization(record: Record, rate: float) -> float:
    """Of GPUs that are all of one kind."""
    cards = record.environment.get("gpus")
    if not record.workload or not isinstance(cards, list) or len(set(map(str, cards))) != 1:
        return math.nan
    peak = peak_flops(str(cards[0]), products(record.config.precision, _rounded(record)))
    return utilization(number(record.workload.flops_per_example), rate, record.config.replicas, peak)


def _final(evaluations: list[Evaluation]) -> dict[str, float]:
    """Metrics at the end, and at the evaluation with the best validation loss."""
    final = {name: number(getattr(evaluations[-1], name)) for name in METRICS}
    losses = [number(row.validation_loss) for row in evaluations]
    found = {**final,
             "generalization_gap": final["train_accuracy"] - final["test_accuracy"],
             "loss_gap": final["test_loss"] - final["train_loss"]}
    if not all(map(math.isnan, losses)):
        best = evaluations[int(np.nanargmin(losses))]
        test = number(best.test_accuracy)
        found |= {"best_validation_step": float(best.step),
                  "test_accuracy_at_best_validation": test,
                  "gap_at_best_validation": number(best.train_accuracy) - test}
    return found


def _rows(record: Record, field: str, phase: int) -> list[Any]:
    """Return the phase's rows of a field of the record; rows that name no phase are the whole run's."""
    return [row for row in getattr(record, field) if getattr(row, "phase", phase) == phase]


def _sharpness(record: Record, phase: int) -> dict[str, Any]:
    """Return the sharpness where this phase ended, if it was measured there."""
    own = _rows(record, "sharpness", phase)
    return {name: getattr(own[-1], name.removeprefix("last_")) for name in SHARPNESS} if own else {}


def metric_rows(record: Record) -> list[dict[str, Any]]:
    """Return the metrics beside loss and accuracy at the last evaluation, one row each with the keys METRIC.

    The list is empty for a run that did not complete or has no evaluation.
    """
    if not record.evaluations or record.status != "completed":
        return []
    keys = _keys(record, 0, record.config.global_batch, "completed")
    own = {name: keys[name] for name in METRIC if name in keys}
    return [{**own, "part": part, "metric": metric, "value": number(value)}
            for name, value in record.evaluations[-1].metrics.items()
            for part, _, metric in [name.partition("_")]]
