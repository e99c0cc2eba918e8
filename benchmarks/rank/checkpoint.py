"""A long run's state at an evaluation point, from which another attempt goes on along the same trajectory.

Order and rates follow from the seed, so weights, slots and what was measured so far are all there is to keep. The
arrays come first, then, by rename, the JSON file that names their hash: what is not whole is not believed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RecordError
from ..records.json_files import cannot_write, load_json, read_json, write_json
from ..records.run_folder import ARRAYS, attempt_number, BEFORE, CHECKPOINT, Run
from .strategies.base import Strategy


@dataclass(frozen=True)
class Checkpoint:
    """`step` steps of phase `phase` are done; `measured`: what the record will hold of them, every rank's; `run_id`:
    the shorter run that left it, where it was not the run itself."""

    attempt: str
    phase: int
    step: int
    train_seconds: float
    measured: dict[str, Any] = field(default_factory=dict)
    resumed: Sequence[dict[str, Any]] = ()
    run_id: str = ""
    arrays: Sequence[npt.NDArray[Any]] = ()

    @property
    def place(self) -> dict[str, Any]:
        """Attempt, phase and step of the state, and the run where it is another, as the record's `resumed` names them.
        """
        of = {"run": self.run_id} if self.run_id else {}
        return {**of, "attempt": self.attempt, "phase": self.phase, "step": self.step}

    def restore(self, variables: Sequence[Any], strategy: Strategy) -> None:
        """Rank 0's values on every rank; the others read none."""
        for variable, value in zip(variables, self.arrays):
            variable.assign(value)
        strategy.broadcast_weights(variables)


class Checkpoints:
    """Those of one run: what earlier attempts left, or the ends of the shorter runs with which it begins, and when this
    one is to leave the next, every `seconds`."""

    def __init__(self, run: Run, attempt: Path, seconds: float, beginnings: Sequence[Run] = ()) -> None:
        self._run, self._attempt, self._seconds, self._beginnings = run, attempt, seconds, beginnings
        self._last = time.monotonic()
        self.name = attempt.name
        self.problem = ""

    def due(self) -> bool:
        """Return whether it is time to keep the state again."""
        return time.monotonic() - self._last >= self._seconds

    def agreed(self, strategy: Strategy, shapes: Sequence[tuple[int, ...]]) -> Checkpoint | None:
        """Return the state to go on from, the same on all ranks; None to begin at the beginning. All ranks call it."""
        return agreed(strategy, self._run, self._attempt, shapes, self._beginnings)

    def save(self, state: Checkpoint, variables: Sequence[Any]) -> None:
        """Write the state, on rank 0. A state that cannot be written costs the run nothing but a sentence in `problem`.
        """
        try:
            save(self._attempt, state, variables)
        except RecordError as error:
            self.problem = f"no checkpoint at step {state.step}: {error}"
        self._last = time.monotonic()


def save(attempt: Path, state: Checkpoint, variables: Sequence[Any]) -> None:
    """Write the state and its arrays, on rank 0. Raises RecordError when they cannot be written."""
    arrays, before = attempt / ARRAYS, read_json(attempt / CHECKPOINT)
    try:
        # A state whose JSON could not be written left the one that is believed in BEFORE.
        if isinstance(before, dict) and arrays.exists() and sha256(arrays) == before.get("sha256"):
            os.replace(arrays, attempt / BEFORE)
        digest = save_arrays(arrays, [variable.numpy() for variable in variables])
        write_json(attempt / CHECKPOINT, {**_facts(state), "sha256": digest})
        (attempt / BEFORE).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(arrays, error) from None


def _facts(state: Checkpoint) -> dict[str, Any]:
    """All but the arrays."""
    return {item.name: getattr(state, item.name) for item in fields(state) if item.name != "arrays"}


def save_arrays(path: Path, arrays: Sequence[npt.NDArray[Any]]) -> str:
    """Write the arrays, by rename, and return the SHA-256 of the file. Raises RecordError when it cannot be written."""
    temporary = path.with_name(f".{path.name}")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, *arrays)
            file.flush()
            os.fsync(file.fileno())
        digest = sha256(temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RecordError(f"cannot write {path}: {error.strerror}. Free space, or choose another folder with "
                          "--results.") from None
    return digest


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def agreed(strategy: Strategy, run: Run, attempt: Path, shapes: Sequence[tuple[int, ...]],
           beginnings: Sequence[Run] = ()) -> Checkpoint | None:
    """Return the newest state that earlier attempts left, as rank 0 finds it; the other ranks know all but the arrays.
    """
    found = find(run, attempt, shapes, beginnings) if strategy.rank == 0 else None
    shared = strategy.broadcast({**_facts(found), "arrays": (), "measured": {}} if found else None)
    return found or (Checkpoint(**shared) if shared else None)


def find(run: Run, attempt: Path, shapes: Sequence[tuple[int, ...]],
         beginnings: Sequence[Run] = ()) -> Checkpoint | None:
    """Return the furthest state that is whole and has arrays of these shapes, among the attempts before `attempt` and
    those of the runs with which this one begins."""
    earlier = {path: "" for path in run.attempts() if attempt_number(path) < attempt_number(attempt)}
    earlier |= {path: other.run_id for other in beginnings for path in other.attempts()}
    for path in sorted(earlier, key=_reached, reverse=True):  # one state in memory at a time
        state = read(path)
        if state and [array.shape for array in state.arrays] == list(shapes):
            return replace(state, run_id=earlier[path])
    return None


def _reached(attempt: Path) -> tuple[int, int]:
    """Phase and step of its checkpoint, by what it says of itself."""
    kept = read_json(attempt / CHECKPOINT)
    place = (kept.get("phase"), kept.get("step")) if isinstance(kept, dict) else (None, None)
    return (place[0], place[1]) if isinstance(place[0], int) and isinstance(place[1], int) else (-1, -1)


def read(attempt: Path) -> Checkpoint | None:
    """Return the state in an attempt's folder, its arrays compared with the hash; None where there is none that is
    whole."""
    try:
        kept = load_json(attempt / CHECKPOINT)
        path = next(p for name in (ARRAYS, BEFORE) if (p := attempt / name).exists() and sha256(p) == kept["sha256"])
        with np.load(path, allow_pickle=False) as arrays:
            values = [arrays[name] for name in arrays.files]
        known = {name: kept[name] for name in ("phase", "step", "train_seconds", "measured", "resumed")}
        return Checkpoint(attempt=attempt.name, arrays=values, **known)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, RecordError):
        return None
