"""Other tools' results in a results folder of ours: written once, read into the same table as our own records.

RESULTS/<name>/plan.json has no runs to do and says under `imported` what was read; imported.jsonl beside it has one run
a line, in our columns and in the other tool's own words.
"""

from __future__ import annotations

import json
import math
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...benchmarks.errors import RecordError
from ...benchmarks.records.json_files import cannot_write, read_json, write_json
from ...benchmarks.records.manifest import Manifest
from ...benchmarks.records.schema import finite
from ...benchmarks.records.store import Store
from ..columns import EVALUATION, WINDOW
from . import reading
from .imported_run import (COLUMNS, MOST_RUNS, TEXTS, check_evaluation_names, ImportedRun, largest, Options,
                           parse_target)
from .registry import IMPORTERS
from .sources import json_value

FILE = "imported.jsonl"
LONGEST_LINE = 64 * 2 ** 20
NUMBER = (int, float)
PARTS = ("columns", "evaluations", "environment", "words")


def write(path: Path, results: Path, form: str = "mlperf-rcp", train_examples: int | None = None,
          target: str = "") -> Store:
    """Import a file or folder into RESULTS/<its name>; doing it again changes nothing. Returns the store.

    train_examples: of one epoch, where the format does not say it; target: what ends a run, likewise. Raises
    RecordError for what cannot be believed, and for a folder that holds something else.
    """
    found, sha256 = reading.read(form, path, Options(train_examples, parse_target(target)))
    store = Store(results / _folder_name(path))
    _refuse_other(store, form, sha256)
    _write_runs(store.folder / FILE, found.runs)
    write_json(store.folder / "plan.json", {
        "name": store.folder.name, "runs": [], "settings": {"question": found.question},
        "imported": {"format": form, "file": path.absolute().name, "sha256": sha256, "runs": len(found.runs),
                     "notes": list(found.notes), "options": _options(train_examples, target), **found.facts}})
    return store


def _options(train_examples: int | None, target: str) -> list[str]:
    """The words that the same import needs again."""
    size = ["--train-examples", str(train_examples)] if train_examples else []
    return size + (["--target", target] if target else [])


def _folder_name(path: Path) -> str:
    name = path.absolute()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name.name if name.is_dir() else name.stem).strip("-")[:80] or "imported"


def _refuse_other(store: Store, form: str, sha256: str) -> None:
    plan = store.folder / "plan.json"
    there = read_json(plan)
    given = there.get("imported") if isinstance(there, dict) else None
    same = isinstance(given, dict) and (given.get("format"), given.get("sha256")) == (form, sha256)
    if plan.exists() and not same:
        raise RecordError(f"{store.folder} holds other results, which are kept; choose another folder with --to.")


