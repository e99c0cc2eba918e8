"""The warnings of runs: which of them undermine what a run is taken for, and many of them as a few sentences.

A record keeps its warnings as sentences. Those that take something away from a result are made from a template here,
by which they are recognized again when records are read, also those that were written before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..text import counted, listed

# What a warning takes away: the run follows no rule whose rate it never reached; an evaluation of a model whose moving
# statistics still remember their start is none of the model.
RULE, EVALUATION = "rule", "evaluation"
MOST_ARMS = 6
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")


@dataclass(frozen=True)
class Undermining:
    """A warning that takes something away from its run; `template` has the places of its numbers in braces."""

    template: str
    takes: str

    def sentence(self, **numbers: object) -> str:
        """Return the sentence with these numbers in it."""
        return self.template.format(**numbers)

    def is_in(self, sentence: str) -> bool:
        """Return whether the sentence was made from this template."""
        return re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(self.template)), sentence) is not None


PEAK_NEVER_REACHED = Undermining(
    "warm-up of {warmup} steps is longer than the run of {steps}: the peak is never reached", RULE)
STATISTICS_NOT_FORGOTTEN = Undermining(
    "batch norm's moving statistics need {needed} updates to forget their start and this run makes {updates}: its "
    "evaluations may judge the model worse than it is; take more epochs, or a model with a lower batch norm momentum",
    EVALUATION)
UNDERMINING = (PEAK_NEVER_REACHED, STATISTICS_NOT_FORGOTTEN)


def taken_by(sentence: str) -> str:
    """Return what the warning takes away from its run: RULE, EVALUATION or, of all others, ""."""
    return next((kind.takes for kind in UNDERMINING if kind.is_in(sentence)), "")


@dataclass(frozen=True)
class Warned:
    """One warning of one run."""

    run_id: str
    experiment: str
    rule: str
    global_batch: int
    sentence: str


@dataclass
class WarningGroup:
    """Warnings that differ in their numbers alone. `arms`: experiment and rule -> the batches whose runs warn so."""

    sentence: str
    runs: int
    takes: str
    arms: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Return the arms in words: sgd, linear, batch 128 and 512."""
        each = [f"{experiment}, {rule}, batch {listed(f'{batch:,}' for batch in batches)}"
                for (experiment, rule), batches in self.arms.items()]
        more = f"; and {counted(len(each) - MOST_ARMS, 'more arm')}" if len(each) > MOST_ARMS else ""
        return "; ".join(each[:MOST_ARMS]) + more

    def __str__(self) -> str:
        return f"{self.sentence} ({counted(self.runs, 'run')}: {self.where})"

    def to_json(self) -> dict[str, Any]:
        """Return the group for decision.json; `undermines` is rule, evaluation or empty."""
        arms = [{"experiment": experiment, "rule": rule, "global_batches": list(batches)}
                for (experiment, rule), batches in self.arms.items()]
        return {"warning": self.sentence, "runs": self.runs, "undermines": self.takes, "arms": arms}


def grouped(warned: Iterable[Warned]) -> tuple[WarningGroup, ...]:
    """Return the warnings grouped, those that undermine a result first, then those of the most runs."""
    forms: dict[str, list[Warned]] = {}
    for one in warned:
        forms.setdefault(NUMBER.sub("#", one.sentence), []).append(one)
    found = []
    for own in forms.values():
        arms: dict[tuple[str, str], set[int]] = {}
        for one in own:
            arms.setdefault((one.experiment, one.rule), set()).add(one.global_batch)
        found.append(WarningGroup(merged([one.sentence for one in own]), len({one.run_id for one in own}),
                                  taken_by(own[0].sentence),
                                  {arm: tuple(sorted(batches)) for arm, batches in arms.items()}))
    return tuple(sorted(found, key=lambda group: (not group.takes, -group.runs)))


def merged(sentences: Iterable[str]) -> str:
    """Return sentences that differ in their numbers alone as one; a number that varies becomes its range.

    >>> merged(["5 steps of 20", "12 steps of 20"])
    '5 to 12 steps of 20'
    """
    each = list(dict.fromkeys(sentences))
    columns = zip(*(NUMBER.findall(sentence) for sentence in each))
    ranges = iter([_range(column) for column in columns])
    return NUMBER.sub(lambda _: next(ranges), each[0])


def _range(numbers: Iterable[str]) -> str:
    ordered = sorted(set(numbers), key=lambda text: float(text.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
