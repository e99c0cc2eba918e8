"""What an audit finds: what is wrong, how it was seen, what it does to accuracy, and the fix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ...benchmarks.rank.audit.facts import Facts

FAULT, NOTE = "fault", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was found. name: in few words with hyphens, by which tests and scripts know it. kind: FAULT, or
    NOTE of what is right in some trainings and wrong in others."""

    name: str
    what: str
    seen: str
    effect: str
    fix: str
    kind: str = FAULT


@dataclass(frozen=True)
class Seen:
    """Everything that the processes of one audit wrote: the lone one's facts and arrays, and those of each rank."""

    alone: Facts
    arrays: dict[str, NDArray[Any]]
    ranks: tuple[tuple[Facts, dict[str, NDArray[Any]]], ...] = field(default=())

    @property
    def count(self) -> int:
        """Replicas that train together; 1 where the script was run alone only."""
        return max([facts.replicas if facts.size == 1 else facts.size for facts, _ in self.ranks], default=1)

    @property
    def together(self) -> Facts:
        """Facts of the first rank, or of the lone process where there are none."""
        return self.ranks[0][0] if self.ranks else self.alone

    def of_ranks(self, name: str) -> list[NDArray[Any]]:
        """Return an array of every rank; none where one of them lacks it."""
        found = [arrays[name] for _, arrays in self.ranks if name in arrays]
        return found if len(found) == len(self.ranks) else []

    @property
    def global_batch(self) -> int | None:
        """Examples of a step of all replicas, before any accumulation."""
        batch = self.together.batch
        return batch and batch * (self.count if self.together.size > 1 else 1)
