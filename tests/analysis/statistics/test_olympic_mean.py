"""The worked example of MLPerf's rules."""

from __future__ import annotations

import pytest

from batchscale.analysis.statistics.olympic_mean import convergence_limit, olympic_mean
from batchscale.benchmarks.errors import RecordError

RUNS = [16, 14, 16, 17, 16, 16, 15, 16, 15, 16]


def test_the_rules_worked_example() -> None:
    limit = convergence_limit(RUNS, submission_runs=5)
    assert limit.reference.value == 15.75
    assert limit.reference.low < 15.75 < limit.reference.high
    assert limit.reference_std == pytest.approx(0.433, abs=5e-4)
    assert limit.degrees_of_freedom == 8 + 3 - 2
    assert limit.t == pytest.approx(1.8331, abs=5e-5)
    assert limit.smallest_allowed == pytest.approx(15.2126, abs=5e-5)


def test_the_olympic_mean_drops_one_best_and_one_worst() -> None:
    assert olympic_mean([33, 34, 34, 35, 39]).value == pytest.approx(103 / 3)
    assert not olympic_mean([33, 35, 35, 39]).has_interval


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(RecordError, match="run at least 3"):
        olympic_mean([33, 34])
    with pytest.raises(RecordError, match="submission_runs=2"):
        convergence_limit(RUNS, 2)
    with pytest.raises(RecordError, match="no degrees of freedom"):
        convergence_limit([33, 34, 35], 3)