def _write_runs(path: Path, runs: Iterable[ImportedRun]) -> None:
    """By rename, so that a reader sees all the runs or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:6]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            for run in runs:
                file.write(json.dumps(finite(_to_json(run)), allow_nan=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise cannot_write(path, error) from None


def _to_json(run: ImportedRun) -> dict[str, Any]:
    parts = {"columns": dict(run.columns), "words": dict(run.words), "environment": dict(run.environment),
             "evaluations": {name: list(values) for name, values in run.evaluations.items()},
             "windows": list(run.windows)}
    return {name: part for name, part in parts.items() if part}


def of(manifest: Manifest) -> Mapping[str, Any] | None:
    """What a manifest says it imported; None for a plan of our own. Raises RecordError when it cannot be believed."""
    given = manifest.imported
    if given is None:
        return None
    if str(given.get("format")) not in IMPORTERS:
        raise RecordError(f"plan.json holds an import that is none of {', '.join(IMPORTERS)}; import the file again.")
    return given


def notes(manifest: Manifest) -> tuple[str, ...]:
    """What the import said a reader must know."""
    told = (of(manifest) or {}).get("notes")
    return tuple(note for note in told if isinstance(note, str)) if isinstance(told, list) else ()


def runs(store: Store) -> Iterator[ImportedRun]:
    """The imported runs of a store; none of a plan of our own. Raises RecordError for a damaged file."""
    given = of(store.manifest)
    if given is None:
        return
    path, count = store.folder / FILE, 0
    for count, line in enumerate(_lines(path), 1):
        try:
            yield _from_json(json_value(line.decode("utf-8", "replace")))
        except RecordError as error:
            raise RecordError(f"{path}, line {count}: {str(error).rstrip('.')}; import the file again.") from None
    if count != given.get("runs"):
        raise RecordError(f"{path} holds {count:,} runs, and plan.json says {str(given.get('runs'))[:20]}; import the "
                          "file again.")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            for count in range(MOST_RUNS + 1):
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    return
                if len(line) > LONGEST_LINE or count == MOST_RUNS:
                    raise RecordError(f"{path} has too many or too long lines; import the file again.")
                yield line
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}; import the file again.") from None


def _from_json(value: Any) -> ImportedRun:
    """Raises RecordError for what no import writes."""
    given: dict[str, Any] = value if isinstance(value, dict) else {}
    columns, evaluations, environment, words = parts = [given.get(name, {}) for name in PARTS]
    windows = given.get("windows", [])
    if not all(isinstance(part, dict) for part in parts) or not isinstance(windows, list):
        raise RecordError("it is no run")
    _check_columns(columns)
    check_evaluation_names(evaluations)
    lengths = {len(values) if isinstance(values, list) else -1 for values in evaluations.values()}
    numbers = all(item is None or _is_number(item, name) for name, values in evaluations.items()
                  if isinstance(values, list) for item in values)
    if -1 in lengths or len(lengths) > 1 or not numbers or not all(map(_is_window, windows)):
        raise RecordError("its evaluations or windows are no numbers")
    if not all(isinstance(text, str) for text in environment.values()):
        raise RecordError("its environment is no text")
    return ImportedRun(columns, evaluations, tuple(windows), environment, words)


def _check_columns(columns: Mapping[str, Any]) -> None:
    for name, item in columns.items():
        if name not in COLUMNS or (not isinstance(item, str) if name in TEXTS else not _is_number(item, name)):
            raise RecordError(f"{name[:40]}={str(item)[:40]!r} is no column with its value")
    if not all(isinstance(columns.get(name), str) for name in ("run_id", "status", "kind")):
        raise RecordError("it has no run_id, status and kind")
    batch = columns.get("global_batch", 1)
    if not 1 <= batch <= 2**53 or batch != int(batch):
        raise RecordError(f"global_batch={str(batch)[:40]} must be a whole number of 1 or more")


def _is_number(item: object, column: str = "") -> bool:
    return isinstance(item, NUMBER) and not isinstance(item, bool) and abs(item) < max(largest(column), 2.0**63)


def _is_window(row: object) -> bool:
    return isinstance(row, dict) and set(row) == set(WINDOW) and isinstance(row["steady"], bool) and \
        all(_is_number(row[name]) for name in WINDOW if name != "steady")


def row_of(run: ImportedRun) -> dict[str, Any]:
    """A row of the table; text that the format lacks is "", and numbers are left out."""
    return {**dict.fromkeys(TEXTS, ""), "phase": 0, **run.columns}


def evaluations_of(run: ImportedRun) -> Iterator[dict[str, Any]]:
    """Its evaluations, one row each, columns EVALUATION; NaN for what the format lacks."""
    count = max((len(list(values)) for values in run.evaluations.values()), default=0)
    columns = {name: list(run.evaluations.get(name, ())) or [math.nan] * count for name in EVALUATION}
    for index in range(count):
        yield {**{name: values[index] for name, values in columns.items()},
               "phase": columns["phase"][index] if "phase" in run.evaluations else 0}
