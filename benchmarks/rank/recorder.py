"""What a run gathers while it goes on, and how its ranks say that they stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Interrupted(Exception):
    """The ranks agreed to stop at a step boundary; `status` is what the attempt is recorded as."""

    def __init__(self, status: str) -> None:
        super().__init__(f"stopped at a step boundary on request ({status})")
        self.status = status


@dataclass
class Measured:
    """The raw values of one run as they come."""

    evaluations: list[dict[str, Any]] = field(default_factory=list)
    windows: list[dict[str, Any]] = field(default_factory=list)
    own_windows: list[dict[str, Any]] = field(default_factory=list)
    input_windows: list[dict[str, Any]] = field(default_factory=list)
    synthetic_windows: list[dict[str, Any]] = field(default_factory=list)
    energy: list[dict[str, Any]] = field(default_factory=list)
    gpus: list[dict[str, Any]] = field(default_factory=list)
    gradient_norms: list[dict[str, Any]] = field(default_factory=list)
    sharpness: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    equal_evaluations: int = 0
    status: str = "completed"
