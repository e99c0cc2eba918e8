"""What a plan is expected to take before anything starts: runs, time and money, with a range where looks decide its
seeds. Where rates are halved, as many as come through each length, and one more at the end; all of them at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....benchmarks.planning.derived_keys import seed_looks, waiting_for_accuracy
from ....benchmarks.planning.expected_time import NOTHING, WORKER_START_SECONDS
from ....benchmarks.planning.plan import Plan
from ....benchmarks.planning.tuning import halving
from ....benchmarks.runs.run_config import RunConfig
from ....benchmarks.schedules.phases import begun_by, phases
from ....benchmarks.schedules.rules import TUNED_RULE
from ....benchmarks.text import counted, duration
from ...machine.gpus import gpu_words
from ..schedule import may_stand_by
from .budget import money
from .rounds import first_seeds, is_sequential

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
             workloads: Mapping[str, Any] = NOTHING, gpus: Sequence[str] = ()) -> Foreseen:
    """Return what a plan comes to that takes this share of the seeds between the fewest and the most of each point.
    Workers that cannot stand by are started anew at each look, and where rates were compared. gpus: as of stages."""
    taken = expected_times(plan, expected_rates(plan, first_seeds(plan, runs, share)), share)
    trained = without_beginnings(taken)
    anew = any(one.kind == "accuracy" and not may_stand_by(one, gpus) for one in taken)
    starts = WORKER_START_SECONDS * _later_rounds(plan, share) if anew else 0.0
    return Foreseen(len(taken), seconds(trained) + starts,
                    money(trained, float(plan.settings.get("price_per_device_hour") or "nan"), workloads))


def expected_rates(plan: Plan, runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return the runs without those of rates that are not expected to go so far."""
    halved = {str(one["name"]): own for one in plan.experiments if (own := halving(one))}
    first = int(plan.settings.get("first_seed", 0))
    return [one for one in runs if one.rule != TUNED_RULE or (own := halved.get(one.experiment)) is None
            or own.expected(one.trial, one.stops_after, one.seed - first)]


def expected_times(plan: Plan, runs: Sequence[RunConfig], share: float) -> list[RunConfig]:
    """Return the runs without those of timing that waits for accuracy and batches that are not expected to be kept: as
    this share of the others, the smaller ones are kept beside the reference batch."""
    dropped = set[tuple[str, int]]()
    for name, others in waiting_for_accuracy(plan.experiments).items():
        trained = sorted({(one.global_batch != one.reference_batch, one.global_batch)
                          for one in runs if one.experiment in others})
        dropped |= {(name, batch) for _, batch in trained[1 + round(share * (len(trained) - 1)):]}
    return [one for one in runs if (one.experiment, one.global_batch) not in dropped]


def without_beginnings(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return the runs without those from whose end another one goes on, and whose steps it does not take again."""
    longest: dict[RunConfig, RunConfig] = {}
    for one in runs:
        if one.rule == TUNED_RULE:
            longest[begun_by(one)] = max(one, longest.get(begun_by(one), one), key=lambda each: phases(each)[-1].end)
    return [one for one in runs if one.rule != TUNED_RULE or longest[begun_by(one)] == one]


def _later_rounds(plan: Plan, share: float) -> int:
    """Looks after the first one, and lengths of rates after theirs, of the experiment that has most."""
    def of(experiment: Mapping[str, Any]) -> int:
        own, halved = seed_looks(experiment), halving(experiment)
        most = own[0] + round(share * (own[-1] - own[0])) if own else 0
        # After the last length the best rate's neighbours, and then the other seeds.
        return max(sum(count <= most for count in own) - 1, 0) + (len(halved.stops) + 1 if halved else 0)
    return max(map(of, plan.experiments), default=0)


def lines(plan: Plan, runs: Sequence[RunConfig], seconds: Seconds,
          workloads: Mapping[str, Any] = NOTHING) -> list[str]:
    """Return the money that a plan is expected to cost, where it has a price; and before that, where looks decide its
    seeds, how many runs it may come to and how long they take."""
    priced = bool(plan.settings.get("price_per_device_hour"))
    if not is_sequential(plan):
        cost = foreseen(plan, runs, 1.0, seconds, workloads).money
        return [f"money: about {cost:.2f}, by price_per_device_hour"] if priced else []
    gpus = gpu_words()  # which asks nvidia-smi, for a second on a machine of many
    if not any(map(seed_looks, plan.experiments)):
        return _by_rates(foreseen(plan, runs, 1.0, seconds, workloads, gpus), priced)
    least, likely, seldom, most = (foreseen(plan, runs, share, seconds, workloads, gpus)
                                   for share in (0.0, EXPECTED_SHARE, SELDOM_SHARE, 1.0))
    return [f"seeds = \"auto\": {least.runs:,} to {most.runs:,} runs, about {likely.runs:,} expected, more than "
            f"{seldom.runs:,} in one study of ten; each batch and rule ends where it is decided",
            f"time: at least {duration(least.seconds)}, about {duration(likely.seconds)} expected, more than "
            f"{duration(seldom.seconds)} in one study of ten; that above is of all {counted(most.runs, 'run')}",
            *([f"money: at least {least.money:.2f}, about {likely.money:.2f} expected, more than {seldom.money:.2f} in "
               f"one study of ten, {most.money:.2f} at most, by price_per_device_hour"] if priced else [])]


def _by_rates(likely: Foreseen, priced: bool) -> list[str]:
    """What a plan with a number of seeds comes to where its rates are halved."""
    cost = [f"money: about {likely.money:.2f} expected, by price_per_device_hour"] if priced else []
    return [f"halve_after: about {likely.runs:,} runs expected, those that go on from others among them; which rates "
            "go on is decided as they come in",
            f"time: about {duration(likely.seconds)} expected; that above is of every run that may be asked for", *cost]
