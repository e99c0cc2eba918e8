"""What a plan is expected to take before anything starts: runs, time and money, with a range where looks decide its
seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....benchmarks.planning.derived_keys import seed_looks
from ....benchmarks.planning.expected_time import NOTHING, WORKER_START_SECONDS
from ....benchmarks.planning.plan import Plan
from ....benchmarks.runs.run_config import RunConfig
from ....benchmarks.text import counted, duration
from .budget import money
from .rounds import first_runs, is_sequential

EXPECTED_SHARE, SELDOM_SHARE = 0.25, 0.55
"""Of the seeds between the fewest and the most of a point: taken on average, and exceeded by one study of ten; see
docs/accuracy-of-these-numbers.md."""

Seconds = Callable[[Sequence[RunConfig]], float]
"""Of runs, the time that they are expected to take on this machine, with the start of their workers."""


@dataclass(frozen=True)
class Foreseen:
    """So many runs, their time in seconds, and their price, NaN where the plan gives none."""

    runs: int
    seconds: float
    money: float


def foreseen(plan: Plan, runs: Sequence[RunConfig], share: float, seconds: Seconds,
             workloads: Mapping[str, Any] = NOTHING) -> Foreseen:
    """Return what a plan comes to that takes this share of the seeds between the fewest and the most of each point.
    Workers are started anew at each look."""
    taken = first_runs(plan, runs, share)
    return Foreseen(len(taken), seconds(taken) + WORKER_START_SECONDS * _later_looks(plan, share),
                    money(taken, float(plan.settings.get("price_per_device_hour") or "nan"), workloads))


def _later_looks(plan: Plan, share: float) -> int:
    """Looks after the first one, of the experiment that has most."""
    most = ((own, own[0] + round(share * (own[-1] - own[0]))) for own in map(seed_looks, plan.experiments) if own)
    return max((sum(count <= seeds for count in own) - 1 for own, seeds in most), default=0)


def lines(plan: Plan, runs: Sequence[RunConfig], seconds: Seconds,
          workloads: Mapping[str, Any] = NOTHING) -> list[str]:
    """Return the money that a plan is expected to cost, where it has a price; and before that, where looks decide its
    seeds, how many runs it may come to and how long they take."""
    priced = bool(plan.settings.get("price_per_device_hour"))
    if not is_sequential(plan):
        cost = foreseen(plan, runs, 1.0, seconds, workloads).money
        return [f"money: about {cost:.2f}, by price_per_device_hour"] if priced else []
    least, likely, seldom, most = (foreseen(plan, runs, share, seconds, workloads)
                                   for share in (0.0, EXPECTED_SHARE, SELDOM_SHARE, 1.0))
    return [f"seeds = \"auto\": {least.runs:,} to {most.runs:,} runs, about {likely.runs:,} expected, more than "
            f"{seldom.runs:,} in one study of ten; each batch and rule ends where it is decided",
            f"time: at least {duration(least.seconds)}, about {duration(likely.seconds)} expected, more than "
            f"{duration(seldom.seconds)} in one study of ten; that above is of all {counted(most.runs, 'run')}",
            *([f"money: at least {least.money:.2f}, about {likely.money:.2f} expected, more than {seldom.money:.2f} in "
               f"one study of ten, {most.money:.2f} at most, by price_per_device_hour"] if priced else [])]
