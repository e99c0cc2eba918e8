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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from msgspec import defstruct, Meta, Struct, to_builtins, UNSET, UnsetType

from ...benchmarks.decoding import decoded, Whole
from ...benchmarks.errors import one_of, RecordError
from ...benchmarks.records.json_files import cannot_write, read_json, write_json
from ...benchmarks.records.manifest import Imported, Manifest
from ...benchmarks.records.rows import Window
from ...benchmarks.records.schema import finite
from ...benchmarks.records.store import Store
from ..columns import EVALUATION
from . import reading
from .additions import MAP, parse_additions, SET
from .imported_run import (COLUMNS, LARGEST_LOSS, LOSSES, MOST_RUNS, TEXTS, check_evaluation_names, Found, ImportedRun,
                           Options, parse_target)
from .registry import IMPORTERS
from .sources import json_value

FILE = "imported.jsonl"
LONGEST_LINE = 64 * 2 ** 20
# A table's whole numbers have 64 bits.
LARGEST_CELL = 9.2e18
Cell = Whole | Annotated[float, Meta(ge=-LARGEST_CELL, le=LARGEST_CELL)]
Loss = Whole | Annotated[float, Meta(ge=-LARGEST_LOSS, le=LARGEST_LOSS)]
Batch = Annotated[int, Meta(ge=1, le=2**53)] | Annotated[float, Meta(ge=1, le=2**53, multiple_of=1)]
KEYS = ("run_id", "status", "kind")
KINDS: dict[str, Any] = {**dict.fromkeys(COLUMNS, Cell), **dict.fromkeys(LOSSES, Loss), **dict.fromkeys(TEXTS, str),
                         "global_batch": Batch}
Columns = defstruct("Columns", [(name, KINDS[name]) if name in KEYS else (name, KINDS[name] | UnsetType, UNSET)
                                for name in sorted(COLUMNS)], kw_only=True, frozen=True, forbid_unknown_fields=True)


class Line(Struct, frozen=True, kw_only=True):
    """One line of imported.jsonl: a run in our columns, and in the other tool's own words."""

    columns: Columns  # type: ignore[valid-type]
    evaluations: dict[str, tuple[Loss | None, ...]] = {}
    windows: tuple[Window, ...] = ()
    environment: dict[str, str] = {}
    words: dict[str, Any] = {}


def write(path: Path, results: Path, form: str = "mlperf-rcp", train_examples: int | None = None,
          target: str = "", settings: Sequence[str] = (), maps: Sequence[str] = (),
          notes: Sequence[str] = ()) -> Store:
    """Import a file or folder into RESULTS/<its name>; doing it again changes nothing. Returns the store.

    train_examples: of one epoch, where the format does not say it; target: what ends a run, likewise; settings and
    maps: the words of --set and --map; notes: what is known before reading. Raises RecordError for what cannot be
    believed, and for a folder that holds something else.
    """
    found, sha256 = reading.read(form, path, Options(train_examples, parse_target(target)),
                                 parse_additions(settings, maps))
    store = Store(results / _folder_name(path))
    _refuse_other(store, form, sha256)
    _keep(store, path, form, found, sha256, notes, _options(train_examples, target, settings, maps))
    return store


def write_anew(path: Path, folder: Path, form: str) -> Store:
    """Import a file or folder that grows into this folder, in the place of what was imported before from the same
    format. Returns the store. Raises RecordError as `write` does."""
    found, sha256 = reading.read(form, path, Options())
    store = Store(folder)
    _refuse_other(store, form)
    _keep(store, path, form, found, sha256)
    return store


def _keep(store: Store, path: Path, form: str, found: Found, sha256: str, notes: Sequence[str] = (),
          options: Sequence[str] = ()) -> None:
    _write_runs(store.folder / FILE, found.runs)
    write_json(store.folder / "plan.json", {
        "name": store.folder.name, "runs": [], "settings": {"question": found.question},
        "imported": {"format": form, "file": path.absolute().name, "sha256": sha256, "runs": len(found.runs),
                     "notes": [*notes, *found.notes], "options": list(options), **found.facts}})


