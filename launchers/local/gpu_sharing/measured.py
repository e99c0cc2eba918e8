"""How many runs of a stage train on each GPU at a time: as many as memory holds and as do more work than fewer would.

A small model leaves most of a large GPU idle, so that two runs side by side may take hardly longer than one; a large
one fills it, and two take twice as long. Which it is, the study's own runs tell: those that had a GPU to themselves
against those like them that shared it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

WORTH = 1.1  # more runs an hour by so much, or the next ones are not worth the memory and the cores that feed them
ENOUGH = 2  # runs beside which so many others trained, with one like them beside which half as many did
UNTOLD = 8  # runs without such a one, after which nothing is to be expected of the next ones either
NEARLY = 0.15  # of a run: how far the others beside one may be from a whole number, over its time


@dataclass(frozen=True)
class Spell:
    """The time that a run, which may not have ended, has been on a GPU, in seconds since the epoch."""

    gpu: str
    began: float
    ended: float

    def runs_there(self, spells: Iterable[Spell]) -> float:
        """Return how many runs its GPU had meanwhile, on average over its time. `spells`: of all runs that have begun,
        this one included."""
        over = sum(max(0.0, min(self.ended, other.ended) - max(self.began, other.began))
                   for other in spells if other.gpu == self.gpu)
        return over / max(self.ended - self.began, 1e-9)


@dataclass(frozen=True)
class Trained:
    """A run that has ended. like: what runs have in common whose steps are equally much work; runs_there: how many its
    GPU had meanwhile, itself included; seconds: what a step took."""

    like: Hashable
    runs_there: float
    seconds: float


def gains(trained: Iterable[Trained]) -> dict[int, float]:
    """Return, for each number of runs on a GPU that was measured, how many more of them it does an hour than by one at
    a time; of one, 1. Each number is held against half of it, by runs that are alike."""
    times = _by_number(trained)
    found = {1: 1.0} if times[1] else {}
    number = 2
    while number // 2 in found:
        fewer = {like: median(own) for like, own in times[number // 2].items()}
        slower = [seconds / fewer[like] for like, own in times[number].items() if like in fewer for seconds in own]
        if len(slower) >= ENOUGH:
            found[number] = 2 * found[number // 2] / median(slower)
        number *= 2
    return found


def untold(trained: Iterable[Trained], number: int) -> int:
    """Return how many runs so many trained beside, of which none is like one beside which half as many did."""
    times = _by_number(trained)
    return sum(len(own) for like, own in times[number].items() if like not in times[number // 2])


def _by_number(trained: Iterable[Trained]) -> dict[int, dict[Hashable, list[float]]]:
    """The seconds of a step by the number of runs on the GPU and what runs have in common; those whose company changed
    are left out."""
    times: dict[int, dict[Hashable, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in trained:
        number = max(1, round(one.runs_there))
        if one.seconds > 0 and abs(one.runs_there - number) <= NEARLY * max(1, number - 1):
            times[number][one.like].append(one.seconds)
    return times


@dataclass
class Sharing:
    """The number of runs on each GPU, which begins with one and doubles as long as that is worth it."""

    count: int = 1
    settled: bool = False

    def decide(self, trained: Sequence[Trained], room: Callable[[], int]) -> str:
        """Go on to the next number, back to the last, or stay; return what was decided, in words, or "". room: how many
        memory and cores allow."""
        if self.settled:
            return ""
        found, fewer = gains(trained), self.count // 2
        if self.count not in found:
            if not fewer or untold(trained, self.count) < UNTOLD:
                return ""
            tried, self.count, self.settled = self.count, fewer, True
            return f"no runs tell what {tried} on a GPU at a time gain: {fewer} from now on"
        if fewer and found[self.count] < WORTH * found[fewer]:
            tried, self.count, self.settled = self.count, fewer, True
            return (f"{tried} runs on a GPU at a time do {found[tried]:.2f} times the work of one, {fewer} "
                    f"{found[fewer]:.2f} times: {fewer} from now on")
        if 2 * self.count > (most := room()):
            self.settled = True
            return "" if self.count == 1 else _told(self.count, found, f"no more than {most} have room")
        self.count *= 2
        return _told(self.count // 2, found, f"{self.count} are tried")

    def full(self) -> str:
        """Go back to one run on a GPU, since memory ran out; return what was decided, in words."""
        if self.count == 1 and self.settled:
            return ""
        self.count, self.settled = 1, True
        return "a GPU's memory ran out while runs shared it: one run on a GPU at a time from now on"

    def ended(self, died: bool) -> str:
        """Stay at this number, since a worker that shared a GPU has left; at half of it where it died. Return what was
        decided, in words."""
        before, unsettled = self.count, not self.settled
        self.count, self.settled = max(1, self.count // 2) if died else self.count, True
        return (f"a worker that shared a GPU died: {self.count} of {before} runs on a GPU at a time from now on"
                if died and unsettled else "")


def _told(count: int, found: Mapping[int, float], then: str) -> str:
    work = f", which do {found[count]:.2f} times the work of one" if count > 1 else ""
    return f"{count} run{'s' * (count > 1)} on a GPU at a time{work}; {then}"
