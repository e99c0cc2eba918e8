"""Shallue et al.'s measurements (2019): a search for metaparameters at every batch size of a workload.

DATASET/MODEL/OPTIMIZER/BATCH/study.json says what was searched; beside it TRIAL/metadata.json and
TRIAL/measurements.csv hold each trial. steps(B) is the first evaluation past the target, best over the complete trials.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..imported_run import (as_number, BEST_TRIAL, Found, ImportedRun, label, LARGEST, number, Options, Target,
                            whole)
from ..registry import CONVERGENCE
from ..sources import json_value, Sources

QUESTION = "How many steps does the target take at each batch size, at the best metaparameters?"
HINT = "a folder with BATCH/study.json and BATCH/TRIAL/measurements.csv"
STATUSES = {"COMPLETE": "completed", "INFEASIBLE": "diverged"}  # INCOMPLETE trials can be ignored, says the data
# The paper's targets (its figure 1), by data set and model.
TARGETS = {("mnist", "simple_cnn_base"): Target("val/classification_error", "<", 0.01),
           ("fashion_mnist", "simple_cnn_base"): Target("val/classification_error", "<", 0.1),
           ("cifar_10", "resnet_8"): Target("val/classification_error", "<", 0.3),
           ("imagenet", "resnet_50"): Target("val/classification_error", "<", 0.25),
           ("imagenet", "vgg_11"): Target("val/classification_error", "<", 0.35),
           ("open_images_v4", "resnet_50"): Target("val/average_precision", ">", 0.31),
           ("lm1b", "transformer_base"): Target("val/cross_entropy_error", "<", 3.9),
           ("lm1b", "lstm"): Target("val/cross_entropy_error", "<", 3.9),
           ("common_crawl", "transformer_base"): Target("val/cross_entropy_error", "<", 3.9)}
# Their columns that are ours: an accuracy is 1 - classification_error.
PARTS = {"train": "train", "val": "validation", "test": "test"}
ERRORS = {"cross_entropy_error": "loss", "classification_error": "accuracy"}
OURS = {f"{theirs}/{error}": f"{ours}_{metric}" for theirs, ours in PARTS.items() for error, metric in ERRORS.items()}
MOST_ROWS = 100_000


def recognizes(sample: Sample) -> bool:
    """Return whether a folder holds a study."""
    return any(Path(name).name == "study.json" for name in sample.names)


def read(sources: Sources, options: Options) -> Found:
    """Return the trials of every study.json below a folder as runs, with the steps each took to the target.

    The target is the option's, else the paper's (TARGETS). Raises RecordError for a file or folder of another layout,
    for a file that cannot be believed, and where no target is known.
    """
    if not sources.is_folder():
        raise RecordError(f"{sources.named(sources.path)} is no folder; give {HINT}.")
    studies = [path for path in sources.below("study.json") if path.name == "study.json"]
    if not studies:
        raise RecordError(f"{sources.named(sources.path)} holds no study.json; give {HINT}.")
    runs: list[ImportedRun] = []
    ignored, targets = 0, dict[str, str]()
    for path in studies:
        found, left_out, name, target = _study(sources, path, options.target)
        runs, ignored = runs + found, ignored + left_out
        targets[name] = str(target)
    notes = [f"{ignored:,} trials are INCOMPLETE and were left out."] if ignored else []
    notes += [f"{name}: the target is {target}, "
              + ("given with --target." if options.target else "the paper's.") for name, target in targets.items()]
    return Found(tuple(runs), QUESTION, tuple(notes), {"targets": targets})


def _study(sources: Sources, path: Path, chosen: Target | None) -> tuple[list[ImportedRun], int, str, Target]:
    """The trials of one batch, how many were left out, the workload's name and its target."""
    where, study = sources.named(path), _json(sources, path)
    dataset, model, optimizer = (label(study.get(key)) for key in ("dataset", "model", "optimizer"))
    batch = whole(study.get("batch_size"), f"{where}: batch_size")
    target = chosen or TARGETS.get((dataset, model))
    if target is None:
        raise RecordError(f"{where}: no target is known for {model or 'no model'} on {dataset or 'no data set'}; give "
                          "one with --target, such as 'val/classification_error<0.3'.")
    name = ", ".join(part for part in (dataset, model, optimizer) if part) or "not named"
    keys = {"dataset": dataset, "model": model, "optimizer": optimizer, "experiment": name, "kind": CONVERGENCE,
            "global_batch": batch, "rule": BEST_TRIAL, "reference_point": f"{name}, batch {batch:,}"}
    runs, left_out = [], 0
    for trial in sorted((int(p.name), p) for p in path.parent.iterdir() if _is_trial(p)):
        run = _trial(sources, trial[1], trial[0], keys, target)
        runs += [run] if run else []
        left_out += run is None
    return runs, left_out, name, target


