"""Where others' results stand: critical batches of public workloads, and efficiencies of public curves of GPUs.

The numbers are in `points.json`, which `benchmarks.micro.public_curves.points` makes; sources and licences stand in it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from msgspec import json, Struct

from ...statistics.estimate import Estimate

FILE = Path(__file__).parent / "points.json"


class Source(Struct, frozen=True, kw_only=True):
    """The source of numbers, with its licence or why none is needed."""

    name: str
    licence: str


class Workload(Struct, frozen=True, kw_only=True):
    """A public workload and its critical batch in `unit` of the global batch. low, high: of its 95 % interval, None
    where nobody gives one; batches: the smallest and the largest that were trained, and points how many; beyond: that
    the critical batch lies outside of them, so that it is a bound more than a value."""

    name: str
    what: str
    unit: str
    critical_batch: float
    source: str
    low: float | None = None
    high: float | None = None
    points: int = 0
    batches: tuple[int, int] | None = None
    beyond: bool = False

    @property
    def estimate(self) -> Estimate:
        """Return the critical batch with its interval."""
        low, high = (math.nan if end is None else end for end in (self.low, self.high))
        return Estimate(self.critical_batch, low, high, self.points, "points" if self.points else "")


class Efficiencies(Struct, frozen=True, kw_only=True):
    """Efficiencies of weak scaling on so many GPUs of one machine, of `curves` curves: at equally spaced shares of
    them, from the lowest to the highest."""

    replicas: int
    curves: int
    values: tuple[float, ...]

    def share_below(self, efficiency: float) -> float:
        """Return the share of curves whose efficiency is lower."""
        return float(np.interp(efficiency, self.values, np.linspace(0, 1, len(self.values)), left=0.0, right=1.0))


class PublicPoints(Struct, frozen=True, kw_only=True):
    """All public results that ship with the package."""

    sources: dict[str, Source]
    workloads: tuple[Workload, ...]
    efficiencies: tuple[Efficiencies, ...]
    curves_source: str

    def efficiency(self, replicas: int) -> Efficiencies | None:
        """Return the curves' efficiencies on so many replicas; None where none is known."""
        return next((one for one in self.efficiencies if one.replicas == replicas), None)


@lru_cache(maxsize=1)
def shipped() -> PublicPoints:
    """Return the results that come with the package."""
    return json.decode(FILE.read_bytes(), type=PublicPoints)
