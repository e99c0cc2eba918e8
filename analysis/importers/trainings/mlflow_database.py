"""MLflow's SQLite store, opened for reading alone: the tables experiments, runs, params and metrics."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ....benchmarks.errors import RecordError
from ..imported_run import label, LARGEST, MOST_EVALUATIONS, MOST_RUNS, number
from ..sources import Sources

MAGIC = "SQLite format 3"
STEPS_BETWEEN_CHECKS, MOST_CHECKS = 1_000_000, 2_000
RUNS = ("SELECT run_uuid, runs.name, status, start_time, end_time, experiments.name FROM runs LEFT JOIN experiments "
        "USING (experiment_id) WHERE runs.lifecycle_stage IS NOT 'deleted' LIMIT ?")
PARAMS = "SELECT key, value FROM params WHERE run_uuid = ? LIMIT 1000"
METRICS = ("SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step, timestamp "
           "LIMIT ?")
Row = tuple[str, str, str, object, float, dict[str, str], dict[str, list[tuple[float, float, float]]]]


def database_runs(sources: Sources, path: Path, hint: str) -> Iterator[Row]:
    """Yield name, experiment, place, status, seconds, parameters and values of each run that is not deleted.

    Raises RecordError for a file that SQLite cannot read as such a store, and for one that takes it too long.
    """
    for _ in sources.chunks(path, hint):
        pass  # for the hash and the limits
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            _bounded(database)
            yield from _rows(database)
    except (sqlite3.Error, OverflowError, UnicodeDecodeError, MemoryError) as error:
        raise RecordError(f"{sources.named(path)} cannot be read as MLflow's database: {str(error)[:100]}.") from None


def _bounded(database: sqlite3.Connection) -> None:
    checks = iter(range(MOST_CHECKS))
    database.set_progress_handler(lambda: 0 if next(checks, None) is not None else 1, STEPS_BETWEEN_CHECKS)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 ** 24)


def _rows(database: sqlite3.Connection) -> Iterator[Row]:
    for uuid, name, status, start, end, experiment in database.execute(RUNS, (MOST_RUNS,)).fetchall():
        params = {label(key): label(str(value)) for key, value in database.execute(PARAMS, (uuid,))
                  if isinstance(key, str)}
        values: dict[str, list[tuple[float, float, float]]] = {}
        for key, value, at, step, lost in database.execute(METRICS, (uuid, MOST_EVALUATIONS)):
            if isinstance(key, str):
                values.setdefault(key, []).append((_figure(step, 0.0), _figure(at, 0.0) / 1000,
                                                   math.nan if lost else _figure(value)))
        seconds = (_figure(end) - _figure(start)) / 1000
        yield (label(name) or label(uuid) or "run", label(experiment), label(uuid) or "", status, seconds, params,
               values)


def _figure(value: Any, default: float = math.nan) -> float:
    found = number(value)
    return found if math.isfinite(found) and abs(found) <= LARGEST else default
