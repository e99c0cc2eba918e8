"""What a step that reads from disk waits for: its throughput beside that of its input and of its model alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ....benchmarks.text import counted, number, percent
from ...formatting import estimated
from ...statistics.estimate import Estimate, geometric_mean
from ...statistics.ratio import LAUNCHES

PLACE = ("experiment", "placement", "nodes", "global_batch")
COLUMNS = ("examples_per_second", "input_examples_per_second", "synthetic_examples_per_second")
LIMIT = 0.9  # of what a half could do alone: windows that spread by a tenth are called unstable elsewhere, too
COMPUTE, INPUT, OVERLAP, SUSPECT = "compute bound", "input bound", "they overlap badly", "faster than its own halves"
NOT_DECIDED = "not decided"


def verdict(real: float, given: float, model: float) -> str:
    """Return what limits one launch, from its examples per second together, of the input alone and of the model alone.

    Halves that overlap perfectly give min(input, model) together; one after the other, 1 / (1/input + 1/model).
    """
    if real > min(given, model) / LIMIT:
        return SUSPECT
    if real >= LIMIT * model:
        return COMPUTE
    return INPUT if real >= LIMIT * given else OVERLAP


def hidden_share(real: float, given: float, model: float) -> float:
    """Return the share of the shorter half's time that passes behind the longer: 1 all of it, 0 none; below 0 the
    halves hinder each other. The rates are in examples per second."""
    halves = (1 / given, 1 / model)
    return (sum(halves) - 1 / real) / min(halves)


@dataclass(frozen=True)
class Halves:
    """One timing point (values of PLACE): examples per second by launch, together, input alone and model alone."""

    place: tuple[Any, ...]
    real: tuple[float, ...]
    given: tuple[float, ...]
    model: tuple[float, ...]

    @property
    def verdicts(self) -> tuple[str, ...]:
        """Return the verdict on each launch."""
        return tuple(map(verdict, self.real, self.given, self.model))

    @property
    def verdict(self) -> str:
        """Return the verdict that all launches have in common; NOT_DECIDED where they differ."""
        found = set(self.verdicts)
        return found.pop() if len(found) == 1 else NOT_DECIDED

    @property
    def of_model(self) -> Estimate:
        """Return the real throughput as a fraction of the model's alone: the geometric mean over launches."""
        return geometric_mean([real / model for real, model in zip(self.real, self.model)]).per(LAUNCHES)

    @property
    def hidden(self) -> float:
        """Return the mean over launches of `hidden_share`."""
        return float(np.mean([hidden_share(*launch) for launch in zip(self.real, self.given, self.model)]))

    @property
    def _overlap(self) -> str:
        if self.hidden >= 0:
            return f"and {percent(self.hidden)} of the shorter half is hidden behind the longer"
        return "and even one after the other they would be faster: they hinder each other"

    def sentence(self) -> str:
        """Return the verdict with its numbers, in plain words."""
        real, given, model = (geometric_mean(values).per(LAUNCHES) for values in (self.real, self.given, self.model))
        found = self.verdict
        reason = {
            INPUT: f"that is {percent(self.of_model.value)} of what the model could",
            COMPUTE: f"that is {percent(self.of_model.value)} of what the model could, and the pipeline could feed "
                     f"{number(given.value / real.value, 2)} times as much",
            OVERLAP: f"the slower half alone allows {number(min(given.value, model.value))}, {self._overlap}",
            SUSPECT: "no step can be faster than its halves, so something else ran while these were timed; measure "
                     "again on a quiet machine",
            NOT_DECIDED: f"of {counted(len(self.real), 'launch', 'launches')}, {_counts(self.verdicts)}; time more "
                         "launches, or longer windows"}[found]
        return (f"{found}: the pipeline alone gives {estimated(given, 'examples/s')}, the model alone "
                f"{estimated(model, 'examples/s')}, both together {estimated(real, 'examples/s')}; {reason}.")

    def to_json(self) -> dict[str, Any]:
        """Return the place, the three throughputs in examples per second, the hidden share and the verdict."""
        halves = zip(("real", "input", "model"), (self.real, self.given, self.model))
        rates = {f"{name}_examples_per_second": geometric_mean(values).per(LAUNCHES).to_json()
                 for name, values in halves}
        return {**dict(zip(PLACE, map(_plain, self.place))), **rates, "real_of_model": self.of_model.to_json(),
                "hidden_share": self.hidden, "verdict": self.verdict, "sentence": self.sentence()}


def three_ways(runs: pd.DataFrame) -> list[Halves]:
    """Return every timing point that was timed in all three ways: with its input from disk, the input alone and the
    model alone. `runs` is the table of Results."""
    known = runs.drop_duplicates("run_id").dropna(subset=list(COLUMNS))
    return [Halves(tuple(place), *(tuple(map(float, rows[column])) for column in COLUMNS))
            for place, rows in known.groupby(list(PLACE), sort=False)]


def _counts(verdicts: tuple[str, ...]) -> str:
    found: Mapping[str, int] = Counter(verdicts)
    return ", ".join(f"{count} say {name}" for name, count in found.items())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
