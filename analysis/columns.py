"""What each column of the exported tables is, with its unit; the README beside them, and what `import csv` takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..benchmarks.decoding import meanings
from ..benchmarks.records.rows import Agreement, Evaluation, GradientNorm, Memory, Sharpness, Timing, Window
from .meter_columns import METER_COLUMNS

METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
           "test_loss", "test_accuracy")
# elapsed_seconds: another tool's clock from the start of a run, which may count evaluation.
EVALUATION = ("phase", "global_batch", "step", "epoch", "examples", "train_seconds", *METRICS, "test_top5_accuracy",
              "elapsed_seconds")


WINDOW = ("rank", "phase", "start_step", "steps", "seconds", "steady")
GRADIENT_NORM = ("phase", "step", "batch", "count", "mean_norm_squared", "norm_squared_of_mean")
MEMORY = ("baseline_bytes", "peak_bytes", "device_baseline_bytes", "device_peak_bytes", "device_capacity_bytes",
          "device_used_bytes")
TIMING = ("data_seconds", "build_seconds", "trace_seconds", "train_seconds", "evaluate_seconds",
          "probe_seconds", "total_seconds", "launch_seconds", "import_seconds")


WHOLE = ("phase", "step", "examples", "rank", "start_step", "steps", "batch", "count",
         "global_batch")

# Columns of every frame: which run a row belongs to and what was varied.
TEXT_KEYS = ("experiment", "kind", "dataset", "model", "loss", "optimizer", "strategy", "transport",
             "exchange", "placement", "rule", "scaling", "precision", "tf32")


WHOLE_KEYS = ("phase", "replicas", "nodes", "cores_per_replica", "accumulation", "global_batch",
              "replica_batch", "reference_batch", "train_examples", "seed", "launch", "epochs", "steps_per_epoch",
              "steps", "trial", "stops_after")


KEYS = ("run_id", "status", *TEXT_KEYS, *WHOLE_KEYS)
SHARPNESS = ("eigenvalue", "sam_sharpness", "last_learning_rate")
NUMBERS = ("base_learning_rate", "peak_learning_rate", "momentum", "weight_kept_per_epoch", "warmup_steps", "mean_gain",
           *SHARPNESS, "parameters", "flops_per_example", "classes", "baseline_accuracy", "baseline_loss",
           "validation_examples", "test_examples", "last_step", *METRICS,
           "generalization_gap", "loss_gap",
           "best_validation_step", "test_accuracy_at_best_validation", "gap_at_best_validation",
           "step_seconds", "examples_per_second", "window_spread", "input_examples_per_second",
           "synthetic_examples_per_second", "model_flops_utilization", *METER_COLUMNS, "epochs_to_target",
           "examples_to_target", "steps_to_target", "seconds_to_target", "price_per_hour", *TIMING, *MEMORY)


# What a column's values can be at all. Times and rates are positive and what disturbs them multiplies them, so they
# are averaged by their logarithms; fractions lie in [0, 1] and counts at 0 or above, whatever an interval would say.
PROPORTIONAL = frozenset({"step_seconds", "own_step_seconds", "examples_per_second", "input_examples_per_second",
                          "synthetic_examples_per_second", "model_flops_utilization", "joules_per_example",
                          "gpu_watts", *TIMING})
FRACTIONS = frozenset({"train_accuracy", "validation_accuracy", "test_accuracy", "test_top5_accuracy",
                       "test_accuracy_at_best_validation", "gpu_clock_share", "gpu_busy_share"})
DIFFERENCES = frozenset({"generalization_gap", "gap_at_best_validation"})  # of two fractions
COUNTS = frozenset({"mean_gain", "last_step", "steps", "epochs_to_target", "examples_to_target", "steps_to_target",
                    "seconds_to_target", "growth_bytes", "window_spread"})
REPEATS = {"accuracy": "seeds", "throughput": "launches", "memory": "runs"}
"""By the kind of a run, what is counted where it is repeated."""


def possible(column: str) -> tuple[float, float]:
    """Return the least and the greatest value that a column can have."""
    if column in FRACTIONS:
        return 0.0, 1.0
    if column in DIFFERENCES:
        return -1.0, 1.0
    return (0.0, math.inf) if column in PROPORTIONAL | COUNTS else (-math.inf, math.inf)


METRIC = ("run_id", "experiment", "placement", "rule", "global_batch", "seed", "part", "metric", "value")
CHECKS = ("size_expected", "size", "equal_after_broadcast", "shards_disjoint_and_complete",
          "equal_at_evaluations")
# `source`: what the data is. `reference_point`: the part of another tool's file that an imported run comes from.
RUN = (*KEYS, *NUMBERS, *CHECKS, "affinity", "flags", "finished", "source", "reference_point",
       "continues", "environment")
# What a frame of rows of its own repeats from `runs`.
REPEATED = ("run_id", "status", "experiment", "kind", "dataset", "model", "optimizer", "strategy",
            "transport", "exchange", "placement", "rule", "scaling", "replicas", "replica_batch",
            "reference_batch", "train_examples", "seed", "launch", "epochs")


OWN = {
    "run_id": "name of the run; the phases of a run share it",
    "status": "completed, diverged, out_of_memory; of a run without a record what became of it",
    "experiment": "name of the experiment, or of the other tool's benchmark",
    "kind": "accuracy, throughput, memory; imported also convergence (to a target), training (a curve), timing",
    "dataset": "name of the data", "model": "name of the model",
    "loss": "what is minimized; empty: not told", "optimizer": "name of the optimizer",
    "strategy": "how replicas train together", "transport": "gloo or mpi, of Horovod",
    "exchange": "of gradients: one, in one piece; groups, each as soon as it is there; empty: not told",
    "placement": "strategy, transport, exchange in groups, replicas and accumulation in one word",
    "rule": "learning-rate rule; imported also best_trial: trials of which the best at a batch counts",
    "scaling": "weak (fixed batch per replica) or strong (fixed global batch), of timing runs",
    "precision": "of weights and arithmetic",
    "tf32": "whether a GPU rounded the factors of float32 products to 10 bits: yes, no; empty: no GPU, or not told",
    "phase": "index of the phase",
    "replicas": "devices that train together", "nodes": "hosts", "cores_per_replica": "CPU cores of a replica",
    "accumulation": "micro-batches of a step", "global_batch": "examples per training step, of all replicas",
    "replica_batch": "examples per micro-batch of one replica",
    "reference_batch": "global batch that the others are compared to",
    "train_examples": "N: training examples of an epoch", "seed": "of weights and order",
    "launch": "number of the independent launch of a timing point", "epochs": "planned length, epochs",
    "steps_per_epoch": "training steps of an epoch", "steps": "planned length, training steps",
    "trial": "number of a tuned arm's trial; -1: none",
    "stops_after": "epochs after which a trial ended, before its planned length; 0: none",
    "base_learning_rate": "learning rate at the reference batch, or as another tool states it",
    "peak_learning_rate": "learning rate after warm-up; under adascale what the gain multiplies",
    "momentum": "of the optimizer",
    "weight_kept_per_epoch": "what decoupled weight decay alone leaves of a weight after an epoch at the peak rate",
    "warmup_steps": "steps of gradual warm-up; 0: none",
    "mean_gain": "under adascale: how many of the reference batch's steps one step was worth",
    "sam_sharpness": "how much the loss rises within a step of length 0.05 along the gradient",
    "last_learning_rate": "rate of the last step, where sharpness was measured",
    "parameters": "trainable parameters", "flops_per_example": "forward floating-point operations per example",
    "classes": "number of classes; 0: a regression; empty: several outputs, or not known",
    "baseline_accuracy": "test accuracy of the training data's most common class",
    "baseline_loss": "test loss of an answer that ignores the inputs",
    "validation_examples": "examples behind the validation columns",
    "test_examples": "examples behind the test columns",
    "last_step": "training steps done", "generalization_gap": "train minus test accuracy at the end, a fraction",
    "loss_gap": "test minus train loss at the end", "best_validation_step": "step of the least validation loss",
    "test_accuracy_at_best_validation": "fraction right there",
    "gap_at_best_validation": "train minus test accuracy there",
    "step_seconds": "median seconds of a training step, or of a round of pytest-benchmark",
    "examples_per_second": "training examples per second of all replicas",
    "window_spread": "standard deviation over mean of a launch's windows, a fraction",
    "input_examples_per_second": "what the input from disk alone delivers, no model behind it",
    "model_flops_utilization": "three times the forward operations over the peak rate of the GPUs, a fraction; empty: "
                               "a card or an arithmetic whose peak is not known here",
    "synthetic_examples_per_second": "what the model alone trains on examples in memory, beside input from disk",
    "epochs_to_target": "epochs until the target is passed",
    "examples_to_target": "training examples until the target is passed",
    "steps_to_target": "training steps until the target is passed; empty: never, or not known",
    "seconds_to_target": "seconds until the target is passed, by the other tool's clock",
    "price_per_hour": "of all the devices, as the other tool states it",
    "affinity": "CPU cores used, in a comma-separated list", "flags": "warnings, in sentences",
    "finished": "UTC time, ISO 8601", "source": "what the data is, in one sentence",
    "reference_point": "the part of another tool's file that the run comes from",
    "continues": "the run with whose end this one begins",
    "environment": "number of the machine and software, as the report's provenance counts them",
    "test_top5_accuracy": "fraction of test examples whose class is among the five likeliest",
    "elapsed_seconds": "seconds since the start by another tool's clock, which may count evaluation",
    "measure": "which number `value` is: a column of results.csv, in its unit", "value": "the number",
    "repeat": "seed of an accuracy run, launch of a timing run",
    "chosen": "false of a tuned arm's trials that do not stand for their batch",
    "own_step_seconds": "seconds of a step without the exchange of gradients", "host": "the node",
}
ROWS = (Evaluation, Window, GradientNorm, Sharpness, Memory, Timing, Agreement)


MEANINGS = {**{name: meaning for kind in ROWS for name, meaning in meanings(kind).items()},
            **{name: column.meaning for name, column in METER_COLUMNS.items()}, **OWN}
FIGURE = {"series": "label of the line, bar or row", "x": "place, in the unit of x_label; of bars, the part",
          "value": "in the unit of y_label", "low": "lower end of the 95 % interval; empty: none",
          "high": "its upper end", "n": "how many runs, launches or seeds are in it; 0: a law's line",
          "x_label": "name and unit of x", "y_label": "name and unit of value"}


def reference(names: Iterable[str] = RUN) -> str:
    """Return the meanings of columns as a Markdown table. Raises KeyError for a column without a meaning."""
    rows = "\n".join(f"| `{name}` | {MEANINGS[name].rstrip('.')} |" for name in names)
    return f"| column | what it is |\n|---|---|\n{rows}\n"


def readme(tables: dict[str, Sequence[str]], figures: bool = False) -> str:
    """Return the Markdown page that explains exported files. tables: name of a CSV file -> its columns.

    figures: whether to explain the figures' files too. Raises KeyError for a column without a meaning.
    """
    parts = ["# The numbers behind the report", "One run a row in results.csv; the other tables are long, one reading "
             "a row, with the columns of their run repeated. Fractions are from 0 to 1, times in seconds, memory in "
             "bytes. An empty cell was not measured; it is never 0. `batchscale import csv results.csv` reads "
             "results.csv back."]
    parts += [f"## {name}\n\n{reference(columns)}" for name, columns in tables.items()]
    if figures:
        rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in FIGURE.items())
        parts.append("## figures/*.csv\n\nWhat each figure shows, one point a row.\n\n| column | what it is |\n"
                     f"|---|---|\n{rows}\n")
    return "\n\n".join(parts)