def _options(train_examples: int | None, target: str, settings: Sequence[str], maps: Sequence[str]) -> list[str]:
    """The words that the same import needs again."""
    size = ["--train-examples", str(train_examples)] if train_examples else []
    more = [word for option, texts in ((SET, settings), (MAP, maps)) for text in texts for word in (option, text)]
    return size + (["--target", target] if target else []) + more


def _folder_name(path: Path) -> str:
    name = path.absolute()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name.name if name.is_dir() else name.stem).strip("-")[:80] or "imported"


def _refuse_other(store: Store, form: str, sha256: str | None = None) -> None:
    """Refuse a folder with other results than of this format and, where it is given, this hash. Raises RecordError."""
    plan = store.folder / "plan.json"
    there = read_json(plan)
    given = there.get("imported") if isinstance(there, dict) else None
    same = isinstance(given, dict) and given.get("format") == form and sha256 in (None, given.get("sha256"))
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


def imported_from(manifest: Manifest) -> Imported | None:
    """Return what a manifest says was imported; None for a plan of our own. Raises RecordError for a format that is
    not known."""
    found = manifest.imported
    if found is not None and found.format not in IMPORTERS:
        raise RecordError(f"plan.json: {one_of('imported.format', found.format[:40], IMPORTERS)} Import the file "
                          "again.")
    return found


def notes(manifest: Manifest) -> tuple[str, ...]:
    """Return what a reader must know of an import, in sentences; none of a plan of our own. Raises RecordError."""
    found = imported_from(manifest)
    return found.notes if found else ()


def runs(store: Store) -> Iterator[ImportedRun]:
    """Yield the imported runs of a store; none of a plan of our own.

    Raises RecordError for a line that no import writes, for another number of runs than plan.json says, and for a
    format that is not known.
    """
    found = imported_from(store.manifest)
    if found is None:
        return
    path, count = store.folder / FILE, 0
    for count, line in enumerate(_lines(path), 1):
        try:
            yield _run(json_value(line.decode("utf-8", "replace")))
        except RecordError as error:
            raise RecordError(f"{path}, line {count}: {str(error).rstrip('.')}; import the file again.") from None
    if count != found.runs:
        raise RecordError(f"{path} holds {count:,} runs, and plan.json says {found.runs:,}; import the file again.")


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


def _run(value: object) -> ImportedRun:
    """Return the run that a line holds. Raises RecordError for what no import writes."""
    line = decoded(value, Line, RecordError)
    check_evaluation_names(line.evaluations)
    if len(set(map(len, line.evaluations.values()))) > 1:
        raise RecordError("its columns of evaluations are not of one length")
    if any(abs(item) > LARGEST_CELL for name, values in line.evaluations.items() if name not in LOSSES
           for item in values if item is not None):
        raise RecordError(f"its evaluations hold a number beyond {LARGEST_CELL:g}")
    curves = {name: [math.nan if item is None else item for item in values]
              for name, values in line.evaluations.items()}
    return ImportedRun(to_builtins(line.columns), curves, tuple(map(to_builtins, line.windows)), line.environment,
                       line.words)


def row_of(run: ImportedRun) -> dict[str, Any]:
    """Return a run as a row of the table: text that the format lacks is "", and numbers that it lacks are left out."""
    return {**dict.fromkeys(TEXTS, ""), "phase": 0, **run.columns}


def evaluations_of(run: ImportedRun) -> Iterator[dict[str, Any]]:
    """Yield each evaluation of a run as a row with the columns EVALUATION.

    A column that the format lacks is NaN, `phase` 0.
    """
    count = max((len(list(values)) for values in run.evaluations.values()), default=0)
    columns = {name: list(run.evaluations.get(name, ())) or [math.nan] * count for name in EVALUATION}
    for index in range(count):
        yield {**{name: values[index] for name, values in columns.items()},
               "phase": columns["phase"][index] if "phase" in run.evaluations else 0}
