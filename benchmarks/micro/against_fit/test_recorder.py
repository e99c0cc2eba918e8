"""What `batchscale.Recorder` costs a step of 5 ms, measured in turn with a `fit` that has none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from .. import child
from ..comparison import Comparison
from ..replay import CLOCK

pytestmark = pytest.mark.benchmark(timer=CLOCK.now)
REQUEST = {"step_seconds": 0.005, "steps": 200, "repeats": 30}
MOST = 1.01  # times the step without it


@lru_cache
def answer() -> dict[str, Any]:
    """Return the seconds of a step, both ways in turn."""
    return child.ask("fit.beside_fit", {**REQUEST, "cores": child.cores()})


def cost(clock: str) -> Any:
    """Return how many times as long a step takes with the recorder, by wall (`seconds`) or processor time."""
    return Comparison("a step of fit", answer()["batch"], answer()[clock]).ratio("recorder", "without")


@pytest.mark.parametrize("way", ("without", "recorder"))
def test_step_beside_a_recorder(benchmark: Any, way: str) -> None:
    """Show the seconds of a step; the recorder's cost stands beside them."""
    benchmark.group = "a step of fit, of about 5 ms"
    CLOCK.replay(benchmark, answer()["seconds"][way], cost=cost("seconds").to_json(),
                 processor_cost=cost("processor_seconds").to_json(), others=answer()["others_busy_cores"])
    assert cost("seconds").low < MOST and cost("processor_seconds").value < MOST
