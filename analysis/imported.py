"""Other tools' results in a results folder of ours: written once, read into the same table as our own records.

RESULTS/<name>/plan.json has no runs to do and, under `imported`, what the other file said in its own words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..benchmarks.errors import RecordError, one_of
from ..benchmarks.store import Store, read_json, write_json
from . import mlperf_rcp
from .rows import TEXT_KEYS, number

FORMATS = (mlperf_rcp.FORMAT,)
KIND = "convergence"
QUESTION = "How much training does the target take at each batch size?"


def write(path: Path, results: Path, form: str = mlperf_rcp.FORMAT, train_examples: int | None = None) -> Store:
    """Import a file into RESULTS/<its name>; doing it again changes nothing. Returns the store.

    train_examples: of one epoch, where the format does not say it. Raises RecordError for a file that cannot be
    believed, and for a folder that holds something else.
    """
    if form not in FORMATS:
        raise RecordError(one_of("format", form, FORMATS))
    found = mlperf_rcp.read(path)
    store = Store(results / _folder_name(path))
    _refuse_other(store, found)
    benchmarks = dict.fromkeys(point.benchmark for point in found.points)
    sizes = {name: train_examples or mlperf_rcp.TRAIN_EXAMPLES.get(name) for name in benchmarks}
    if train_examples is not None and not (len(sizes) == 1 and 1 <= train_examples <= mlperf_rcp.LARGEST):
        raise RecordError(f"--train-examples {train_examples} must be 1 or more, and the file about one benchmark; it "
                          f"is about {', '.join(benchmarks)}.")
    write_json(store.folder / "plan.json", {
        "name": store.folder.name, "runs": [], "settings": {"question": QUESTION},
        "imported": {"format": form, "file": found.file, "sha256": found.sha256, "train_examples": sizes,
                     "train_examples_from": "the command line" if train_examples else "the benchmark's definition",
                     "content": {point.name: point.to_json() for point in found.points}}})
    return store


def _folder_name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:80] or "imported"


def _refuse_other(store: Store, found: mlperf_rcp.ReferenceFile) -> None:
    plan = store.folder / "plan.json"
    there = read_json(plan)
    given = there.get("imported") if isinstance(there, dict) else None
    same = isinstance(given, dict) and given.get("sha256") == found.sha256
    if plan.exists() and not same:
        raise RecordError(f"{store.folder} holds other results, which are kept; choose another folder with --to.")


def of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a manifest says it imported; None for a plan of our own. Raises RecordError when it cannot be believed."""
    given = manifest.get("imported")
    if given is None:
        return None
    if not isinstance(given, Mapping) or given.get("format") not in FORMATS:
        raise RecordError(f"plan.json holds an import that is none of {', '.join(FORMATS)}; import the file again.")
    return given


def rows(manifest: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A row of the table per imported run, and its environment. Keys that the format lacks are left out."""
    given = of(manifest)
    if given is None:
        return
    sizes = given.get("train_examples")
    for point in mlperf_rcp.points(given.get("content"), "plan.json, imported"):
        size = sizes.get(point.benchmark) if isinstance(sizes, Mapping) else None
        known = isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= mlperf_rcp.LARGEST
        for index, amount in enumerate(point.amounts):
            yield _row(point, index, amount, size if known else None), {"devices": point.platform or None}


def _row(point: mlperf_rcp.ReferencePoint, index: int, amount: float, size: int | None) -> dict[str, Any]:
    """Epochs, examples and steps to the target: those that follow from what the file counts and, where it is known,
    from the size of an epoch."""
    epochs = amount if point.counted == "epochs" else amount / size if size else None
    examples = amount if point.counted == "samples" else amount * size if size else None
    return {**dict.fromkeys(TEXT_KEYS, ""), "run_id": f"{point.name}-{index + 1:03d}", "status": "completed",
            "experiment": point.benchmark, "kind": KIND, "model": point.benchmark, "optimizer": point.optimizer,
            "phase": 0, "global_batch": point.global_batch, "train_examples": size or math.nan, "launch": index,
            "base_learning_rate": number(point.learning_rate), "momentum": number(point.momentum),
            "epochs_to_target": number(epochs), "examples_to_target": number(examples),
            "steps_to_target": number(examples) / point.global_batch, "flags": "",
            "reference_point": point.name}
