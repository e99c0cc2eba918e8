"""What files do not say and the command line adds: `--set COLUMN=VALUE`, `--map COLUMN=NAME` and `--map PATTERN`.

A name is one that the file itself uses, such as params.batch_size; a pattern is searched for in the path of each run's
file, and its named groups are columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from ...benchmarks.errors import one_of, RecordError
from ..columns import METRICS
from .text.cells import cell_value
from .imported_run import COLUMNS, Found, ImportedRun

SET, MAP = "--set", "--map"
# What a run is known by and where it stands is the importer's to say.
OWN = ("run_id", "status", "kind", "phase")
FILLED = tuple(sorted(name for name in COLUMNS if name not in OWN))
NAMED_GROUP = "(?P<"
LONGEST = 300
MOST_NAMED = 12


@dataclass(frozen=True)
class Additions:
    """values: column -> value, of all runs. names: column -> name in the file's own words, or of one of its metrics.
    patterns: searched for in the path of each run."""

    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[re.Pattern[str], ...] = ()

    @property
    def metrics(self) -> dict[str, str]:
        """Return the columns of METRICS with the file's own names for them, which importers of curves read."""
        return {column: name for column, name in self.names.items() if column in METRICS}


def parse_additions(given: Sequence[str] = (), maps: Sequence[str] = ()) -> Additions:
    """Return what `--set` and `--map` say. Raises RecordError for an unknown column, a value that its column cannot
    hold, a column that is set twice and a pattern that is none."""
    values: dict[str, Any] = {}
    for text in given:
        column, cell = _halves(SET, text, "global_batch=64")
        values[_once(column, values)] = cell_value(column, cell, f"{SET} {column}")
    names: dict[str, str] = {}
    patterns = []
    for text in maps:
        if NAMED_GROUP in text:
            patterns.append(_pattern(text))
        else:
            column, name = _halves(MAP, text, "global_batch=params.batch_size")
            names[_once(column, names)] = name
    return Additions(values, names, tuple(patterns))


def _halves(option: str, text: str, example: str) -> tuple[str, str]:
    column, sign, rest = (part.strip() for part in text.partition("="))
    if not sign or not column or not rest or len(text) > LONGEST:
        raise RecordError(f"{option} {text[:60]!r} must be COLUMN={'VALUE' if option == SET else 'NAME'}, such as "
                          f"{option} {example}.")
    if option == MAP and rest in FILLED and column not in FILLED:
        raise RecordError(f"{MAP} {text[:60]!r}: the column of ours stands before the sign, the file's own name after "
                          f"it: {MAP} {rest}={column}.")
    return _column(option, column), rest


def _column(option: str, column: str) -> str:
    if column not in FILLED:
        raise RecordError(f"{option}: {one_of('column', column[:60], FILLED)}")
    return column


def _once(column: str, there: Mapping[str, object]) -> str:
    if column in there:
        raise RecordError(f"{column} is given twice; give it once.")
    return column


def _pattern(text: str) -> re.Pattern[str]:
    try:
        found = re.compile(text[:LONGEST])
    except (re.error, RecursionError, OverflowError) as error:
        raise RecordError(f"{MAP} {text[:60]!r} is no regular expression: {str(error)[:80]}; an example is "
                          r"'batch(?P<global_batch>\d+)'.") from None
    for column in found.groupindex:
        _column(MAP, column)
    return found


def added(found: Found, additions: Additions, path: str) -> Found:
    """Return the runs with what the command line adds to them. path: that of the import, before each run's own.

    Raises RecordError for a name that no run's file has, and for a value that contradicts the file.
    """
    runs, missed = [], 0
    _check_names(found.runs, additions.names)
    for run in found.runs:
        matched = _matched(run, additions.patterns, path)
        missed += bool(additions.patterns) and not matched
        runs.append(_filled(run, {**additions.values, **_looked_up(run, additions.names), **matched}))
    if missed == len(runs) and additions.patterns:
        raise RecordError(f"{MAP} {additions.patterns[0].pattern[:60]!r} fits no path; the first is "
                          f"{_path_of(found.runs[0], path)[-100:]!r}.")
    notes = (f"The paths of {missed:,} of {len(runs):,} runs do not fit {MAP}; for them it adds nothing.",)
    return replace(found, runs=tuple(runs), notes=found.notes + notes * bool(missed))


def _path_of(run: ImportedRun, path: str) -> str:
    return f"{path}/{run.where}" if run.where else path


def _matched(run: ImportedRun, patterns: Iterable[re.Pattern[str]], path: str) -> dict[str, Any]:
    found = {}
    for pattern in patterns:
        match = pattern.search(_path_of(run, path)[-4000:])
        for column, cell in (match.groupdict() if match else {}).items():
            if cell:
                found[column] = cell_value(column, cell, f"{MAP}, {_path_of(run, path)[-100:]!r}")
    return found


def _looked_up(run: ImportedRun, names: Mapping[str, str]) -> dict[str, Any]:
    return {column: cell_value(column, str(run.words[name]), f"{MAP} {column}={name[:60]}")
            for column, name in names.items() if name in run.words}


def _check_names(runs: Sequence[ImportedRun], names: Mapping[str, str]) -> None:
    """Raise RecordError for a name that no run has; a column that is there was read by the importer, as a curve or a
    table's column."""
    for column, name in names.items():
        if not any(name in run.words or column in run.columns for run in runs):
            raise RecordError(f"{MAP} {column}={name[:60]}: {runs[0].columns['run_id']} has no {name[:60]!r}; "
                              + _choices(name, runs[0].words))


def _choices(name: str, words: Mapping[str, Any]) -> str:
    if not words:
        return "its files have no names of their own beside the curve."
    near = get_close_matches(name, list(words), n=3) or list(words)[:MOST_NAMED]
    return f"there are {', '.join(str(word)[:60] for word in near)}."


def _filled(run: ImportedRun, values: Mapping[str, Any]) -> ImportedRun:
    """A number may not contradict the file's; a text stands in the place of the importer's."""
    for column, value in values.items():
        there = run.columns.get(column)
        if isinstance(there, (int, float)) and there != value:
            raise RecordError(f"{column}={value} contradicts the file, which says {there:g} for "
                              f"{run.columns['run_id']}.")
    return replace(run, columns={**run.columns, **values}) if values else run
