"""The record: what one run leaves behind, raw, as `record.json`. Summaries are the analysis' business.

A field is described once, here; `problems` checks a record against the description and `reference` prints it as
Markdown. Numbers that were not measured, or are not finite, are null: absent is never 0.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..runs.run_config import RunConfig

SCHEMA_VERSION = 1
RESULT_STATUSES = ("completed", "diverged", "out_of_memory")

Number = (int, float)
Optional = (int, float, type(None))
BAR = r"\|"  # in a cell of a Markdown table
LARGEST_WHOLE = 2**63 - 1
CONFIG_TYPES: dict[str, type | tuple[type, ...]] = {"int": int, "float": Number, "str": str, "bool": bool}


@dataclass(frozen=True)
class Field:
    """One field: the types it may have in JSON, what it is (with its unit), and whether it may be left out."""

    types: type | tuple[type, ...]
    meaning: str
    required: bool = True


EVALUATION = {
    "phase": Field(int, "index of the phase (0 but for batches trained one after another on the same weights)"),
    "global_batch": Field(int, "global batch of the phase, examples"),
    "step": Field(int, "training steps done in this phase"),
    "epoch": Field(Number, "epochs done in this phase"),
    "examples": Field(int, "training examples seen in this phase"),
    "train_seconds": Field(Number, "seconds of training up to here in this phase; evaluation and tracing left out"),
    "loss_scale": Field(Number, "scale of the loss after this step, under mixed_float16", False),
    "skipped_steps": Field(int, "steps of this phase left out, whose gradient was not finite, under mixed_float16",
                           False),
    "train_loss": Field(Optional, "mean loss on the fixed subset of the training data, inference mode"),
    "train_accuracy": Field(Optional, "fraction right on the same subset", False),
    "validation_loss": Field(Optional, "mean loss on the validation data", False),
    "validation_accuracy": Field(Optional, "fraction right on the validation data", False),
    "test_loss": Field(Optional, "mean loss on the test data"),
    "test_accuracy": Field(Optional, "fraction right on the test data", False),
    "metrics": Field(dict, "the configuration's other metrics: train_<name>, validation_<name>, test_<name>, the mean "
                     "over the same examples", False),
    "reference_steps": Field(Optional, "under adascale: tau, how many of the reference batch's steps those done are "
                             "worth", False),
    "gain": Field(Optional, "under adascale: gain r of the last step, from 1 to kappa", False),
}
WINDOW = {
    "rank": Field(int, "rank that took the time"),
    "phase": Field(int, "index of the phase"),
    "start_step": Field(int, "first step of the window"),
    "steps": Field(int, "training steps in the window"),
    "seconds": Field(Number, "wall seconds between the device synchronisations at its ends"),
    "steady": Field(bool, "false for warm-up windows"),
}
OWN_WINDOW = {
    "rank": Field(int, "rank that took the time"),
    "host": Field(str, "its node"),
    "phase": Field(int, "index of the phase"),
    "steps": Field(int, "training steps in the window, without the exchange of gradients"),
    "seconds": Field(Number, "wall seconds, from a barrier on; no rank waits for another in between"),
}
ENERGY = {
    "rank": Field(int, "rank whose GPUs these are"),
    "start_millijoules": Field(list, "NVML's total energy counter of each of its GPUs before the timed windows; null: "
                               "none"),
    "end_millijoules": Field(list, "the same after them"),
    "examples": Field(int, "examples that all replicas trained on in between"),
}
GPU_READING = {
    "rank": Field(int, "rank whose GPU this is"),
    "window": Field(int, "timed window that had just ended"),
    "gpu": Field(int, "number among the rank's GPUs"),
    "power_milliwatts": Field(Optional, "power drawn, by NVML, which may average over the last second"),
    "power_limit_milliwatts": Field(Optional, "power that the GPU may draw"),
    "clock_mhz": Field(Optional, "clock of its multiprocessors"),
    "highest_clock_mhz": Field(Optional, "highest that this clock can be"),
    "busy_percent": Field(Optional, "share of NVML's last sampling period in which a kernel ran"),
}
GRADIENT_NORM = {
    "phase": Field(int, "index of the phase"),
    "step": Field(int, "training steps done at these weights"),
    "batch": Field(int, "b: examples per gradient"),
    "count": Field(int, "k: disjoint groups of b examples"),
    "mean_norm_squared": Field(Optional, "mean over the k groups of |g_b|^2"),
    "norm_squared_of_mean": Field(Optional, "|mean over the k groups of g_b|^2, the gradient of a batch of k b"),
}
SHARPNESS = {
    "phase": Field(int, "index of the phase"),
    "step": Field(int, "training steps done at these weights, the end of the run"),
    "learning_rate": Field(Number, "rate of the last step"),
    "examples": Field(int, "training examples it was measured on, the same in all runs; inference mode, float32"),
    "loss": Field(Optional, "their mean loss L(w)"),
    "gradient_norm": Field(Optional, "|g| of that loss"),
    "eigenvalue": Field(Optional, "the Hessian's eigenvalue that is largest in size, by power iteration; a few per "
                        "cent low where others are near it"),
    "products": Field(int, "Hessian-vector products taken"),
    "converged": Field(bool, "whether the last one changed it by at most 0.1 %"),
    "sam_sharpness": Field(Optional, "L(w + 0.05 g / |g|) - L(w)"),
}
MEMORY = {
    "baseline_bytes": Field(Optional, "resident size after import, data and model building"),
    "peak_bytes": Field(Optional, "largest resident size of rank 0's process while training"),
    "device_baseline_bytes": Field(Optional, "allocator's bytes in use before training; null on a CPU"),
    "device_peak_bytes": Field(Optional, "allocator's peak while training; null on a CPU"),
    "device_capacity_bytes": Field(Optional, "memory of the smallest GPU in use, by NVML; null where not told", False),
}
TIMING = {
    "data_seconds": Field(Number, "loading data and placing it on the device"),
    "build_seconds": Field(Number, "building the model and its initial weights"),
    "trace_seconds": Field(Number, "tracing and compiling"),
    "train_seconds": Field(Number, "training steps"),
    "evaluate_seconds": Field(Number, "evaluation and agreement checks"),
    "probe_seconds": Field(Number, "gradient norms, and timing each rank, input and model on their own"),
    "total_seconds": Field(Number, "the run, from claim to record"),
    "launch_seconds": Field(Number, "from the launcher's start to the process'; 0 but for a worker's first run", False),
    "import_seconds": Field(Number, "from the process' start until runs can be done; 0 but for a worker's first run",
                            False),
}
AGREEMENT = {
    "size_expected": Field(int, "ranks the launcher asked for"),
    "size": Field(int, "ranks that answered"),
    "replicas": Field(int, "replicas that trained"),
    "equal_after_broadcast": Field(bool, "weights bit for bit equal on all replicas before the first step"),
    "shards_disjoint_and_complete": Field(bool, "each example of an epoch seen by exactly one replica"),
    "equal_at_evaluations": Field(int, "evaluations at which all replicas' weights were bit for bit equal"),
}
WORKLOAD = {
    "source": Field(str, "what the data is, in one sentence"),
    "train_examples": Field(int, "N: training examples after the validation split"),
    "validation_examples": Field(int, "validation examples"),
    "test_examples": Field(int, "test examples"),
    "input_shape": Field((list, dict), "shape of one example; of several inputs a mapping from their names"),
    "classes": Field((int, dict), "number of classes; 0 for a regression; of several outputs a mapping from their "
                     "names"),
    "parameters": Field(int, "trainable parameters"),
    "flops_per_example": Field(Optional, "forward floating-point operations per example, 2 per multiply-add"),
    "flops_not_counted": Field(list, "kinds of operation that this number leaves out, with how often each occurs",
                               False),
    "baseline_accuracy": Field(Optional, "test accuracy of the training data's most common class; null without one",
                               False),
    "baseline_loss": Field(Optional, "test loss of an answer that ignores the inputs: the classes' shares, or the mean "
                           "of the training targets; null where not known", False),
}
RECORD = {
    "schema_version": Field(int, f"{SCHEMA_VERSION}"),
    "run_id": Field(str, "name of the run's folder"),
    "status": Field(str, "completed, diverged or out_of_memory"),
    "attempt": Field(int, "number of the attempt that wrote this"),
    "finished": Field(str, "UTC time, ISO 8601"),
    "config": Field(dict, "the RunConfig, every key"),
    "derived": Field(dict, "what follows from it: steps, rates, flags"),
    "workload": Field(dict, "see Workload"),
    "environment": Field(dict, "versions, host, devices, threads, variables; free-form, compared key by key"),
    "agreement": Field(dict, "see Agreement"),
    "evaluations": Field(list, "see Evaluation; ascending phase and step"),
    "windows": Field(list, "see Window; every rank's"),
    "own_windows": Field(list, "see Own window; every rank's, of timing runs of several ranks", False),
    "input_windows": Field(list, "see Window; batches read from disk, decoded and put on the device, without a model",
                           False),
    "synthetic_windows": Field(list, "see Window; the same steps on examples that are on the device already", False),
    "energy": Field(list, "see Energy; of timing runs on GPUs that count it", False),
    "gpus": Field(list, "see GPU reading; of timing runs on GPUs", False),
    "gradient_norms": Field(list, "see Gradient norm"),
    "sharpness": Field(list, "see Sharpness; of accuracy runs whose plan asks for it", False),
    "memory": Field(dict, "see Memory"),
    "timing": Field(dict, "see Timing"),
    "continues": Field(str, "the run with whose end the second phase begins, and whose evaluations the first has",
                       False),
    "resumed": Field(list, "checkpoints that later attempts went on from: attempt, phase and step of each", False),
    "warnings": Field(list, "sentences"),
    "content_hash": Field(str, "SHA-256 over all the rest as JSON with sorted keys and no spaces", False),
}
SECTIONS = {"workload": WORKLOAD, "agreement": AGREEMENT, "memory": MEMORY, "timing": TIMING}
ROWS = {"evaluations": EVALUATION, "windows": WINDOW, "own_windows": OWN_WINDOW,
        "input_windows": WINDOW, "synthetic_windows": WINDOW, "energy": ENERGY, "gpus": GPU_READING,
        "gradient_norms": GRADIENT_NORM, "sharpness": SHARPNESS}
TITLES = {"Record": RECORD, "Workload": WORKLOAD, "Agreement": AGREEMENT, "Evaluation": EVALUATION, "Window": WINDOW,
          "Own window": OWN_WINDOW, "Energy": ENERGY, "GPU reading": GPU_READING, "Gradient norm": GRADIENT_NORM,
          "Sharpness": SHARPNESS, "Memory": MEMORY, "Timing": TIMING}


def problems(record: object) -> list[str]:
    """What is wrong with a record, one sentence each; empty when it can be believed."""
    if not isinstance(record, dict):
        return ["a record is a JSON object"]
    if record.get("schema_version") != SCHEMA_VERSION:
        return [f"schema_version={record.get('schema_version')!r} is not {SCHEMA_VERSION}"]
    found = list(_check(record, RECORD, "record"))
    if not found:
        for name, fields in SECTIONS.items():
            if record["status"] != "out_of_memory" or record[name]:
                found += _check(record[name], fields, name)
        found += _config(record["config"])
        for name, fields in ROWS.items():
            for index, row in enumerate(record.get(name, ())):
                found += _check(row, fields, f"{name}[{index}]")
        found += [] if found else _phases(record)
        if record["status"] not in RESULT_STATUSES:
            found.append(f"status={record['status']!r} is none of {', '.join(RESULT_STATUSES)}")
    return found


def _check(values: object, fields: Mapping[str, Field], where: str) -> Iterator[str]:
    if not isinstance(values, dict):
        yield f"{where} is not an object"
        return
    for name, field in fields.items():
        if name not in values:
            if field.required:
                yield f"{where}.{name} is missing"
        elif not _is(values[name], field.types):
            yield f"{where}.{name}={str(values[name])[:40]!r} has the wrong type"


def _config(config: Mapping[str, Any]) -> Iterator[str]:
    """Keys that a configuration has here must have their types; others are a later version's."""
    for field in dataclasses.fields(RunConfig):
        if field.name in config:
            if not _fits(config[field.name], str(field.type)):
                yield f"config.{field.name}={str(config[field.name])[:40]!r} has the wrong type"
        elif field.default is dataclasses.MISSING:
            yield f"config.{field.name} is missing"
    for name in ("global_batch", "replicas"):
        if _is(config.get(name), int) and config[name] < 1:
            yield f"config.{name}={config[name]} must be greater than 0"


