"""Handing times that child processes measured to pytest-benchmark, whose own clock would time their start as well.

`pytestmark = pytest.mark.benchmark(timer=CLOCK.now)`, then `CLOCK.replay(benchmark, seconds)`: each round advances the
clock by one measured time and nothing else, so the saved JSON holds the child's raw seconds and statistics of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


class ReplayClock:
    """Stands still but for the measured seconds that are played into it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._pending: Iterator[float] = iter(())

    def now(self) -> float:
        """Return the time of the replay, in seconds."""
        return self._now

    def replay(self, benchmark: Any, seconds: Sequence[float], /, **extra_info: Any) -> None:
        """Replay one round for each value, in the order measured."""
        self._now, self._pending = 0.0, iter(seconds)
        benchmark.extra_info.update(extra_info)
        benchmark.pedantic(self._advance, rounds=len(seconds), iterations=1, warmup_rounds=0)

    def _advance(self) -> None:
        self._now += next(self._pending)


CLOCK = ReplayClock()
