"""Batches trained one after another begin as a run of the first batch alone does: they go on from that run's end.

Seed, order and rates are the same, so the first phase would come out bit for bit as it did there; it is not done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ..records.run_folder import Run
from ..schedules.phases import begun_by, first_phase
from ..schedules.rules import TUNED_RULE
from .checkpoint import save_arrays
from .strategies.base import Strategy

FILE = "weights.npz"


@dataclass(frozen=True)
class Ended:
    """The end of the run whose continuation this is: its evaluations and all of the model's variables, in order."""

    run_id: str
    evaluations: Sequence[dict[str, Any]] = ()
    variables: Sequence[npt.NDArray[Any]] = ()

    def restore(self, variables: Sequence[Any], strategy: Strategy) -> None:
        """Rank 0's values on every rank; the others have none."""
        for variable, value in zip(variables, self.variables):
            variable.assign(value)
        strategy.broadcast_weights(variables)


def is_continued(run: Run, runs: Sequence[Run]) -> bool:
    """Return whether another run goes on from this one's end."""
    if run.config.kind != "accuracy" or run.config.earlier_batches:
        return False
    own = first_phase(run.config)
    return any(first_phase(other.config) == own for other in runs if other.config.earlier_batches)


def save(attempt: Path, variables: Sequence[Any]) -> None:
    """Write the weights at a run's end, before its record. Where the file is absent, the continuation trains that phase
    again."""
    save_arrays(attempt / FILE, [variable.numpy() for variable in variables])


def beginnings(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Return the runs that train as this one does and end sooner, the shortest first. Only trials of a tuned arm have
    any: for others no rank reads the files of all runs."""
    if run.config.rule != TUNED_RULE:
        return []
    own, length = begun_by(run.config), run.config.stops_after or run.config.epochs
    return sorted((other for other in runs if 0 < other.config.stops_after < length and begun_by(other.config) == own),
                  key=lambda other: other.config.stops_after)


def agreed(strategy: Strategy, run: Run, runs: Sequence[Run]) -> Ended | None:
    """Return what rank 0 finds to go on from; a shared file system may show the others something else."""
    found = find(run, runs) if strategy.rank == 0 else None
    run_id = strategy.broadcast(found.run_id if found else "")
    return found or (Ended(run_id) if run_id else None)


def find(run: Run, runs: Sequence[Run]) -> Ended | None:
    """Return where the run can go on; None where it must begin at the beginning."""
    if not run.config.earlier_batches:
        return None
    own = first_phase(run.config)
    for other in runs:
        if not other.config.earlier_batches and first_phase(other.config) == own:
            record = other.record()
            if record and record["status"] == "completed":
                return _read(record, other.folder / f"attempt-{record['attempt']:02d}" / FILE)
    return None


def _read(record: dict[str, Any], path: Path) -> Ended | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Ended(record["run_id"], record["evaluations"], [arrays[name] for name in arrays.files])
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