def _is_trial(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit() and len(path.name) < 10 and path.is_dir()


def _trial(sources: Sources, folder: Path, index: int, keys: Mapping[str, Any], target: Target) -> ImportedRun | None:
    about = _json(sources, folder / "metadata.json")
    status = about.get("status")
    if status == "INCOMPLETE":
        return None
    if not isinstance(status, str) or status not in STATUSES:
        raise RecordError(f"{sources.named(folder)}: status={str(status)[:40]!r} is none of COMPLETE, INCOMPLETE, "
                          "INFEASIBLE.")
    chosen = about.get("parameters")
    chosen = chosen if isinstance(chosen, Mapping) else {}
    curve, steps = _measurements(sources, folder / "measurements.csv", int(keys["global_batch"]), target)
    passed = steps if status == "COMPLETE" else math.nan
    known = {"steps_to_target": passed, "examples_to_target": passed * int(keys["global_batch"]),
             "base_learning_rate": number(chosen.get("learning_rate")), "momentum": number(chosen.get("momentum")),
             "last_step": number(about.get("steps"))}
    flags = "" if math.isfinite(passed) else f"never reached {target}" if status == "COMPLETE" else "INFEASIBLE"
    return ImportedRun({**keys, "run_id": f"{keys['reference_point']}, trial {index}", "status": STATUSES[status],
                        "trial": index, "flags": flags,
                        **{name: value for name, value in known.items() if abs(value) <= LARGEST}}, curve,
                       words={label(str(name)): value for name, value in chosen.items()
                              if isinstance(value, (int, float)) and len(chosen) < 100})


def _json(sources: Sources, path: Path) -> Mapping[str, Any]:
    try:
        value = json_value(sources.content(path, HINT).decode("utf-8", "replace"))
    except RecordError as error:
        raise RecordError(f"{sources.named(path)}: {str(error).rstrip('.')}.") from None
    if not isinstance(value, Mapping):
        raise RecordError(f"{sources.named(path)} is no JSON object; give {HINT}.")
    return value


def _measurements(sources: Sources, path: Path, batch: int, target: Target) -> tuple[dict[str, array[float]], float]:
    """The columns that are ours, and the steps of the first evaluation past the target; NaN if none is.

    A start that is past it counts as one step.
    """
    where, lines = sources.named(path), list(sources.lines(path, HINT))
    rows = _rows(lines, where)
    header = next(rows, [])
    if "step" not in header or target.metric not in header or len(set(header)) < len(header):
        raise RecordError(f"{where} has the columns {', '.join(name[:40] for name in header[:8]) or 'none'}; expected "
                          f"step and {target.metric[:60]}, once each.")
    ours = {header.index(theirs): name for theirs, name in OURS.items() if theirs in header}
    curve = {name: array("d") for name in ("step", "examples", "global_batch", *ours.values())}
    steps, at = math.nan, header.index(target.metric)
    for index, row in enumerate(rows):
        step = as_number(row[header.index("step")]) if len(row) == len(header) else None
        if step is None or step < 0 or step != int(step) or index >= MOST_ROWS:
            raise RecordError(f"{where}, row {index + 1}: expected {len(header)} cells with a whole step, in at most "
                              f"{MOST_ROWS:,} rows.")
        curve["step"].append(step)
        curve["examples"].append(step * batch)
        curve["global_batch"].append(batch)
        for column, name in ours.items():
            value = number(as_number(row[column]))
            curve[name].append(1 - value if name.endswith("accuracy") else value)
        measured = as_number(row[at])
        if math.isnan(steps) and measured is not None and target.reached(measured):
            steps = max(step, 1.0)
    return curve, steps


def _rows(lines: list[str], where: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(lines, strict=True) if row)
    except csv.Error as error:
        raise RecordError(f"{where} is no CSV: {str(error)[:80]}.") from None
