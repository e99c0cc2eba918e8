"""Which run begins next on which devices: accuracy runs side by side, timing runs with the machine to themselves.

Runs that share the machine begin as soon as enough devices are free, the longest first and then whichever finds room,
so that the devices end together (Graham 1969: on one device each, at most a third above the best there is, and the
closer to it the more runs there are for a device). A run that is alone keeps its place in the plan: all before it have
ended when it begins, and none begins before it has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from ....benchmarks.errors import PlanError


@dataclass(frozen=True)
class Waiting:
    """A run to be done: its name, the seconds expected of it, the devices that it takes all that while, and whether the
    machine must do nothing else meanwhile."""

    name: str
    seconds: float
    devices: int = 1
    alone: bool = False


def begun(waiting: Sequence[Waiting], free: Sequence[int], count: int) -> dict[str, tuple[int, ...]]:
    """Return the runs that begin now, by name, and the devices that each of them takes.

    waiting: those that have not begun, in the plan's order. free: the devices that do nothing, of `count` in all.
    Raises PlanError where one of them takes more devices than there are.
    """
    if waiting and waiting[0].alone:
        return {waiting[0].name: tuple(free)} if len(free) == count else {}
    block = list(takewhile(lambda one: not one.alone, waiting))
    found, left = dict[str, tuple[int, ...]](), tuple(free)
    for one in sorted(block, key=lambda run: run.seconds, reverse=True):
        if one.devices > count:
            raise PlanError(f"{one.name} takes {one.devices} devices and there are {count}; give it fewer replicas.")
        if one.devices <= len(left):
            found[one.name], left = left[:one.devices], left[one.devices:]
    return found
