"""The worked example of MLPerf's rules."""

from __future__ import annotations

import pytest

from batchscale.analysis.statistics.olympic_mean import olympic_mean
from batchscale.benchmarks.errors import RecordError

RUNS = [16, 14, 16, 17, 16, 16, 15, 16, 15, 16]


def test_the_rules_worked_example() -> None:
    found = olympic_mean(RUNS)
    assert found.value == 15.75 and found.low < 15.75 < found.high


def test_the_olympic_mean_drops_one_best_and_one_worst() -> None:
    assert olympic_mean([33, 34, 34, 35, 39]).value == pytest.approx(103 / 3)
    assert not olympic_mean([33, 35, 35, 39]).has_interval


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(RecordError, match="run at least 3"):
        olympic_mean([33, 34])
