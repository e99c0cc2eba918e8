"""What a largest-batch search leaves behind: its trials, which are runs in a store of their own, and its answer.

    RESULTS/<plan>/search/<name>/plan.json, <run_id>/...   the trials, as in any plan's folder
                                /search.json               the answer so far, replaced after every trial
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ..decoding import Count, decoded, LARGEST_NUMBER
from ..errors import RecordError
from ..runs.run_config import RunConfig
from .json_files import read_json, write_json

FOLDER, ANSWER = "search", "search.json"
MOST_TRIALS = 1000
Positive = Count | Annotated[float, Meta(ge=0, le=LARGEST_NUMBER)]


class Trial(msgspec.Struct, frozen=True):
    """One size tried. peak_bytes: rank 0's, of its GPU's allocator or of its process; None where not read."""

    replica_batch: Count
    steps: Count
    run_id: str
    status: str
    message: str = ""
    peak_bytes: Positive | None = None

    @property
    def fits(self) -> bool:
        return self.status == "completed"


class Answer(msgspec.Struct, frozen=True):
    """One search. Batches are per replica and micro-batch; 0 where none fits, None where not known yet.

    largest_batch: verified by a longer run. fails_batch: the smallest size that did not fit; None where `most` fits.
    memory_limit_bytes: 0 where the GPU's own memory was the limit. fingerprint: the digest of what was trained.
    """

    experiment: str
    model: str
    optimizer: str
    precision: str
    strategy: str
    replicas: Count
    accumulation: Count
    memory_limit_bytes: Count
    start: Count
    most: Count
    multiple: Count
    resolution: Positive
    margin: Positive
    device: str = ""
    fingerprint: str = ""
    trials: Annotated[tuple[Trial, ...], Meta(max_length=MOST_TRIALS)] = ()
    largest_batch: Count | None = None
    fails_batch: Count | None = None
    recommended_batch: Count | None = None

    @property
    def recommended_global_batch(self) -> int | None:
        if self.recommended_batch is None:
            return None
        return self.recommended_batch * self.replicas * self.accumulation


def folder(plan_folder: Path, like: RunConfig) -> Path:
    """Return the folder of the search for runs like this one; another memory limit is another search."""
    return plan_folder / FOLDER / f"{like.experiment}-{like.strategy_name}-{like.replicas}r-{like.digest}"


def write(place: Path, answer: Answer) -> None:
    """Write an answer to search.json in its search's folder, with the global batch that it recommends."""
    values = msgspec.to_builtins(answer)
    write_json(place / ANSWER, {**values, "recommended_global_batch": answer.recommended_global_batch})


def read(place: Path) -> Answer:
    """Return the search kept in a folder. Raises RecordError where it is absent, cannot be read or cannot be
    believed."""
    values = read_json(place / ANSWER)
    if not isinstance(values, dict):
        raise RecordError(f"{place / ANSWER} is absent or cannot be read; run the search again to write it.")
    return decoded(values, Answer, RecordError, f"{place / ANSWER}: ")


def read_all(plan_folder: Path) -> tuple[list[Answer], list[str]]:
    """Return every search of the plan, in the order of their names, and sentences on those that could not be read."""
    answers, wrong = [], []
    for path in sorted((plan_folder / FOLDER).glob(f"*/{ANSWER}")):
        try:
            answers.append(read(path.parent))
        except RecordError as error:
            wrong.append(str(error))
    return answers, wrong
