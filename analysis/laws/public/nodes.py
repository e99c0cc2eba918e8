"""What published tables of throughput over several nodes say of more nodes than were measured.

How much longer a step gets with each further doubling of the nodes follows, with a spread, from how much longer it got
with each doubling so far: log T(q) - log T(p) = d (offset + slope max(u, 0)), where p is the most nodes that are known,
d = log2(q / p) and u = log T(p) / T(o) for each doubling from o to p. Deviations stay with a machine, so that they grow
with d, and they are skewed: a network or a server of parameters that fills up is far above, nothing is far below.
Leaving one node is another thing than adding to several, so it has a rule of its own
(`benchmarks.micro.public_curves.several_nodes` fits them, each table judged by rules of the others).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from msgspec import json, Struct

from ...statistics.estimate import Estimate
from .measured import Measured

FILE = Path(__file__).parent / "nodes.json"


class NodesRule(Struct, frozen=True, kw_only=True):
    """The step on more full nodes as it follows from two numbers of them.

    leaving: whether the fewer of the two is one node. offset, slope: of what a doubling adds to the logarithm of the
    step, over u. low, high: the ends of its 95 % interval from there. reach: the smallest and the largest u that were
    seen; the rule says nothing outside. measured: on the next count of each table, two or more known.
    """

    leaving: bool
    offset: float
    slope: float
    low: float
    high: float
    reach: tuple[float, float]
    measured: Measured

    def reaches(self, slow_down: float) -> bool:
        """Return whether tables with this slow-down for each doubling were seen."""
        return self.reach[0] <= slow_down <= self.reach[1]

    def log_ratio(self, slow_down: float, doublings: float) -> Estimate:
        """Return log T after so many doublings of the nodes over T before, of one machine, with its 95 % interval."""
        each = self.offset + self.slope * max(slow_down, 0.0)
        return Estimate(doublings * each, doublings * (each + self.low), doublings * (each + self.high),
                        self.measured.curves)


class PublicNodes(Struct, frozen=True, kw_only=True):
    """The rules, and what they were fitted to."""

    what: str
    source: str
    rules: tuple[NodesRule, ...]

    def rule(self, leaving: bool) -> NodesRule | None:
        """Return the rule for steps known on one node and on several, or on several alone; None where none was
        fitted."""
        return next((rule for rule in self.rules if rule.leaving == leaving), None)


@lru_cache(maxsize=1)
def shipped_nodes() -> PublicNodes:
    """Return the rules that come with the package."""
    return json.decode(FILE.read_bytes(), type=PublicNodes)
