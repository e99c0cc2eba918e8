"""What a comparison consists of: metrics, cells of two sides, and the change between them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, EXIT_UNDECIDED
from ..statistics.difference import Summary
from ..statistics.estimate import Estimate

TOLERANCE = 0.05
REPEATS = ("seed", "launch")
RESULTS = {"diverged", "out_of_memory"}
NOT_RECORDED = "not recorded"
Answer = Literal["regression", "missing", "not decided", "improvement", "no change"]


@dataclass(frozen=True)
class Metric:
    """Quantity that is compared. relative: as a ratio, on logarithms. paired: repeat by repeat (seed, or batch),
    because what a repeat shares on both sides then cancels; else launches are independent."""

    name: str
    higher_is_better: bool
    relative: bool = True
    paired: bool = False


METRICS = {metric.name: metric for metric in (
    Metric("examples_per_second", True), Metric("step_seconds", False), Metric("seconds", False),
    Metric("test_accuracy", True, relative=False, paired=True), Metric("test_loss", False, paired=True),
    Metric("peak_memory_bytes", False, paired=True), Metric("geometric_mean_of_times", False))}
# What is judged together as time.
TOGETHER = dict.fromkeys(("examples_per_second", "step_seconds", "seconds"), "geometric_mean_of_times")


@dataclass(frozen=True)
class Cell:
    """One metric of one configuration on one side. `values`: repeat -> value; `summary` instead where only mean,
    standard deviation and count are known. `ended`: repeat -> how it ended, of the planned ones without a value.
    `conditions`: key -> the values it had, which the other side must share."""

    metric: str
    values: Mapping[Hashable, float]
    conditions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ended: Mapping[Hashable, str] = field(default_factory=dict)
    summary: Summary | None = None

    @property
    def measured(self) -> bool:
        """Return whether there is a value of any repeat, or a summary."""
        return bool(self.values) or self.summary is not None


@dataclass(frozen=True)
class Side:
    """One of the two result sets: `cells` by (metric, label). `margin`: the accuracy difference that counts as the
    same. `facts`: what may differ and is reported, such as the commit."""

    name: str
    kind: str
    cells: Mapping[tuple[str, str], Cell]
    margin: float
    facts: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One metric of both sides. `estimate`: new/base - 1 where relative, else new - base; `p_value` is one-sided, of a
    change beyond the tolerance in the direction seen, adjusted over all metrics; `reason` says what is missing."""

    metric: str
    label: str
    base: float
    new: float
    estimate: Estimate
    p_value: float
    tolerance: float
    answer: Answer
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two sides and the changes between them. `together`: the changes over all configurations; `added`: what only the
    new side has and the base never planned; `allowed`: key -> both values, of the conditions that differ by
    permission."""

    base: Side
    new: Side
    changes: tuple[Change, ...]
    together: tuple[Change, ...]
    added: tuple[str, ...]
    allowed: Mapping[str, tuple[str, str]]

    def of(self, answer: Answer) -> list[Change]:
        """Return the changes that have this answer."""
        return [change for change in self.changes if change.answer == answer]

    def exit_code(self, strict: bool = False) -> int:
        """Return 1 where anything regressed or is missing, else 0; `strict`: 4 where anything is not decided."""
        if self.of("missing") or any(change.answer == "regression" for change in (*self.changes, *self.together)):
            return EXIT_RUNS_FAILED
        return EXIT_UNDECIDED if strict and self.of("not decided") else EXIT_OK


def written(values: frozenset[str]) -> str:
    """Return several values as one text, sorted and joined by "or"."""
    return " or ".join(sorted(values))
