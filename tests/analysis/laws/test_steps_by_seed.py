"""Steps to a target of runs by seed: the law, its interval, runs that never passed, and whether it fits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

from batchscale.analysis.laws.critical_batch import fit_steps_to_target, StepsToTarget
from batchscale.analysis.laws.steps_by_seed import fit_runs_to_target, Runs
from batchscale.analysis.statistics.estimate import Floats
from batchscale.benchmarks.errors import RecordError

BATCHES = np.array([32.0, 128.0, 512.0, 2048.0])


def steps_of(seeds: int, noise: float, chance: np.random.Generator, critical: float = 1000.0,
             levels: float = 0.1) -> tuple[Floats, Floats, Floats]:
    batches, own = np.tile(BATCHES, seeds), np.repeat(np.arange(float(seeds)), BATCHES.size)
    logs = np.log(100 * (1 + critical / batches)) + chance.normal(0, levels, seeds)[own.astype(int)]
    return batches, own, np.exp(logs + chance.normal(0, noise, logs.size))


def fitted(batches: Floats, seeds: Floats, steps: Floats, most: float = math.inf, at: float = 2048) -> StepsToTarget:
    """The law of runs that were ended after `most` steps at batch `at`."""
    late = (batches == at) & (steps > most)
    return fit_runs_to_target(Runs.of(batches, seeds, np.where(late, most, steps), np.where(late, math.inf, steps)))


def test_one_seed_without_censoring_is_least_squares() -> None:
    batches, _, steps = steps_of(6, 0.05, np.random.default_rng(1), levels=0.0)
    found = fitted(batches, np.zeros(24), steps)
    plain = fit_steps_to_target(list(map(int, batches)), list(steps))
    assert found.critical_batch.value == pytest.approx(plain.critical_batch.value, rel=1e-4)
    assert found.minimum_steps.value == pytest.approx(plain.minimum_steps.value, rel=1e-4)
    # The likelihood's interval is as wide as that of the linearised problem, a little skewed.
    assert (found.critical_batch.low, found.critical_batch.high) == pytest.approx(
        (plain.critical_batch.low, plain.critical_batch.high), rel=0.01)
    assert found.critical_batch.n == 24 and found.rms_log_residual == pytest.approx(plain.rms_log_residual, rel=1e-4)


def test_what_a_seed_does_at_all_batches_alike_costs_nothing() -> None:
    batches, seeds, steps = steps_of(6, 0.02, np.random.default_rng(2))
    narrow = fitted(batches, seeds, steps).critical_batch
    wide = fitted(batches, np.zeros(24), steps).critical_batch
    assert math.log(narrow.high / narrow.low) < 0.4 * math.log(wide.high / wide.low)
    shifted = fitted(batches, seeds, steps * np.exp(seeds))
    assert shifted.critical_batch.value == pytest.approx(narrow.value, rel=1e-4)


def test_an_interval_is_no_narrower_than_student_s_over_the_seeds() -> None:
    # Each seed follows a law of its own without noise, so that its runs say nothing of how far seeds lie apart.
    batches, seeds, critical = np.tile(BATCHES, 6), np.repeat(np.arange(6.0), 4), np.geomspace(900, 1100, 6)
    found = fitted(batches, seeds, 100 * (1 + critical[seeds.astype(int)] / batches)).critical_batch
    half = float(stats.t.ppf(0.975, 5)) * float(np.std(np.log(critical), ddof=1)) / math.sqrt(6)
    assert math.log(found.high / found.low) == pytest.approx(2 * half, rel=0.05)


def test_runs_that_never_passed_are_used_and_take_the_bias_away() -> None:
    chance, with_them, without = np.random.default_rng(3), [], []
    for _ in range(30):
        batches, seeds, steps = steps_of(6, 0.1, chance, levels=0.0)
        most = 149.0  # the truth at batch 2,048 is 148.8 steps
        found = fitted(batches, seeds, steps, most)
        with_them.append(found.critical_batch.value)
        kept = (batches < 2048) | (steps <= most)
        without.append(fitted(batches[kept], seeds[kept], steps[kept]).critical_batch.value)
        assert len(found.censored) == np.count_nonzero(~kept) and "longer than they ran" in found.note
    assert np.median(with_them) == pytest.approx(1000, rel=0.05)
    assert np.median(without) > 1050


def test_a_run_that_had_passed_at_its_first_evaluation_is_known_to_be_earlier() -> None:
    batches, seeds, steps = steps_of(6, 0.02, np.random.default_rng(4))
    early = batches == 2048
    lows, highs = np.where(early, 0.0, steps), np.where(early, 400.0, steps)
    found = fit_runs_to_target(Runs.of(batches, seeds, lows, highs)).critical_batch
    assert found.n == 18 and found.low < 1000 < found.high


@pytest.mark.parametrize("shape, fits", [(lambda b: 1 + 1000 / b, True), (lambda b: (1 + 1000 / b) * (1 + (b == 512)),
                                                                          False)])
def test_lack_of_fit_is_the_f_test_against_a_free_level_for_each_batch(shape, fits: bool) -> None:  # type: ignore
    batches, seeds, steps = steps_of(5, 0.05, np.random.default_rng(8))
    steps = steps / (1 + 1000 / batches) * shape(batches)
    found = fitted(batches, seeds, steps)
    free = OLS(np.log(steps), np.column_stack([seeds[:, None] == np.unique(seeds), batches[:, None] == BATCHES[1:]]
                                              ).astype(np.float64)).fit()
    law = found.rms_log_residual ** 2 * 20
    statistic = (law - free.ssr) / 2 / (free.ssr / 12)
    assert found.lack_of_fit == pytest.approx(float(stats.f.sf(statistic, 2, 12)), rel=1e-3)
    assert (found.lack_of_fit >= 0.05) == ("does not fit" not in found.note)
    assert fits or found.lack_of_fit < 1e-4


def test_two_batches_are_fitted_but_not_tested() -> None:
    batches, seeds, steps = steps_of(4, 0.02, np.random.default_rng(6))
    kept = np.isin(batches, BATCHES[:2])
    found = fitted(batches[kept], seeds[kept], steps[kept])
    assert math.isnan(found.lack_of_fit) and "could not be tested" in found.note
    assert found.critical_batch.value > 0


def test_batches_on_one_side_of_the_knee_give_one_part_and_a_bound_where_there_is_one() -> None:
    batches, seeds = np.tile(BATCHES, 4), np.repeat(np.arange(4.0), 4)
    above = fitted(batches, seeds, 1e6 / batches)
    assert math.isnan(above.critical_batch.value) and math.isnan(above.minimum_steps.value)
    assert above.minimum_examples.value == pytest.approx(1e6) and "below the knee" in above.note
    below = fitted(batches, seeds, np.full(16, 70.0) * np.exp(seeds / 10))
    assert below.minimum_steps.low < 70 * math.exp(0.15) < below.minimum_steps.high
    assert math.isnan(below.critical_batch.value) and "above the knee" in below.note
    noisy = fitted(*steps_of(4, 0.3, np.random.default_rng(9), critical=30_000))
    assert not noisy.critical_batch.has_interval and "B_crit is at least" in noisy.note


def test_a_seed_that_never_passed_is_listed_and_says_nothing_of_the_batches() -> None:
    batches, seeds, steps = steps_of(4, 0.02, np.random.default_rng(7))
    more = fit_runs_to_target(Runs.of(np.append(batches, BATCHES), np.append(seeds, [9.0] * 4),
                                      np.append(steps, [1.0] * 4), np.append(steps, [math.inf] * 4)))
    assert more.critical_batch == fitted(batches, seeds, steps).critical_batch
    assert more.censored == tuple(map(int, BATCHES))


def test_nothing_passed_and_impossible_rows() -> None:
    none = fit_runs_to_target(Runs.of([32, 128], [0, 0], [10, 10], [math.inf, math.inf]))
    assert math.isnan(none.critical_batch.value) and none.note.startswith("not enough points: batches that passed: 0")
    with pytest.raises(RecordError, match="one positive value each"):
        Runs.of([32], [0], [10], [5])