def _fits(value: object, kind: str) -> bool:
    """Whether a value in JSON can be of this type of a RunConfig."""
    if kind.startswith("tuple["):
        return isinstance(value, list) and all(_fits(item, kind[6:].partition(",")[0]) for item in value)
    types = CONFIG_TYPES.get(kind)
    return types is None or _is(value, types)


def _phases(record: Mapping[str, Any]) -> Iterator[str]:
    """A row's phase is one of the configuration's batches."""
    count = len(record["config"].get("earlier_batches", ())) + 1
    for name in ROWS:
        for index, row in enumerate(record.get(name, ())):
            if not 0 <= row.get("phase", 0) < count:
                yield f"{name}[{index}].phase={row['phase']} is not among the {count} of its configuration"


def _is(value: object, types: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return types is bool
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return False
    return isinstance(value, types) and not (isinstance(value, float) and not math.isfinite(value))


def finite(value: Any) -> Any:
    """`value` as JSON can hold it, everywhere inside: NaN and infinities become null, bytes of a path that are no UTF-8
    their escapes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def reference() -> str:
    """The description above as Markdown tables."""
    parts = []
    for title, fields in TITLES.items():
        rows = "\n".join(f"| `{name}` | {field.meaning.replace('|', BAR)} | "
                         f"{'' if field.required else 'may be absent'} |" for name, field in fields.items())
        parts.append(f"### {title}\n\n| field | what it is | |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)
