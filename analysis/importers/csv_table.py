"""A table of runs as CSV, one run a row, with the columns of results.csv: what `batchscale export` writes comes back.

Cells may stand between semicolons, tabs or bars, and with semicolons numbers may have a decimal comma. Columns have
their units in their names and are described in columns.MEANINGS. A cell that is empty is absent.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...benchmarks.errors import one_of, RecordError
from ...benchmarks.records.schema import RESULT_STATUSES
from ..columns import METRICS
from .derived import completed
from .detection import Sample
from .imported_run import COLUMNS, Found, ImportedRun, label, Options, TEXTS
from .registry import CONVERGENCE, KINDS
from .sources import Sources
from .text.cells import cell_value
from .text.delimited import header_of, table
from .trainings.names import customary

QUESTION = "What do these runs say about the batch size?"
HINT = "a CSV table with a header, one run a row"
RESULTS = ("test_accuracy", "test_loss")
# Rows that are alike in these repeat each other.
CONFIGURATION = ("experiment", "kind", "dataset", "model", "optimizer", "placement", "precision", "tf32", "rule",
                 "trial", "scaling", "global_batch", "reference_point", "seed", "phase")
# Settings of a training; rows that are alike in them and in the seed are one run.
SETTINGS = frozenset((*CONFIGURATION, "strategy", "transport", "exchange", "replicas", "nodes", "cores_per_replica",
                      "accumulation", "replica_batch", "reference_batch", "train_examples", "epochs", "steps", "loss",
                      "base_learning_rate", "peak_learning_rate", "momentum", "warmup_steps", "weight_kept_per_epoch",
                      "parameters", "flags"))
IGNORED = ("environment", "content_hash", "steady")
# Rounding of the two numbers; beyond it a rate and a step time speak of different things.
AGREE_WITHIN = 0.05
EXAMPLES = {"rule": "constant"}  # of what --set is given; of any other column a number, N
# Cells that differ between two exports of one and the same run.
NOT_OF_THE_RUN = ("run_id", "finished", "source")
MOST_ROWS = 20_000


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins with a header of columns of ours that make a run of some kind."""
    header = frozenset(header_of(sample.first_line))
    return bool(_kinds(header)) or "kind" in header and len(header & COLUMNS) > 1


def read(sources: Sources, options: Options) -> Found:
    """Return the runs of a CSV table, one a row; repeated rows and rows without a result are counted in the notes.

    Raises RecordError for a table that is no CSV or lacks a column that its runs need, for a cell that its column
    cannot hold, and for one run with two results.
    """
    where = sources.named(sources.path)
    dialect, names, rows = table(sources, sources.path, HINT)
    given = {name: str(value) for name, value in options.settings.items() if name not in names}
    ours = {name: column for column, name in options.names.items() if name in names}
    header = [ours.get(name, name) for name in names] + list(given)
    _check_header(header, where)
    runs, waiting, to_target = [], 0, CONVERGENCE in _kinds(frozenset(header))
    once = _Once(where)
    for index, cells in enumerate(rows):
        if index >= MOST_ROWS:
            raise RecordError(f"{where} has more than {MOST_ROWS:,} rows; import a part of it.")
        row = given | {ours.get(name, name): cell if ours.get(name, name) in TEXTS else dialect.plain(cell)
                       for name, cell in cells.items()}
        if once.repeats(row, index + 1):
            continue
        if row.get("status", "completed") in RESULT_STATUSES:
            runs.append(_run(row, index, f"{where}, row {index + 1}", to_target))
        else:
            waiting += 1
    notes = [f"{waiting:,} rows of runs without a result were left out."] if waiting else []
    if once.repeated:
        notes.append(f"{len(once.repeated):,} rows repeat an earlier one in every cell and were left out, the first of "
                     f"them row {once.repeated[0]}.")
    if any(run.columns["kind"] == "accuracy" for run in runs):
        notes.append("A table has final numbers alone: without curves, the claims about batches and the steps to a "
                     "target are not judged.")
    unknown = [name[:40] for name in header if name not in COLUMNS and name not in IGNORED]
    if unknown:
        notes.append(f"Columns that are not known and were not read: {', '.join(map(label, unknown[:20]))}.")
    return Found(tuple(_grouped(runs)), QUESTION, tuple(notes))


