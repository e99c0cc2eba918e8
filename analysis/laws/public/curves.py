"""What public curves of throughput over the GPUs of one machine say of counts that were not measured.

A curve is one model on one machine. How much longer its step gets on further GPUs follows, with a spread, from how much
longer it has got so far: log T(q) - log T(p) = offset + slope u, u = log T(p) - log T(1), p the most that are known.
The spread grows with |u|. The few numbers of each rule are fitted to curves that are not part of this package
(`benchmarks.micro.public_curves.held_out` fits them, and says how far off they are on set-ups left out of the fit).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from msgspec import json, Struct
from msgspec.structs import replace

from ...statistics.estimate import Estimate
from .measured import Measured
from .nodes import PublicNodes, shipped_nodes

FILE = Path(__file__).parent / "curves.json"


class Rule(Struct, frozen=True, kw_only=True):
    """The step of `predicted` GPUs as it follows from those of `given` ones.

    offset, slope: of log T(predicted) / T(the most given), over u. spread, spread_slope: of its deviations, in
    multiples of which `quantile` reaches 95 % of them. least: the smallest that was seen. reach: the smallest and the
    largest u that were seen; the rule says nothing outside.
    """

    given: tuple[int, ...]
    predicted: int
    offset: float
    slope: float
    spread: float
    spread_slope: float
    quantile: float
    least: float
    reach: tuple[float, float]
    measured: Measured

    def reaches(self, slow_down: float) -> bool:
        """Return whether curves with this u were seen."""
        return self.reach[0] <= slow_down <= self.reach[1]

    def log_ratio(self, slow_down: float) -> Estimate:
        """Return log T(predicted) / T(the most given) of one machine at this u, with its 95 % interval."""
        middle = self.offset + self.slope * slow_down
        half = self.quantile * (self.spread + self.spread_slope * abs(slow_down))
        return Estimate(middle, max(middle - half, min(middle, self.least)), middle + half, self.measured.curves)


class PublicCurves(Struct, frozen=True, kw_only=True):
    """The rules, and the source of what they were fitted to. nodes: those of several nodes, which have sources of
    their own."""

    source: str
    licence: str
    what: str
    rules: tuple[Rule, ...]
    nodes: PublicNodes | None = None

    def rule(self, given: frozenset[int], predicted: int) -> Rule | None:
        """Return the rule for these counts; None where there is none. More counts than a rule needs do not matter, as
        long as none is beyond the most of them."""
        return next((rule for rule in self.rules if rule.predicted == predicted and max(given) == max(rule.given)
                     and given.issuperset(rule.given)), None) if given else None


@lru_cache(maxsize=1)
def shipped() -> PublicCurves:
    """Return the rules that come with the package."""
    return replace(json.decode(FILE.read_bytes(), type=PublicCurves), nodes=shipped_nodes())
