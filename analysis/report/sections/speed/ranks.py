"""Slow nodes and ranks, by name."""

from __future__ import annotations

from collections.abc import Sequence

from .....benchmarks.text import counted, number, percent
from ....formatting import table
from ....study.timing.slow_ranks import LIMIT, WHOLE_NODE, Pace, paces
from ...blocks import Section
from ...builder import section, SEVERAL_RANKS_LINES
from ...findings import Findings

SHOWN = 12


@section("ranks", "Slow nodes and ranks", needs=SEVERAL_RANKS_LINES)
def build(findings: Findings) -> Section | None:
    """Return who computes more slowly than the peers that have to wait, each timing point by itself."""
    found = paces(findings.results.runs, findings.results.ranks)
    if not found:
        return None
    slow = [pace for pace in found if pace.slow]
    nodes = {pace.host for pace in slow if pace.rank == WHOLE_NODE}
    named = [pace for pace in slow if pace.rank == WHOLE_NODE or pace.host not in nodes]
    hosts, limit = len(dict.fromkeys(pace.host for pace in found)), f"{percent(LIMIT - 1)}"
    text = ("Each rank's time for the same steps without the exchange of gradients, where nobody waits for another; in "
            f"training all are as slow as the slowest. Slow: more than {limit} above the median of the others in every "
            "launch, of two or more.",
            *(() if slow else (f"No rank on {counted(hosts, 'node')} was slow.",)))
    return Section(text, (), table(
        ("timing point", "who", "own step, ms", "over the others", "launches"),
        [(_point(pace), _name(pace), number(pace.own_step_seconds * 1000), _excess(pace), len(pace.ratios))
         for pace in found[:SHOWN]],
        "The slowest first. Median over launches; smallest and largest in brackets.", (2, 3, 4), "Numbers"),
        tuple(_warning(name, those) for name, those in _grouped(named).items()))


def _grouped(found: Sequence[Pace]) -> dict[str, list[Pace]]:
    named: dict[str, list[Pace]] = {}
    for pace in found:
        named.setdefault(_name(pace), []).append(pace)
    return named


def _name(pace: Pace) -> str:
    return f"node {pace.host}" if pace.rank == WHOLE_NODE else f"rank {pace.rank} on {pace.host}"


def _point(pace: Pace) -> str:
    experiment, placement, nodes, batch = pace.place
    return f"{experiment}, {placement} on {counted(int(nodes), 'node')}, batch {int(batch):,}"


def _excess(pace: Pace) -> str:
    middle, low, high = (percent(ratio - 1, signed=True) for ratio in (pace.ratio, min(pace.ratios), max(pace.ratios)))
    return f"{middle} ({low} to {high})" if len(pace.ratios) > 1 else middle


def _warning(name: str, found: Sequence[Pace]) -> str:
    """One sentence for all the timing points at which this one is slow."""
    worst = found[0]
    return (f"{name} is slow at {counted(len(found), 'timing point')}: {_excess(worst)} over the others at "
            f"{_point(worst)} (n = {counted(len(worst.ratios), 'launch', 'launches')}); all ranks wait for it.")
