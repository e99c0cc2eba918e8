"""What one command may spend: time, runs or money; and which runs come first where it may not be enough for all.

Of a study whose seeds are decided by looks, the batches that the budget is expected to decide go first, side by side;
the others are put off until those are decided. Where it is expected to decide none, the soonest goes alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....benchmarks.errors import PlanError
from ....benchmarks.planning.expected_time import expected_seconds, NOTHING
from ....benchmarks.planning.plan import Plan
from ....benchmarks.records.run_folder import FINAL
from ....benchmarks.records.store import Store
from ....benchmarks.runs.run_config import RunConfig

AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(runs?|usd)")
HOUR = 3600.0

Point = tuple[str, str, int]  # experiment, rule and global batch
Turn = tuple[Point, int]
"""An open batch, and the seeds that it and the reference batch are expected to take until it is decided."""


@dataclass
class Budget:
    """A limit of what may be spent, in runs that are begun and in money; `price`: of a device for an hour. Time has
    its own limit, after which no run is begun. given: whether there is any limit, so that runs are put in order."""

    runs: float = math.inf
    money: float = math.inf
    price: float = math.nan
    given: bool = False
    counted: set[str] = field(default_factory=set)

    def soonest(self, store: Store, asked: Sequence[RunConfig], turns: Sequence[Turn]) -> list[RunConfig]:
        """Return the runs that are asked for without those of open batches that are put off: all of them where neither
        runs nor money are limited, and before the first look. turns: the open batches, the soonest decided first."""
        todo = [one for one in asked if one.kind == "accuracy" and not self._is_done(store, one)]
        if min(self.runs, self.money) == math.inf:
            return list(asked)
        waiting = [(point, seeds) for point, seeds in turns if any(_point(one) == point for one in todo)]
        spent, put_off = 0.0, set[Point]()
        for at, (point, seeds) in enumerate(waiting):
            spent += seeds / self._seeds([one for one in todo if _point(one) == point])
            put_off |= {point} if at and spent > 1 else set()
        return [one for one in asked if _point(one) not in put_off or one not in todo]

    def _seeds(self, own: Sequence[RunConfig]) -> float:
        """How many seeds of a batch all that is left pays for, each with every rate that is tried; a sliver of one
        where nothing is left. own: its runs."""
        each = len(own) / len({one.seed for one in own})
        price = money(own, self.price) / len(own) if self.money < math.inf else 0.0
        return max(min(self.runs, self.money / price if price else math.inf) / each, 1e-9)

    def afforded(self, store: Store, runs: Sequence[RunConfig]) -> list[RunConfig]:
        """Return the runs that are done, and of the others as many as may still be paid for; in the plan's order, or
        in order of what they decide where there is a limit."""
        if not self.given:
            return list(runs)
        kept = []
        for one in in_order(runs):
            if self._is_done(store, one) or self._pays(one):
                kept.append(one)
        return kept

    def _is_done(self, store: Store, one: RunConfig) -> bool:
        return one.run_id in self.counted or store.run(one.run_id).status() in FINAL

    def _pays(self, one: RunConfig) -> bool:
        costs = money([one], self.price) if self.money < math.inf else 0.0
        if self.runs < 1 or self.money < costs:
            return False
        self.runs, self.money = self.runs - 1, self.money - costs
        self.counted.add(one.run_id)
        return True


def _point(run: RunConfig) -> Point:
    return run.experiment, run.rule, run.global_batch


def money(runs: Sequence[RunConfig], price: float, workloads: Mapping[str, Any] = NOTHING) -> float:
    """Return what the runs are expected to cost at the price of a device for an hour; workloads: those that have been
    described, by their key."""
    return sum(expected_seconds(one, workloads.get(one.workload_key, NOTHING)) / HOUR * one.replicas * price
               for one in runs)


def in_order(runs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return the runs in order of what they decide: timing and memory as they are, then accuracy seed by seed, since
    nothing is decided by one seed of a batch; of a seed the reference batch first, which every other is held against,
    then smaller batches before larger ones, as no batch is kept before those below it."""
    accuracy = [one for one in runs if one.kind == "accuracy"]
    accuracy.sort(key=lambda one: (one.seed, one.global_batch != one.reference_batch, bool(one.earlier_batches),
                                   one.global_batch))
    following = iter(accuracy)
    return [next(following) if one.kind == "accuracy" else one for one in runs]


def parsed(text: str, plan: Plan) -> Budget:
    """Return the budget that 40runs or 20usd describes; one of time alone limits neither. Raises PlanError where money
    is given and the plan has no price."""
    found = AMOUNT.fullmatch(text.strip().lower())
    if not found:
        return Budget(given=bool(text))
    amount, unit = float(found[1]), found[2]
    if unit != "usd":
        return Budget(runs=amount, given=True)
    price = plan.settings.get("price_per_device_hour")
    if not price:
        raise PlanError(f"--budget {text}: the plan has no price_per_device_hour to reckon with; give one, such as "
                        "--set price_per_device_hour=2.5, or a budget of time or runs, such as 2h or 40runs.")
    return Budget(money=amount, price=float(price), given=True)


def is_time(text: str) -> bool:
    """Return whether the text of a budget is one of time, and not of runs or money."""
    return not AMOUNT.fullmatch(text.strip().lower())