class _Once:
    """Rows seen so far, so that a run which is there twice counts once."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.repeated: list[int] = []
        self.seen: dict[tuple[tuple[str, str], ...], int] = {}
        self.results: dict[tuple[tuple[str, str], ...], int] = {}

    def repeats(self, row: Mapping[str, str], number: int) -> bool:
        """Return whether a row is another's copy. Only a row that says which run it is can be one: launches without a
        number may take the same rounded time. Raises RecordError for one run with two results."""
        if "run_id" not in row and "launch" not in row and not _tells_a_seed(row):
            return False
        cells = tuple(sorted((name, cell) for name, cell in row.items() if name not in NOT_OF_THE_RUN))
        if cells in self.seen:
            self.repeated.append(number)
            return True
        self.seen[cells] = number
        # A table of other things beside it has no seed, or names the run.
        if _tells_a_seed(row) and "run_id" not in row and "launch" not in row:
            run = tuple((name, cell) for name, cell in cells if name in SETTINGS)
            if run in self.results:
                raise RecordError(f"{self.where}, rows {self.results[run]} and {number} are one run by their settings "
                                  f"and seed {row['seed'][:20]}, with different results; give each its own seed, or "
                                  "keep one of them.")
            self.results[run] = number
        return False


def _tells_a_seed(row: Mapping[str, str]) -> bool:
    return "seed" in row and any(name in row for name in RESULTS)


def _check_header(header: Sequence[str], where: str) -> None:
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise RecordError(f"{where} has the column {label(twice)[:40]!r} twice.")
    if "kind" not in header and not _kinds(frozenset(header)):
        has = ", ".join(label(name)[:30] for name in header[:8]) or "nothing"
        raise RecordError(f"{where} has {has}; no kind of run can be made of it. {_what_to_add(header)}")


def _what_to_add(header: Sequence[str]) -> str:
    """The options that make runs of a table whose results are there, under our names or customary ones; of any other
    what each kind needs."""
    guessed = {column: name for column, name in customary(header).items() if column not in header}
    there = {*header, *guessed}
    kind = next((name for name, kind in KINDS.items() if not there.isdisjoint(kind.one_of or kind.needed)), "")
    if not kind:
        return ("Needed are, for " + "; ".join(f"{kind}: {_needed(kind)}" for kind in KINDS) + ". A column of another "
                "name is given by --map OURS=ITS; what the table does not say, for all rows, by --set COLUMN=VALUE.")
    maps = " ".join(shlex.join(("--map", f"{column}={name}")) for column, name in guessed.items())
    sets = " ".join(f"--set {column}={EXAMPLES.get(column, 'N')}" for column in KINDS[kind].needed
                    if column not in there)
    return (f"A run of kind {kind} needs {_needed(kind)}."
            + (f" If its names mean what they mostly do: {maps}." if maps else "")
            + (f" What the table does not say, for all rows: {sets}." if sets else ""))


def reference() -> str:
    """Return the columns that a table needs, by kind of run, as a Markdown table."""
    rows = "\n".join(f"| {kind} | {_needed(kind)} |" for kind in KINDS)
    return f"| kind of run | columns it needs |\n|---|---|\n{rows}\n"


def _needed(kind: str) -> str:
    one_of_them = KINDS[kind].one_of
    return ", ".join(KINDS[kind].needed) + (f", and one of {', '.join(one_of_them)}" if one_of_them else "")


@lru_cache(maxsize=1000)  # the rows of a table have few shapes
def _kinds(names: frozenset[str], ended: bool = True) -> tuple[str, ...]:
    """The kinds of run that these columns describe; of one that did not end as planned without its result."""
    return tuple(name for name, kind in KINDS.items()
                 if all(column in names for column in kind.needed)
                 and (not ended or not kind.one_of or not names.isdisjoint(kind.one_of)))


def _run(row: Mapping[str, str], index: int, where: str, to_target: bool) -> ImportedRun:
    """to_target: whether the table is about training to a target; an empty cell then means that it never passed."""
    fitting = _kinds(frozenset(row), row.get("status", "completed") == "completed")
    if to_target and all(name in row for name in KINDS[CONVERGENCE].needed):
        fitting = (*fitting, CONVERGENCE)
    kind = row.get("kind") or next(iter(fitting), "")
    if row.get("kind") and kind not in KINDS:
        raise RecordError(f"{where}: {one_of('kind', kind[:40], KINDS)}")
    if kind not in fitting:
        raise RecordError(f"{where}: a run of kind {kind or 'none'} needs {_needed(kind or CONVERGENCE)}.")
    values = {name: cell_value(name, cell, where) for name, cell in row.items() if name in COLUMNS}
    columns = {"run_id": f"row {index + 1}", "status": "completed", "experiment": "imported", **values, "kind": kind}
    _check_batch(columns, where)
    _derive(columns)
    _check_rate(columns, where)
    return ImportedRun(columns, _last(columns) if kind == "accuracy" else {})


def _derive(columns: dict[str, Any]) -> None:
    """What follows from other columns and is not there."""
    columns |= completed(columns)
    batch = columns.get("global_batch")
    if columns["kind"] == CONVERGENCE and batch:
        size = columns.get("train_examples")
        steps, epochs = columns.get("steps_to_target"), columns.get("epochs_to_target")
        if "examples_to_target" not in columns and steps is not None:
            columns["examples_to_target"] = steps * batch
        elif "examples_to_target" not in columns and epochs is not None and size:
            columns["examples_to_target"] = epochs * size
        if steps is None and "examples_to_target" in columns:
            columns["steps_to_target"] = columns["examples_to_target"] / batch
        columns.setdefault("reference_point", f"{columns['experiment']}, batch {batch:,}")


def _check_batch(columns: Mapping[str, Any], where: str) -> None:
    """Raise RecordError where the global batch is not what the replicas make together."""
    names = ("replicas", "replica_batch", "accumulation")
    replicas, each, parts = (columns.get(name) for name in names)
    batch = columns.get("global_batch")
    if not (batch and replicas and each) or columns["kind"] == "memory":
        return
    whole = replicas * each * (parts or 1)
    # Without accumulation in the table, the batch may be any number of micro-batches; a last one may be smaller.
    fits = abs(whole - batch) < replicas * (parts or 1) if parts else batch > whole - replicas
    if not fits:
        raise RecordError(f"{where}: global_batch={batch:,} contradicts replicas={replicas:,} times replica_batch="
                          f"{each:,}{f' times accumulation={parts:,}' if parts else ''}, which is {whole:,}; "
                          "global_batch counts the examples of one step over all replicas.")


def _check_rate(columns: Mapping[str, Any], where: str) -> None:
    """Raise RecordError where the rate is not the batch over the time of its step."""
    rate, seconds, batch = (columns.get(name, 0) for name in ("examples_per_second", "step_seconds", "global_batch"))
    if columns["kind"] == "throughput" and rate > 0 and seconds > 0 and batch > 0:
        own = batch / seconds
        if abs(rate * seconds / batch - 1) > AGREE_WITHIN:
            raise RecordError(f"{where}: examples_per_second={rate:,.6g} contradicts the rest: {batch:,} examples in "
                              f"step_seconds={seconds:.6g} are {own:,.6g} per second, over all replicas; give one of "
                              "the two, or the rate of all replicas together.")


def _last(columns: Mapping[str, Any]) -> dict[str, list[float]]:
    """The final metrics as the one evaluation that the table has."""
    epochs, size = float(columns["epochs"]), float(columns["train_examples"])
    steps = columns.get("last_step") or columns.get("steps") or epochs * (size // max(columns["global_batch"], 1))
    found = {"step": float(steps), "epoch": epochs, "examples": float(steps) * columns["global_batch"],
             "global_batch": float(columns["global_batch"]), "phase": float(columns.get("phase", 0)),
             **{name: float(columns.get(name, math.nan)) for name in ("train_seconds", *METRICS)}}
    return {name: [value] for name, value in found.items()}


def _grouped(runs: Sequence[ImportedRun]) -> Iterator[ImportedRun]:
    """Rows that repeat a configuration are its launches, counted where the table does not."""
    counts: dict[tuple[Any, ...], int] = {}
    for run in runs:
        key = tuple(run.columns.get(name) for name in CONFIGURATION)
        counts[key] = counts.get(key, -1) + 1
        yield ImportedRun({"launch": counts[key], **run.columns}, run.evaluations, run.windows)
