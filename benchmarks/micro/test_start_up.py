"""Start-up: what a rank pays once, in fresh processes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from . import child
from .replay import CLOCK

pytestmark = pytest.mark.benchmark(timer=CLOCK.now)
PROCESSES = 3
PARTS = ("import", "place", "build", "trace", "first_step", "second_step")


@lru_cache
def answers() -> list[dict[str, Any]]:
    """Return one answer of the measuring program for each launch."""
    request = {"cores": child.cores()[:1], "model": "mlp_128", "optimizer": "adam", "global_batch": 32,
               "examples": 48_000}
    return [child.ask("start_up", request) for _ in range(PROCESSES)]


@pytest.mark.parametrize("part", PARTS)
def test_start_up(benchmark: Any, part: str) -> None:
    """Show the seconds of one part of a rank's start."""
    benchmark.group = "start-up"
    CLOCK.replay(benchmark, [answer["seconds"][part] for answer in answers()])
    assert set(answers()[0]["seconds"]) == set(PARTS)
