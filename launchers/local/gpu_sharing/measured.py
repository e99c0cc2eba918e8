"""How many runs of a stage train on each GPU at a time: as many as memory holds and as do more work than fewer would.

A small model leaves most of a large GPU idle, so that two runs side by side may take hardly longer than one; a large
one fills it, and two take twice as long. Which it is, the study's own runs tell: those that had a GPU to themselves
against those like them that shared it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

WORTH = 1.1  # more runs an hour by so much, or the next ones are not worth the memory and the cores that feed them
ENOUGH = 3  # runs that shared a GPU and have one like them that did not
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
    """A run that has ended. like: what runs have in common whose training is equally much work; runs_there: how many
    its GPU had meanwhile, itself included; seconds: what its training took."""

    like: Hashable
    runs_there: float
    seconds: float


def gains(trained: Iterable[Trained]) -> dict[int, float]:
    """Return, for each number of runs on a GPU that was measured, how many more of them it does an hour than by one at
    a time; of one, 1."""
    times: dict[int, dict[Hashable, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in trained:
        number = max(1, round(one.runs_there))
        if abs(one.runs_there - number) <= NEARLY * max(1, number - 1):
            times[number][one.like].append(one.seconds)
    alone = {like: median(own) for like, own in times[1].items()}
    found = {1: 1.0} if alone else {}
    for number, of in times.items():
        slower = [seconds / alone[like] for like, own in of.items() if alone.get(like) for seconds in own]
        if number > 1 and len(slower) >= ENOUGH:
            found[number] = number / median(slower)
    return found


@dataclass
class Sharing:
    """The number of runs on each GPU, which begins with one and doubles as long as that is worth it."""

    count: int = 1
    settled: bool = False
    _worth: dict[int, float] = field(default_factory=dict)

    def decide(self, found: Mapping[int, float], room: Callable[[], int]) -> str:
        """Go on to the next number, back to the last, or stay; return what was decided, in words, or "". `found`: what
        `gains` returned; room: how many memory and cores allow."""
        if self.settled or self.count not in found:
            return ""
        self._worth[self.count] = found[self.count]
        fewer = self.count // 2
        if fewer and found[self.count] < WORTH * self._worth[fewer]:
            tried, self.count, self.settled = self.count, fewer, True
            return (f"{tried} runs on a GPU at a time do {found[tried]:.2f} times the work of one, {fewer} "
                    f"{self._worth[fewer]:.2f} times: {fewer} from now on")
        if 2 * self.count > (most := room()):
            self.settled = True
            return "" if self.count == 1 else self._said(f"no more than {most} have room")
        self.count *= 2
        return self._said(f"{self.count} are tried", self.count // 2)

    def _said(self, then: str, count: int = 0) -> str:
        count = count or self.count
        work = f", which do {self._worth[count]:.2f} times the work of one" if count > 1 else ""
        return f"{count} run{'s' * (count > 1)} on a GPU at a time{work}; {then}"

    def full(self) -> str:
        """Go back to one run on a GPU, since memory ran out; return what was decided, in words."""
        if self.count == 1 and self.settled:
            return ""
        self.count, self.settled = 1, True
        return "a GPU's memory ran out while runs shared it: one run on a GPU at a time from now on"

    def died(self) -> None:
        """Go back to as many runs on a GPU as before the last step, since a worker that shared one died."""
        self.count, self.settled = max(1, self.count // 2), True
