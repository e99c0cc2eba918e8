"""Matrix product: the peak rate of arithmetic, for model FLOP utilisation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from . import child
from .conftest import BUDGETS
from .replay import CLOCK

pytestmark = pytest.mark.benchmark(timer=CLOCK.now)
SIZES = (256, 512, 1024, 2048)


@lru_cache
def answer(budget: str) -> dict[str, Any]:
    """Return the answer of the measuring program on this many cores, asked once."""
    return child.ask("matrix_product", {"cores": BUDGETS[budget], "sizes": SIZES, "dtype": "float32", "repeats": 5,
                                        "window_seconds": 0.2})


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("size", SIZES)
def test_matrix_product(benchmark: Any, size: int, budget: str) -> None:
    """Show the seconds of one product."""
    row = next(row for row in answer(budget)["rows"] if row["size"] == size)
    benchmark.group = f"matrix product, {budget}"
    CLOCK.replay(benchmark, row["seconds"], flops=row["flops"], flops_per_second=row["flops"] / min(row["seconds"]))
    assert row["flops"] > 0
