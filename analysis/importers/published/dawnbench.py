"""A DAWNBench training entry: a TSV of epoch, hours and accuracies in percent, and a JSON of the same name that says
what was trained on what, at which price.

The result is the first row that reaches the target: 94 % top-1 on CIFAR10, 93 % top-5 on ImageNet. Entries say neither
batch size nor seed, and their hours are their own clocks'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..imported_run import as_number, Found, ImportedRun, label, number, Options, Target
from ..registry import TRAINING
from ..sources import json_value, Sources

QUESTION = "How long does each entry train to the target, and at what price?"
HINT = "a DAWNBench training entry such as fastai_pytorch.tsv, or a folder of them"
NEEDED = ("epoch", "hours", "top1Accuracy")
KNOWN = (*NEEDED, "top5Accuracy")
TARGETS = {"CIFAR10": Target("top1Accuracy", ">=", 94.0), "ImageNet": Target("top5Accuracy", ">=", 93.0)}
MOST_ROWS = 100_000
FACTS = ("author", "framework", "model", "hardware", "costPerHour", "timestamp", "version")


def recognizes(sample: Sample) -> bool:
    """Return whether a file has an entry's header."""
    header = [name.strip() for name in sample.first_line.split("\t")]
    return all(name in header for name in NEEDED)


def read(sources: Sources, options: Options) -> Found:
    """Return each entry as a run: accuracies as fractions, and seconds and epochs to the target where it is reached.

    In a folder, tables of other tasks are left out with a note. Raises RecordError for a table that lacks a column or
    holds a cell that is no hour, epoch or per cent, and where no entry is left.
    """
    folder = sources.is_folder()
    paths = sources.below(".tsv") if folder else [sources.path]
    notes, runs = [], []
    for path in paths:
        try:
            runs.append(_run(sources, path, options.target))
        except NotThisTask as other:
            if not folder:
                raise
            notes.append(f"{other} It was left out.")
    if not runs:
        raise RecordError(f"{sources.named(sources.path)} holds no entry; give {HINT}.")
    if not all(run.columns.get("dataset") or options.target for run in runs):
        notes.append("Entries outside a folder CIFAR10 or ImageNet have no target of their own; give --target "
                     "'top1Accuracy>=94' for a time to it.")
    return Found(tuple(runs), QUESTION, tuple(notes))


class NotThisTask(RecordError):
    """A table of another DAWNBench task, which has no accuracy."""


def _run(sources: Sources, path: Path, chosen: Target | None) -> ImportedRun:
    columns = _table(sources, path)
    facts = _facts(sources, path)
    task = next((part for part in reversed(path.absolute().parts[:-1]) if part in TARGETS), "")
    target = chosen or TARGETS.get(task)
    if target is not None and target.metric not in columns:
        raise RecordError(f"{sources.named(path)} has no column {target.metric[:60]!r}, which its target is about; it "
                          f"has {', '.join(columns)}.")
    seconds = [hours * 3600 for hours in columns["hours"]]
    at = next((i for i, value in enumerate(columns[target.metric]) if target.reached(value)), None) if target else None
    known = {"price_per_hour": number(facts.get("costPerHour")), "total_seconds": seconds[-1],
             "test_accuracy": columns["top1Accuracy"][-1] / 100}
    if at is not None:
        known |= {"seconds_to_target": seconds[at], "epochs_to_target": columns["epoch"][at]}
    name = label(path.stem) or "entry"
    curve = {"epoch": columns["epoch"], "elapsed_seconds": seconds,
             "test_accuracy": [value / 100 for value in columns["top1Accuracy"]]}
    if "top5Accuracy" in columns:
        curve["test_top5_accuracy"] = [value / 100 for value in columns["top5Accuracy"]]
    never = f"never reached {target}" if target is not None and at is None else ""
    return ImportedRun(
        {"run_id": name, "status": "completed", "kind": TRAINING, "dataset": task, "flags": never,
         "experiment": ", ".join(part for part in (task, str(target or "")) if part) or "no target",
         "model": label(facts.get("model")), "reference_point": name,
         **{key: value for key, value in known.items() if math.isfinite(value) and value >= 0}}, curve,
        environment={"devices": label(facts.get("hardware"))},
        words={key: label(facts[key]) if isinstance(facts[key], str) else facts[key] for key in FACTS
               if isinstance(facts.get(key), (str, int, float))})


def _table(sources: Sources, path: Path) -> dict[str, list[float]]:
    """The known columns of the TSV, in its own units. Cells may have spaces around them."""
    rows = [line.split("\t") for line in sources.lines(path, HINT) if line.strip()]
    header = [cell.strip() for cell in rows[0]] if rows else []
    where = sources.named(path)
    if "f1Score" in header:
        raise NotThisTask(f"{where} is about an F1 score, which is no accuracy.")
    missing = [name for name in NEEDED if name not in header]
    if missing or len(set(header)) < len(header):
        raise RecordError(f"{where} has {', '.join(repr(name[:30]) for name in header[:6]) or 'nothing'}; expected the "
                          f"columns {', '.join(NEEDED)} and perhaps top5Accuracy, once each, with tabs between.")
    if not 2 <= len(rows) <= MOST_ROWS:
        raise RecordError(f"{where} has {len(rows) - 1:,} rows; expected 1 to {MOST_ROWS - 1:,}.")
    extra = next((index for index, row in enumerate(rows) if any(cell.strip() for cell in row[len(header):])), None)
    if extra is not None:
        raise RecordError(f"{where}, row {extra} has more cells than the header.")
    columns = {name: list(_cells(rows[1:], header.index(name), name, where)) for name in KNOWN if name in header}
    _refuse_fractions(columns, where)
    order = sorted(range(len(rows) - 1), key=lambda row: (columns["hours"][row], columns["epoch"][row]))
    return {name: [values[row] for row in order] for name, values in columns.items()}


def _refuse_fractions(columns: Mapping[str, Sequence[float]], where: str) -> None:
    """Raise RecordError for an accuracy that never exceeds 1: as per cent it would be below chance."""
    for name, values in columns.items():
        if name.endswith("Accuracy") and 0 < max(values) <= 1:
            row = max(range(len(values)), key=values.__getitem__) + 1
            raise RecordError(f"{where}, row {row}: {name}={max(values):g} is the largest, so these are fractions; an "
                              f"entry has per cent: write {100 * max(values):g}.")


def _cells(rows: Sequence[Sequence[str]], at: int, name: str, where: str) -> Iterator[float]:
    most = 100.0 if name.endswith("Accuracy") else 1e9
    for index, row in enumerate(rows):
        value = as_number(row[at].strip()) if at < len(row) else None
        if value is None or not 0 <= value <= most:
            cell = row[at][:30] if at < len(row) else ""
            raise RecordError(f"{where}, row {index + 1}: {name}={cell!r} must be a number from 0 to {most:g}.")
        yield value


def _facts(sources: Sources, path: Path) -> Mapping[str, Any]:
    """The entry's JSON; nothing where there is none."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        text = sources.content(beside, "the entry's own JSON").decode("utf-8-sig", "replace")
        value = json_value(text)
    except RecordError as error:
        raise RecordError(f"{sources.named(beside)}: {str(error).rstrip('.')}.") from None
    return value if isinstance(value, Mapping) else {}
