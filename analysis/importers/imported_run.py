"""What an importer hands over: runs in the columns of our table, and in the other tool's own words."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ...benchmarks.errors import RecordError
from ..columns import CHECKS, EVALUATION, NUMBERS, TEXT_KEYS, WHOLE_KEYS

# The rule of runs that are trials, of which the best at each batch counts; `tuned` chooses by validation instead.
BEST_TRIAL = "best_trial"
TEXTS = (*TEXT_KEYS, "run_id", "status", "affinity", "flags", "finished", "source", "reference_point", "continues")
COLUMNS = frozenset((*TEXTS, *WHOLE_KEYS, *NUMBERS, *CHECKS))
MOST_RUNS = 100_000
MOST_EVALUATIONS = 2_000_000
LONGEST_TEXT = 200
LARGEST = 10.0 ** 18
# Training for so many epochs is not heard of; some benchmarks count samples or tokens under the same name.
MOST_EPOCHS = 100_000.0
# A loss that diverges goes through all of float32 before it is no number.
LARGEST_LOSS = 3.5e38
LOSSES = frozenset(("train_loss", "validation_loss", "test_loss", "loss_gap"))
COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
TARGET = re.compile(r"\s*([^\s<>=]{1,100})\s*(<=|>=|<|>)\s*([^\s<>=]{1,40})\s*")


@dataclass(frozen=True)
class ImportedRun:
    """One run. `columns`: those of columns.RUN that the format has; what it lacks is left out, never 0.

    evaluations: names in columns.EVALUATION, one list each of equal length, NaN where one evaluation lacks the value.
    windows: rows with the keys of columns.WINDOW. words: what the file says, in its own words. where: the file or
    folder below the import's own that the run comes from; "" where that is all of it.
    """

    columns: Mapping[str, Any]
    evaluations: Mapping[str, Iterable[float]] = field(default_factory=dict)
    windows: tuple[Mapping[str, Any], ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class Found:
    """All runs of one import. `question`: what they answer. `notes`: what a reader must know, in sentences. `facts`:
    what the import knows from its options or its format."""

    runs: tuple[ImportedRun, ...]
    question: str
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A measured value that ends a run, in the format's own name of the metric."""

    metric: str
    comparison: str
    value: float

    def reached(self, measured: float) -> bool:
        """Return whether a measured value passes the target."""
        return bool(COMPARISONS[self.comparison](measured, self.value))

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.value:g}"


@dataclass(frozen=True)
class Options:
    """Options of the command line that add to a file. train_examples: training examples of one epoch. metrics: columns
    of METRICS with the names that the file has for them; names: all columns with such names. settings: columns that all
    runs get.

    Raises RecordError for train_examples outside 1 to LARGEST.
    """

    train_examples: int | None = None
    target: Target | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.train_examples is not None and not 1 <= self.train_examples <= LARGEST:
            raise RecordError(f"--train-examples {str(self.train_examples)[:40]} must be 1 or more.")


def parse_target(text: str) -> Target | None:
    """Return the target that text such as METRIC<VALUE describes; None for "". Raises RecordError for other text.

    >>> str(parse_target("val/classification_error<0.3"))
    'val/classification_error < 0.3'
    """
    if not text:
        return None
    match = TARGET.fullmatch(text)
    value = as_number(match[3]) if match else None
    if match is None or value is None:
        raise RecordError(f"--target {text[:60]!r} is no target; write METRIC<VALUE or METRIC>=VALUE, such as "
                          "'val/classification_error<0.3'.")
    return Target(match[1], match[2], value)


def largest(column: str) -> float:
    """Return the largest absolute value that can be believed in a column."""
    return LARGEST_LOSS if column in LOSSES else LARGEST


def as_number(text: str, most: float = LARGEST) -> float | None:
    """Return the finite number that a cell of a table holds.

    It is None for other text, for text above LONGEST_TEXT characters, and for an absolute value above `most`.
    """
    try:
        value = float(text) if len(text) <= LONGEST_TEXT and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= most else None


def number(value: object) -> float:
    """Return a value that a file's JSON holds as a float; NaN for null, text and what else is no number."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def label(value: object) -> str:
    """Return a name from a file as one printable line of at most LONGEST_TEXT characters; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return _label(value) if len(value) <= LONGEST_TEXT else _label.__wrapped__(value)


@lru_cache(maxsize=4096)  # logs say the same few names in every line
def _label(value: str) -> str:
    text = " ".join(value[:10 * LONGEST_TEXT].split())
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST_TEXT].strip()


def whole(value: object, what: str, most: float = LARGEST) -> int:
    """Return a value as a whole number of 1 to `most`. Raises RecordError, which names it as `what`, for any other."""
    count = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not 1 <= count <= most or count != int(count):
        raise RecordError(f"{what}={str(value)[:40]} must be a whole number of 1 or more.")
    return int(count)


def check_evaluation_names(names: Iterable[str]) -> None:
    """Raise RecordError where a name is none of the columns EVALUATION."""
    unknown = sorted(set(names) - set(EVALUATION))
    if unknown:
        raise RecordError(f"evaluations hold {unknown[0][:40]!r}, which is no column of ours.")
