"""Trainings of other tools as runs that are judged against each other, where all is known that this needs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..columns import METRICS
from .imported_run import Found, ImportedRun
from .registry import KINDS, TRAINING

BATCH_WORD = "batch"
PLAIN_REFERENCE = 32
LONGEST_LISTED = 3
ACCURACY = "accuracy"


def judged(found: Found, train_examples: int | None) -> Found:
    """Return trainings with the steps and examples that follow from batch and size of the data, as runs of kind
    accuracy where several batches, a rule and that size are known; else a note says what to add.

    Runs of other kinds stay as they are.
    """
    size = {} if train_examples is None else {"train_examples": train_examples}
    runs = [_placed(replace(run, columns={**run.columns, **size})) if run.columns["kind"] == TRAINING else run
            for run in found.runs]
    own = [run for run in runs if run.columns["kind"] == TRAINING]
    notes = list(_lacking(own))
    if own and not notes and len({run.columns["global_batch"] for run in own}) > 1:
        notes, runs = list(_said(own)), list(_accuracy_runs(runs))
    return replace(found, runs=tuple(runs), notes=(*found.notes, *notes))


def _lacking(runs: Sequence[ImportedRun]) -> Iterator[str]:
    """What keeps these runs from being judged, with the line that would supply it."""
    without = [run for run in runs if "global_batch" not in run.columns]
    if without:
        whose = "The global batch is not known" if len(without) == len(runs) else (
            f"The global batch of {len(without):,} of {len(runs):,} runs is not known")
        yield (f"{whose}: add it with --set global_batch=64, or from the paths with --map "
               rf"'batch(?P<global_batch>\d+)'.{_candidates(without[0])}")
        return
    if len({run.columns["global_batch"] for run in runs}) < 2:
        return
    needs = {"rule": "--set rule=constant (how the rate follows the batch)",
             "train_examples": "--train-examples N (examples of an epoch)"}
    missing = [words for column, words in needs.items() if any(column not in run.columns for run in runs)]
    if missing:
        yield f"To judge the batches against each other, add {' and '.join(missing)}."
    elif not all(_result(run) for run in runs):
        yield ("A run without a loss or an accuracy on validation or test examples cannot be judged, so none is; "
               "import the others alone, or name its values with --map validation_loss=NAME.")


def _candidates(run: ImportedRun) -> str:
    """Words of the file that look like a batch."""
    found = [(name, value) for name, value in run.words.items() if BATCH_WORD in name.lower()
             and isinstance(value, (int, float, str)) and str(value).isdigit()]
    return "".join(f" The file has {name}={value}: if that is the batch of all replicas, --map global_batch={name}."
                   for name, value in found[:LONGEST_LISTED])


def _placed(run: ImportedRun) -> ImportedRun:
    """With steps, epochs and examples of each evaluation as far as they follow from one another."""
    batch, size = (float(run.columns.get(name) or math.nan) for name in ("global_batch", "train_examples"))
    given = {name: list(values) for name, values in run.evaluations.items()}
    count = max((len(values) for values in given.values()), default=0)
    if not count or not batch > 0:
        return run
    empty = [math.nan] * count
    steps, epochs = (given.get(name, empty) for name in ("step", "epoch"))
    # The last step of an epoch may be of fewer examples, or left out; the epoch counts them whole.
    examples = [epoch * size if math.isfinite(epoch * size) else step * batch for step, epoch in zip(steps, epochs)]
    derived = {"examples": examples, "step": [step if math.isfinite(step) else number / batch // 1
                                              for step, number in zip(steps, examples)],
               "epoch": [epoch if math.isfinite(epoch) else number / size for epoch, number in zip(epochs, examples)],
               "global_batch": [batch] * count}
    known = {name: array("d", values) for name, values in derived.items() if any(map(math.isfinite, values))}
    return replace(run, evaluations={**run.evaluations, **known})


def _result(run: ImportedRun) -> str:
    """The part whose values stand for the test: test itself, else validation; "" without either."""
    return next((part for part in ("test", "validation") for metric in ("accuracy", "loss")
                 if f"{part}_{metric}" in run.columns), "")


def _said(runs: Sequence[ImportedRun]) -> Iterator[str]:
    if any(_result(run) == "validation" for run in runs):
        yield ("Validation examples stand for test examples, which these files do not have: what was chosen by them "
               "looks better than it is.")
    if any("seed" not in run.columns for run in runs):
        yield "Seeds are not told: repeats of a batch are numbered as they come."
    if any("reference_batch" not in run.columns for run in runs):
        yield f"Batches are compared to batch {_reference(runs):,}; --set reference_batch=N chooses another one."


def _reference(runs: Sequence[ImportedRun]) -> int:
    batches = {int(run.columns["global_batch"]) for run in runs}
    return PLAIN_REFERENCE if PLAIN_REFERENCE in batches else min(batches)


def _accuracy_runs(runs: Sequence[ImportedRun]) -> Iterator[ImportedRun]:
    reference = _reference([run for run in runs if run.columns["kind"] == TRAINING])
    repeats: dict[tuple[object, ...], int] = {}
    for run in runs:
        if run.columns["kind"] != TRAINING:
            yield run
            continue
        group = tuple(run.columns.get(name) for name in ("experiment", "rule", "global_batch", "base_learning_rate"))
        seed = repeats[group] = repeats.get(group, -1) + 1
        epochs = max((value for value in run.evaluations.get("epoch", ()) if math.isfinite(value)), default=1.0)
        defaults = {"reference_batch": reference, "seed": seed, "epochs": max(1, math.ceil(epochs - 1e-6))}
        part = _result(run)
        columns = {**defaults, **run.columns, **_as_test(run.columns, part), "kind": ACCURACY}
        assert set(KINDS[ACCURACY].needed) <= set(columns)
        yield replace(run, columns=columns, evaluations={**run.evaluations, **_as_test(run.evaluations, part)})


def _as_test(values: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The values of the part under the names of the test; none of the test itself."""
    return {name.replace(part, "test"): values[name] for name in METRICS
            if part == "validation" and name.startswith(part) and name in values}
