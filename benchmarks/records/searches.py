"""What a largest-batch search leaves behind: its trials, which are runs in a store of their own, and its answer.

    RESULTS/<plan>/search/<name>/plan.json, <run_id>/...   the trials, as in any plan's folder
                                /search.json               the answer so far, replaced after every trial
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..runs.run_config import RunConfig
from .json_files import read_json, write_json

FOLDER, ANSWER = "search", "search.json"
MOST_TRIALS = 1000


@dataclass(frozen=True)
class Trial:
    """One size tried. peak_bytes: rank 0's, of its GPU's allocator or of its process; None where not read."""

    replica_batch: int
    steps: int
    run_id: str
    status: str
    message: str = ""
    peak_bytes: float | None = None

    @property
    def fits(self) -> bool:
        return self.status == "completed"


@dataclass(frozen=True)
class Answer:
    """One search. Batches are per replica and micro-batch; 0 where none fits, None where not known yet.

    largest_batch: verified by a longer run. fails_batch: the smallest size that did not fit; None where `most` fits.
    memory_limit_bytes: 0 where the GPU's own memory was the limit.
    """

    experiment: str
    model: str
    optimizer: str
    precision: str
    strategy: str
    replicas: int
    accumulation: int
    memory_limit_bytes: int
    start: int
    most: int
    multiple: int
    resolution: float
    margin: float
    device: str = ""
    trials: tuple[Trial, ...] = ()
    largest_batch: int | None = None
    fails_batch: int | None = None
    recommended_batch: int | None = None

    @property
    def recommended_global_batch(self) -> int | None:
        if self.recommended_batch is None:
            return None
        return self.recommended_batch * self.replicas * self.accumulation


def folder(plan_folder: Path, like: RunConfig) -> Path:
    """Where the search for runs like this one is kept; another memory limit is another search."""
    return plan_folder / FOLDER / f"{like.experiment}-{like.strategy_name}-{like.replicas}r-{like.digest}"


def write(place: Path, answer: Answer) -> None:
    write_json(place / ANSWER, {**asdict(answer), "recommended_global_batch": answer.recommended_global_batch})


def read(place: Path) -> Answer:
    """Raises RecordError for what cannot be believed."""
    values = read_json(place / ANSWER)
    if not isinstance(values, dict):
        raise RecordError(f"{place / ANSWER} is absent or cannot be read; run the search again to write it.")
    rows = values.get("trials")
    if not isinstance(rows, list) or len(rows) > MOST_TRIALS or not all(isinstance(row, dict) for row in rows):
        raise RecordError(f"{place / ANSWER}: trials is no list of trials.")
    trials = tuple(Trial(**_fields(Trial, row, place)) for row in rows)
    return Answer(**{**_fields(Answer, values, place), "trials": trials})


def read_all(plan_folder: Path) -> tuple[list[Answer], list[str]]:
    """Every search of the plan, in the order of their names, and what could not be read, in sentences."""
    answers, wrong = [], []
    for path in sorted((plan_folder / FOLDER).glob(f"*/{ANSWER}")):
        try:
            answers.append(read(path.parent))
        except RecordError as error:
            wrong.append(str(error))
    return answers, wrong


def _fields(kind: type[Any], values: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """The values of a dataclass' fields, each of its type. Raises RecordError."""
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in values:
            if not _fits(values[field.name], str(field.type)):
                raise RecordError(f"{place / ANSWER}: {field.name} has the wrong type: {str(values[field.name])[:40]}.")
            found[field.name] = values[field.name]
        elif field.default is dataclasses.MISSING:
            raise RecordError(f"{place / ANSWER}: {field.name} is missing.")
    return found


def _fits(value: object, kind: str) -> bool:
    if value is None or isinstance(value, bool):
        return value is None and "None" in kind
    if isinstance(value, (int, float)):
        whole = isinstance(value, int)
        return ("float" in kind and math.isfinite(value) if not whole else "int" in kind or "float" in kind) and \
            0 <= value <= 2**63
    return isinstance(value, str) and kind == "str" or isinstance(value, list) and kind.startswith("tuple")
