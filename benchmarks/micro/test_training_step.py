"""Training step: this suite's loop, Keras `fit`, `fit` with many steps per execution, and a bare loop as the floor."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from . import child
from .against_fit import loop
from .cases import CASES, EXAMPLES, Case
from .comparison import Comparison
from .conftest import BUDGETS
from .replay import CLOCK

pytestmark = pytest.mark.benchmark(timer=CLOCK.now)
WAYS = ("suite", "fit", "fit_64", "bare")
REPEATS = 4


@lru_cache
def answer(budget: str, case: Case) -> dict[str, Any]:
    """Return all ways of one case, measured in one process, in turn."""
    return child.ask("training_step", loop.request(BUDGETS[budget], WAYS, REPEATS, [case]))


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_training_step(benchmark: Any, way: str, case: Case, budget: str) -> None:
    """Show the seconds of one training step."""
    rows = answer(budget, case)["rows"]
    row = next(row for row in rows if row["way"] == way)
    compared = Comparison.of_rows(rows)[0]
    benchmark.group = f"training step, {budget}, {case}"
    ratio = {f"rate_to_{other}": compared.ratio(other, way).to_json() for other in ("fit", "bare") if other != way}
    CLOCK.replay(benchmark, [seconds / row["steps"] for seconds in row["seconds_per_epoch"]],
                 examples_per_second=compared.rate(way), cores=BUDGETS[budget], **ratio)
    assert row["examples"] == row["steps"] * (case.global_batch or EXAMPLES)
