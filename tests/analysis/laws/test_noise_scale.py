"""The noise scale of a small regression, by hand, by two batches and by recorded rows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import OLS

from batchscale.analysis.laws.noise_scale import (average_noise_scale, covariance_slope, covariance_trace,
                                                  estimate_probes, noise_scale_curve, two_batch)
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


def test_trace_and_gradient_are_smoothed_before_they_are_divided() -> None:
    table = rows((1, 2, 2, 0.96875, FULL), (2, 1, 4, 1.9375, FULL))
    curve = noise_scale_curve(table, decay=0.5)
    # Weights 1 and 1/2, so the second step counts 2/3.
    trace, squared = (1.5625 + 2 * 1.8125) / 3, (0.1875 + 2 * 0.125) / 3
    assert curve["noise_scale"].tolist() == pytest.approx([1.5625 / 0.1875, trace / squared])


def test_a_smoothed_gradient_below_zero_is_nan_until_it_rises() -> None:
    noise, signal = (1, 4, 4.0, 0.5), (1, 4, 8.0, 6.0)
    curve = noise_scale_curve(rows((1, *noise), (2, *noise), (3, *signal), (4, *signal)), 0.5)
    assert curve["noise_scale"].isna().tolist() == [True, True, False, False]


def test_a_run_average_covers_the_truth() -> None:
    # 64-dimensional Gaussian gradients: |G|^2 = 1, tr(Sigma) = 64 * 0.25 = 16, B_simple = 16.
    rng, table = np.random.default_rng(3), []
    for step in range(60):
        groups = 1 / 8 + rng.normal(0, 0.5 / math.sqrt(4), (8, 64))
        table.append((step, 4, 8, np.mean(np.sum(groups ** 2, 1)), np.sum(groups.mean(0) ** 2)))
    found = average_noise_scale(rows(*table))
    assert found.noise_scale.low < 16 < found.noise_scale.high
    assert found.noise_trace.low < 16 < found.noise_trace.high
    assert found.gradient_norm_squared.low < 1 < found.gradient_norm_squared.high
    assert found.noise_scale.n == 60


def test_a_run_without_signal_has_a_trace_but_no_noise_scale() -> None:
    found = average_noise_scale(rows((1, 1, 4, 4.0, 0.5), (2, 1, 4, 4.2, 0.6)))
    assert math.isnan(found.noise_scale.value)
    assert found.noise_trace.value > 0


def sampled(step: int, scale: float, batches: tuple[int, ...]) -> list[tuple[float, ...]]:
    rng = np.random.default_rng(step)
    table: list[tuple[float, ...]] = []
    for batch in batches:
        groups = 0.1 + rng.normal(0, scale / math.sqrt(batch), (32, 50))
        table.append((step, batch, 32, float(np.mean(np.sum(groups ** 2, 1))),
                      float(np.sum(groups.mean(0) ** 2))))
    return table


def test_noise_falls_as_one_over_the_batch() -> None:
    one = covariance_slope(rows(*sampled(1, 1.0, (8, 16, 32, 64, 128))))
    assert one.slope.low < -1 < one.slope.high
    assert one.batches == 5 and one.slope.n == 5 and one.note == ""
    # A second step with other weights has another level, not another slope.
    both = covariance_slope(rows(*sampled(1, 1.0, (8, 16, 32, 64, 128)),
                                 *sampled(2, 30.0, (8, 16, 32, 64, 128))))
    assert -1.05 < both.slope.low < -1 < both.slope.high < -0.95
    assert both.slope.high - both.slope.low < one.slope.high - one.slope.low


def test_levels_of_the_steps_cost_degrees_of_freedom() -> None:
    batches = (8, 16, 32, 64)
    table = rows(*sampled(1, 1.0, batches), *sampled(2, 5.0, batches), *sampled(3, 1.0, batches))
    probes = estimate_probes(table)
    levels = (probes["step"].to_numpy()[:, None] == [1, 2, 3]).astype(np.float64)
    design = np.column_stack([np.log(probes["batch"]), levels])
    fit = OLS(np.log(probes["covariance_trace"].to_numpy()), design).fit()
    found = covariance_slope(table).slope
    assert found.value == pytest.approx(fit.params[0])
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]))


def test_of_several_batches_at_a_step_the_one_with_most_groups_counts() -> None:
    both = rows((1, 2, 2, 0.96875, FULL), (1, 1, 4, 1.9375, FULL))
    assert average_noise_scale(both).noise_trace.value == pytest.approx(1.8125)
    assert average_noise_scale(both).noise_scale.value == pytest.approx(14.5)


def test_a_slope_needs_four_batches_at_the_same_weights() -> None:
    found = covariance_slope(rows(*sampled(1, 1.0, (8, 16, 32)), *sampled(2, 1.0, (64, 128))))
    assert math.isnan(found.slope.value)
    assert found.note == "not enough points: no step has 4 batches of 2 or more groups"
