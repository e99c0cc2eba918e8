"""The warnings of a study's runs: grouped for people, and what they take away from results."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ....benchmarks.runs.run_warnings import EVALUATION, grouped, RULE, taken_by, Warned, WarningGroup
from ...tables.results import Results


def warning_groups(results: Results) -> tuple[WarningGroup, ...]:
    """Return the warnings of all runs in the tables, also of trials that were not chosen, in groups."""
    return grouped(_warned(results))


def _warned(results: Results) -> Iterator[Warned]:
    if not results.warnings:
        return
    rows = results.all_runs.drop_duplicates("run_id", keep="last")
    for run_id, experiment, rule, batch in zip(rows["run_id"], rows["experiment"], rows["rule"], rows["global_batch"]):
        for sentence in results.warnings.get(str(run_id), ()):
            yield Warned(str(run_id), str(experiment), str(rule), int(batch), sentence)


def never_at_peak(results: Results, runs: pd.DataFrame) -> dict[int, str]:
    """Return what stands beside each batch at which runs never reached the rate that their rule sets."""
    return {batch: f"{count} of {len(rows)} runs never reached the peak of their rate"
            for batch, rows in _by_batch(results, runs) if (count := _count(results, rows, RULE))}


def badly_evaluated(results: Results, runs: pd.DataFrame) -> tuple[int, ...]:
    """Return the batches at which runs warn that their evaluations judge the model worse than it is, ascending."""
    return tuple(batch for batch, rows in _by_batch(results, runs) if _count(results, rows, EVALUATION))


def warnings_of(results: Results, runs: pd.DataFrame, takes: str) -> tuple[WarningGroup, ...]:
    """Return the warnings of some runs that take this away from them, in groups."""
    wanted = set(runs["run_id"])
    return grouped(one for one in _warned(results) if one.run_id in wanted and taken_by(one.sentence) == takes)


def _by_batch(results: Results, runs: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Where no run warns of anything there is none to look at."""
    for batch, rows in runs.groupby("global_batch") if results.warnings else ():
        yield int(str(batch)), rows


def _count(results: Results, rows: pd.DataFrame, takes: str) -> int:
    return sum(any(taken_by(sentence) == takes for sentence in results.warnings.get(str(run_id), ()))
               for run_id in rows["run_id"])
