"""Collectives on two ranks of this host: latency, bandwidths, and the line alpha + beta s by regime."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest

from . import collective_law
from .conftest import COLLECTIVES
from .replay import CLOCK

pytestmark = pytest.mark.benchmark(timer=CLOCK.now)
SHOWN_BYTES = (8, 2 * 1024, 512 * 1024, 64 * collective_law.MIB)


@pytest.mark.parametrize("size", SHOWN_BYTES)
@pytest.mark.parametrize("collective", COLLECTIVES)
@pytest.mark.parametrize("transport", ("mpi4py", "gloo", "mpi"))
def test_collective(benchmark: Any, collective_answers: dict[str, list[dict[str, Any]]], transport: str,
                    collective: str, size: int) -> None:
    """Seconds of one call, a round for each launch. The bytes shown; the law below has all of them."""
    answers = _answers(collective_answers, transport)
    launches = collective_law.launch_medians(answers, collective)[size]
    benchmark.group = f"{collective}, {size:,} bytes"
    CLOCK.replay(benchmark, launches, **collective_law.row(collective, 2, size, launches))
    assert min(launches) > 0


@pytest.mark.parametrize("collective", COLLECTIVES)
@pytest.mark.parametrize("transport", ("mpi4py", "gloo", "mpi"))
def test_law_of_a_collective(benchmark: Any, collective_answers: dict[str, list[dict[str, Any]]], transport: str,
                             collective: str) -> None:
    """Show alpha, beta by regime, and how far sizes that the fit never saw are predicted; the time is the 8-byte
    call's."""
    times = collective_law.launch_medians(_answers(collective_answers, transport), collective)
    regimes = collective_law.fit(times)
    errors = collective_law.held_out_errors(regimes, times)
    benchmark.group = "laws of collectives (time of 8 bytes)"
    CLOCK.replay(benchmark, times[8], regimes=[regime.to_json() for regime in regimes], held_out_errors=errors,
                 median_held_out_error=median(errors.values()),
                 table=[collective_law.row(collective, 2, size, times[size]) for size in sorted(times)])
    assert len(regimes) == len(collective_law.REGIME_ENDS)


def _answers(found: dict[str, list[dict[str, Any]]], transport: str) -> list[dict[str, Any]]:
    if transport not in found:
        pytest.skip(f"{transport} needs its package and two cores; `batchscale doctor` tells what is missing")
    return found[transport]
