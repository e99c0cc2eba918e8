"""The noise scale of a small regression, by hand, by two batches and by recorded rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import OLS

from batchscale.analysis.laws.noise_average import noise_scale, NoiseScale, positive_ratio
from batchscale.analysis.laws.noise_scale import (covariance_slopes, covariance_trace, estimate_probes, largest_probes,
                                                  two_batch)
from batchscale.analysis.statistics.estimate import Floats
from batchscale.benchmarks.errors import RecordError

# Linear regression on four examples, loss mean(r^2)/2: the gradient of example i is r_i x_i.
X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]])
RESIDUALS = X @ np.array([0.5, -0.5]) - np.array([1.0, 2.0, 0.0, 1.0])
GRADIENTS = RESIDUALS[:, None] * X
FULL = float(np.sum(GRADIENTS.mean(axis=0) ** 2))


def mean_norm_squared(groups: list[tuple[int, ...]]) -> float:
    return float(np.mean([np.sum(GRADIENTS[list(group)].mean(axis=0) ** 2) for group in groups]))


def rows(*given: tuple[float, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(given), columns=["step", "batch", "count", "mean_norm_squared",
                                              "norm_squared_of_mean"])


def test_the_regression_is_the_one_worked_by_hand() -> None:
    assert FULL == 0.578125
    assert float(np.trace(np.cov(GRADIENTS.T))) == pytest.approx(1.8125, rel=1e-15)


def test_one_split_into_pairs() -> None:
    small = mean_norm_squared([(0, 1), (2, 3)])
    assert small == 0.96875
    found = two_batch(2, small, 4, FULL)
    assert (found.gradient_norm_squared, found.noise_trace) == (0.1875, 1.5625)
    assert found.noise_scale == pytest.approx(8.3333, abs=5e-5)


def test_all_pairs_and_single_examples_agree() -> None:
    pairs = mean_norm_squared(list(itertools.combinations(range(4), 2)))
    singles = mean_norm_squared([(0,), (1,), (2,), (3,)])
    assert (pairs, singles) == (1.03125, 1.9375)
    for batch, small in ((2, pairs), (1, singles)):
        found = two_batch(batch, small, 4, FULL)
        assert found.gradient_norm_squared == pytest.approx(0.125, rel=1e-14)
        assert found.noise_trace == pytest.approx(1.8125, rel=1e-14)
        assert found.noise_scale == pytest.approx(14.5, rel=1e-14)


def test_sampling_without_replacement_is_corrected_to_the_true_gradient() -> None:
    # The bias is -tr(Sigma)/N: 0.578125 - 1.8125/4 = 0.125.
    assert two_batch(1, 1.9375, 4, FULL, examples=4).gradient_norm_squared == \
        pytest.approx(0.578125, rel=1e-14)


def test_the_trace_of_one_batch_size_is_unbiased() -> None:
    assert covariance_trace(4, 1.9375, FULL) == pytest.approx(1.8125)
    # Groups of two halve the trace: 2 * tr Cov(g_2) is the noise trace of that split.
    assert 2 * covariance_trace(2, 0.96875, FULL) == pytest.approx(1.5625)
    assert math.isnan(covariance_trace(1, 1.0, 1.0))


def test_a_gradient_lost_in_noise_has_no_noise_scale() -> None:
    found = two_batch(1, 4.0, 4, 0.5)
    assert found.gradient_norm_squared < 0 and math.isnan(found.noise_scale)


def test_two_batches_must_differ() -> None:
    with pytest.raises(RecordError, match="at least 2 groups"):
        two_batch(4, 1.0, 4, 1.0)


def test_recorded_rows_give_the_same_numbers() -> None:
    probes = estimate_probes(rows((1, 2, 2, 0.96875, FULL), (2, 1, 4, 1.9375, FULL)))
    assert probes["gradient_norm_squared"].tolist() == pytest.approx([0.1875, 0.125])
    assert probes["noise_trace"].tolist() == pytest.approx([1.5625, 1.8125])
    assert probes["covariance_trace"].tolist() == pytest.approx([1.5625 / 2, 1.8125])


def test_steps_that_overflowed_and_single_groups_are_left_out() -> None:
    probes = estimate_probes(rows((1, 1, 4, 1.9375, FULL), (2, 1, 4, math.inf, FULL),
                                  (3, 1, 4, math.nan, FULL), (4, 4, 1, FULL, FULL)))
    assert probes["step"].tolist() == [1]
    with pytest.raises(RecordError, match="lack count"):
        estimate_probes(rows().drop(columns="count"))


def measured(scale: Callable[[float], float], steps: Sequence[float], seeds: int = 2, spread: float = 0.0,
             groups: tuple[tuple[int, int], ...] = ((8, 16),)) -> pd.DataFrame:
    """Probe rows of a squared gradient of 1 and this noise scale, which `spread` changes from seed to seed."""
    table = [(seed, step, b, k, 1 + scale(step) * (1 + spread * (-1) ** seed) / b,
              1 + scale(step) * (1 + spread * (-1) ** seed) / (b * k))
             for seed in range(seeds) for step in steps for b, k in groups]
    return pd.DataFrame(table, columns=["seed", "step", "batch", "count", "mean_norm_squared", "norm_squared_of_mean"])


def found_in(rows: pd.DataFrame, batch: int = 32, until: float = math.inf) -> NoiseScale:
    return noise_scale(rows, 10 ** 12, batch, until)


def test_a_noise_scale_that_stays_is_found_at_any_batch_and_from_any_steps() -> None:
    for batch in (1, 32, 4096):
        found = found_in(measured(lambda _: 200.0, [1, 2, 4, 1000]), batch)
        assert [each.value for each in (found.average, found.start, found.end)] == pytest.approx([200] * 3)
        assert (found.first_step, found.last_step) == (1, 1000)


def test_the_average_is_over_the_progress_of_the_run_not_over_its_probes() -> None:
    # B = 100 for 900 steps, then 1,900 for 900; at batch 100 a step makes 1/2 and then 1/20 of a step without noise.
    rows = measured(lambda step: 100.0 if step <= 900 else 1900.0, [1, 2, 4, 8, 16, 900, 900.001, 1800])
    found = found_in(rows, 100)
    assert found.average.value == pytest.approx((100 * 450 + 1900 * 45) / (450 + 45), rel=2e-3)
    assert [found.start.value, found.end.value] == pytest.approx([100, 1900])
    # The same as steps(B) = S_min + E_min/B says of the run: 1,800 steps at batch 100.
    assert 495 * (1 + found.average.value / 100) == pytest.approx(1800, rel=2e-3)


def test_a_scale_that_grows_between_few_probes_is_averaged_along_its_line() -> None:
    steps = np.linspace(0, 15_000, 300_001)
    progress = 1 / (1 + (130 + steps / 8) / 32)
    truth = float(((130 + steps / 8) * progress).sum() / progress.sum())
    found = found_in(measured(lambda step: 130 + step / 8, [0, 5000, 10_000, 15_000]))
    # Straight lines of trace/M and gradient/M, which bend, are off by a quarter here.
    assert found.average.value == pytest.approx(truth, rel=1e-4)


def test_up_to_a_step_between_two_probes_counts_what_lies_before_it() -> None:
    rows = measured(lambda step: 100.0 if step <= 900 else 1900.0, [1, 2, 900, 900.001, 1800])
    assert found_in(rows, 100, until=900).average.value == pytest.approx(100)
    longer = found_in(rows, 100, until=1350)
    assert longer.average.value == pytest.approx((100 * 450 + 1900 * 22.5) / 472.5, rel=2e-3)
    assert longer.last_step == 1350 and found_in(rows, 100, until=1e9) == found_in(rows, 100)


def test_seeds_are_averaged_before_the_one_division() -> None:
    # The squared gradient of one seed is lost in noise: 1 - 1.5 = -0.5; that of the other is 1 + 1.5 = 2.5.
    rows = measured(lambda _: 200.0, [1, 1000])
    lost = rows["seed"].map({0: 1.5, 1: -1.5})
    found = found_in(rows.assign(mean_norm_squared=rows["mean_norm_squared"] - lost,
                                 norm_squared_of_mean=rows["norm_squared_of_mean"] - lost))
    assert found.average.value == pytest.approx(200)
    assert not found.average.has_interval and found.note.startswith("no interval, as the gradient cannot be told")


def test_one_seed_has_no_interval_and_says_so() -> None:
    found = found_in(measured(lambda _: 200.0, [1, 10], seeds=1))
    assert found.average.n == 1 and not found.average.has_interval and found.note == "one seed, so no interval"


def test_steps_that_a_seed_lacks_are_left_out_and_nothing_in_common_is_said() -> None:
    rows = measured(lambda _: 200.0, [1, 10])
    assert found_in(rows[(rows["seed"] == 0) | (rows["step"] == 1)]).last_step == 1
    nothing = found_in(rows[(rows["seed"] == 0) ^ (rows["step"] == 1)])
    assert math.isnan(nothing.average.value) and nothing.note == "no step was probed in all seeds"


def test_the_probe_with_most_examples_counts_and_of_those_the_one_with_most_groups() -> None:
    rows = measured(lambda _: 200.0, [1], groups=((1, 32), (512, 4), (128, 16), (8, 32)))
    assert largest_probes(estimate_probes(rows))[["batch", "count"]].to_numpy().tolist() == [[128, 16]] * 2


@pytest.mark.parametrize("above, below, least", [([90, 110], [1.0, 1.2], 8), ([90, 110], [-1.0, 1.2], 3),
                                                 ([90, 110], [-0.2, -0.1], 30)])
def test_a_positive_ratio_is_never_below_zero_and_has_a_lower_end(above: list[float], below: list[float],
                                                                  least: float) -> None:
    found, end = positive_ratio(np.array(above, float), np.array(below, float))
    # The lower end is a root of Fieller's equation: there |A - rB| is just t standard errors.
    a, b = np.array(above), np.array(below)
    error = float(np.std(a - end * b, ddof=1)) / math.sqrt(2)
    assert end == 0 or abs(float(np.mean(a - end * b))) == pytest.approx(12.7062 * error, rel=1e-4)
    assert not found.has_interval or found.low == end >= 0
    assert math.isnan(found.value) == (sum(below) <= 0)


def sampled(step: int, scale: float, batches: tuple[int, ...], seed: int = 0) -> list[tuple[float, ...]]:
    rng = np.random.default_rng([step, seed])
    table: list[tuple[float, ...]] = []
    for batch in batches:
        groups = 0.1 + rng.normal(0, scale / math.sqrt(batch), (32, 50))
        table.append((seed, step, batch, 32, float(np.mean(np.sum(groups ** 2, 1))),
                      float(np.sum(groups.mean(0) ** 2))))
    return table


def slopes(*given: tuple[float, ...]) -> Floats:
    return covariance_slopes(pd.DataFrame(list(given), columns=["seed", "step", "batch", "count", "mean_norm_squared",
                                                                "norm_squared_of_mean"]))


def test_noise_falls_as_one_over_the_batch_in_each_seed() -> None:
    batches = (8, 16, 32, 64, 128)
    # A second step with other weights has another level, not another slope.
    found = slopes(*[row for seed in (0, 1) for row in (*sampled(1, 1.0, batches, seed), *sampled(2, 30.0, batches,
                                                                                                  seed))])
    assert found.size == 2 and found == pytest.approx([-1, -1], abs=0.06)


def test_each_step_has_a_level_of_its_own() -> None:
    batches = (8, 16, 32, 64)
    table = [*sampled(1, 1.0, batches), *sampled(2, 5.0, batches), *sampled(3, 1.0, batches)]
    probes = estimate_probes(pd.DataFrame(table, columns=["seed", "step", "batch", "count", "mean_norm_squared",
                                                          "norm_squared_of_mean"]))
    levels = (probes["step"].to_numpy()[:, None] == [1, 2, 3]).astype(np.float64)
    design = np.column_stack([np.log(probes["batch"]), levels])
    fit = OLS(np.log(probes["covariance_trace"].to_numpy()), design).fit()
    assert slopes(*table) == pytest.approx([fit.params[0]])


def test_a_slope_needs_four_batches_at_the_same_weights() -> None:
    assert slopes(*sampled(1, 1.0, (8, 16, 32)), *sampled(2, 1.0, (64, 128))).size == 0
