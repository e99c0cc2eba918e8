"""What a run gathers while it goes on: evaluations, windows, and the rows of its meters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..records.schema import finite
from .meters.base import Meter, Row, meters
from .strategies.base import Strategy


class Interrupted(Exception):
    """The ranks agreed to stop at a step boundary; `status` is what the attempt is recorded as."""

    def __init__(self, status: str) -> None:
        super().__init__("stopped at a step boundary on request")
        self.status = status


@dataclass
class Recorder:
    """The raw values of one run as they come, on this rank."""

    evaluations: list[Row] = field(default_factory=list)
    windows: list[Row] = field(default_factory=list)
    equal_evaluations: int = 0
    status: str = "completed"
    meters: tuple[Meter, ...] = field(default_factory=lambda: tuple(meter() for meter in meters()))

    def fields(self, strategy: Strategy) -> dict[str, Any]:
        """Return the record's measured fields; the rows of all ranks where a field holds those. All ranks call it."""
        found: dict[str, Any] = {"evaluations": self.evaluations, "windows": everyones(strategy, self.windows)}
        for meter in self.meters:
            for name, values in meter.values.items():
                found[name] = everyones(strategy, values) if meter.every_rank else values
        return found

    def kept(self, strategy: Strategy) -> dict[str, Any]:
        """Return what a checkpoint keeps of the run so far. All ranks call it."""
        found = {"evaluations": self.evaluations, "windows": everyones(strategy, self.windows),
                 "equal_evaluations": self.equal_evaluations}
        return {**found, **{name: values for meter in self.meters if meter.kept
                            for name, values in meter.values.items()}}

    def take_over(self, kept: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint kept of an earlier attempt; only rank 0 has it, the other ranks have nothing."""
        for meter in self.meters:
            meter.values.update({name: kept[name] for name in meter.fields if name in kept})
        for name in ("evaluations", "windows", "equal_evaluations"):
            if name in kept:
                setattr(self, name, kept[name])


def everyones(strategy: Strategy, own: list[Row]) -> list[Row]:
    """Return the rows of all ranks, in rank order. All ranks call it."""
    return [row for rows in strategy.gather(own) for row in rows]


def step_writer(attempt: Path, rank: int) -> Callable[[Row], None]:
    """Return a function that appends evaluations to steps.jsonl as they happen, on rank 0."""
    def write(row: Row) -> None:
        if rank == 0:
            with open(attempt / "steps.jsonl", "a") as file:
                file.write(json.dumps(finite(row)) + "\n")
    return write
