"""Which run begins next, on simulated devices: how close the wall time comes to what no order can go below."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pytest

from batchscale.benchmarks.errors import PlanError
from batchscale.launchers.local.placing.devices import begun, Waiting

DEVICES = 8
LENGTHS = ("batches", "uniform", "lognormal", "alike")


@dataclass(frozen=True)
class Done:
    """A run as the simulated devices did it."""

    run: Waiting
    devices: tuple[int, ...]
    began: float
    ended: float


def simulated(waiting: Sequence[Waiting], count: int = DEVICES) -> Iterator[Done]:
    """Each run as it ends, on devices that take the expected seconds for it."""
    todo, free, now = list(waiting), set(range(count)), 0.0
    running: list[tuple[float, str, Done]] = []
    while todo or running:
        placed = begun(todo, sorted(free), count)
        for one in [each for each in todo if each.name in placed]:
            done = Done(one, placed[one.name], now, now + one.seconds)
            assert set(done.devices) <= free and len(set(done.devices)) == (count if one.alone else one.devices)
            heapq.heappush(running, (done.ended, one.name, done))
            free -= set(done.devices)
            todo.remove(one)
        now, _, done = heapq.heappop(running)
        free |= set(done.devices)
        yield done


def wall(waiting: Sequence[Waiting]) -> float:
    found = list(simulated(waiting))
    assert sorted(one.run.name for one in found) == sorted(one.name for one in waiting)
    return max(one.ended for one in found)


def least(waiting: Sequence[Waiting]) -> float:
    """What no order goes below: runs alone one after another, of others the longest, or all spread evenly."""
    return sum(sum(one.seconds for one in own) if alone else max(
        max(one.seconds for one in own), sum(one.seconds * one.devices for one in own) / DEVICES)
        for alone, block in groupby(waiting, key=lambda one: one.alone) if (own := list(block)))


def runs(noise: np.random.Generator, lengths: str, count: int, widths: Sequence[int] = (1,)) -> list[Waiting]:
    """Runs in no order: of batches from 32 to 4096, where small ones take longest, or of other lengths."""
    batches = 600 * (0.2 + 32 / 2.0 ** noise.integers(5, 13, count)) * noise.uniform(0.9, 1.1, count)
    seconds = {"batches": batches, "uniform": noise.uniform(1, 100, count),
               "lognormal": noise.lognormal(3, 0.7, count), "alike": noise.uniform(0.98, 1.02, count)}[lengths]
    return [Waiting(f"run-{i}", float(each), int(noise.choice(widths))) for i, each in enumerate(seconds)]


@pytest.mark.parametrize("lengths", LENGTHS[:3])
@pytest.mark.parametrize("widths", [(1,), (1, 2), (1, 2, 4)])
def test_mixed_runs_end_within_a_tenth_of_what_no_order_can_go_below(lengths: str, widths: tuple[int, ...]) -> None:
    """From five runs for a device on; a plan of 192 runs has 24."""
    noise = np.random.default_rng(len(lengths) + sum(widths))
    for _ in range(60):
        mixed = runs(noise, lengths, int(noise.integers(5 * DEVICES, 25 * DEVICES)), widths)
        assert wall(mixed) <= 1.1 * least(mixed)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_however_few_runs_there_are_the_last_to_end_waits_for_no_idle_device(lengths: str) -> None:
    """Graham's bound: all spread evenly, and of the last one what the other devices do not share."""
    noise = np.random.default_rng(len(lengths))
    for count in range(1, 41):
        few = runs(noise, lengths, count)
        spread, longest = sum(one.seconds for one in few) / DEVICES, max(one.seconds for one in few)
        assert wall(few) <= spread + (1 - 1 / DEVICES) * longest + 1e-9


def test_runs_in_the_order_of_the_plan_would_not_be_that_close() -> None:
    """The test can fail: one long run that begins last keeps seven devices idle."""
    mixed = [*(Waiting(f"short-{i}", 1.0) for i in range(5 * DEVICES)), Waiting("long", 5.0)]
    assert wall(mixed) <= 1.2 * least(mixed) < 10.0
    assert next(one for one in simulated(mixed) if one.run.name == "long").began == 0.0


def test_timing_is_alone_in_its_place_and_nothing_overtakes_it() -> None:
    noise = np.random.default_rng(3)
    guards = [Waiting(f"guard-{i}", 10.0, alone=True) for i in range(2)]
    timing = [Waiting(f"timing-{i}", 5.0, devices, alone=True) for i, devices in enumerate((1, 2, 4, 8))]
    mixed = runs(noise, "batches", 60)
    plan = [guards[0], *timing, *mixed, guards[1]]
    done = {one.run.name: one for one in simulated(plan)}
    for one in (each for each in done.values() if each.run.alone):
        assert all(other.ended <= one.began or one.ended <= other.began for other in done.values() if other is not one)
    assert [done[one.name].began for one in (guards[0], *timing)] == [0.0, 10.0, 15.0, 20.0, 25.0]
    assert done["guard-1"].began == max(done[one.name].ended for one in mixed)
    assert wall(plan) <= 1.1 * least(plan)


def test_more_devices_than_there_are_is_refused() -> None:
    with pytest.raises(PlanError, match="9 devices"):
        begun([Waiting("wide", 1.0, 9)], range(DEVICES), DEVICES)
    assert begun([], range(DEVICES), DEVICES) == {}
