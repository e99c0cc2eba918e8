"""A straight line with intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS, WLS

from batchscale.analysis.statistics.line import fit_line
from batchscale.benchmarks.errors import RecordError

X = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
NOISE = np.array([0.1, -0.2, 0.05, 0.15, -0.1])


def test_the_line_and_its_intervals_are_those_of_linregress() -> None:
    law, line = fit_line(X, 3 + 2 * X + NOISE), stats.linregress(X, 3 + 2 * X + NOISE)
    t = stats.t.ppf(0.975, 3)
    assert law.slope.value == pytest.approx(line.slope)
    assert law.slope.high - law.slope.value == pytest.approx(t * line.stderr)
    assert law.intercept.value == pytest.approx(line.intercept)
    assert law.intercept.high - law.intercept.value == pytest.approx(t * line.intercept_stderr)
    assert sum(law.residuals) == pytest.approx(0.0, abs=1e-12)


def test_a_prediction_interval_is_that_of_statsmodels() -> None:
    fit = OLS(3 + 2 * X + NOISE, np.column_stack([np.ones(5), X])).fit()
    expected = fit.get_prediction([[1.0, 32.0]]).conf_int(obs=True)[0]
    found = fit_line(X, 3 + 2 * X + NOISE).predict(32.0)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_the_weighted_line_is_that_of_statsmodels() -> None:
    measured = 3 + 2 * X + NOISE
    law = fit_line(X, measured, relative_errors=True)
    # The weights are those of the fitted values themselves.
    fitted = law.intercept.value + law.slope.value * X
    fit = WLS(measured, np.column_stack([np.ones(5), X]), weights=1 / fitted ** 2).fit()
    for found, value, ends in zip((law.intercept, law.slope), fit.params, fit.conf_int()):
        assert (found.value, found.low, found.high) == pytest.approx((value, *ends))
    assert np.array(law.covariance) == pytest.approx(fit.cov_params())
    assert law.residual_variance == pytest.approx(fit.mse_resid) and law.degrees_of_freedom == 3


def test_a_prediction_covers_the_next_measurement() -> None:
    rng, inside, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        measured = 3 + 2 * X + rng.normal(0, 0.5, 5)
        prediction = fit_line(X, measured).predict(32.0)
        inside += prediction.low <= 67 + rng.normal(0, 0.5) <= prediction.high
    assert abs(inside / trials - 0.95) <= 3 * math.sqrt(0.95 * 0.05 / trials)


def test_where_the_line_meets_a_level_and_the_axis() -> None:
    law = fit_line(X, 3 + 2 * X + NOISE)
    meets, ratio = law.x_where(0.0), law.intercept_over_slope()
    # The line is 0 at x = -a/b.
    assert meets.value == pytest.approx(-ratio.value)
    assert (meets.low, meets.high) == pytest.approx((-ratio.high, -ratio.low))
    assert law.x_where(43.0).low < 20.0 < law.x_where(43.0).high


def test_relative_errors_weigh_small_values_as_much_as_large_ones() -> None:
    measured = (3 + 2 * X) * np.array([1, 1, 1, 1, 1.1])
    plain, weighted = fit_line(X, measured), fit_line(X, measured, relative_errors=True)
    assert abs(weighted.intercept.value - 3) < 0.5 * abs(plain.intercept.value - 3)


def test_weights_of_the_fit_do_not_favour_what_was_measured_too_low() -> None:
    # The same 30 % up and down at every x: a line of weights 1/y^2 lies far below the middle.
    x = np.repeat(X, 2)
    measured = (3 + 2 * x) * np.tile([0.7, 1.3], 5)
    law = fit_line(x, measured, relative_errors=True)
    assert (law.intercept.value, law.slope.value) == pytest.approx((3, 2), rel=1e-6)


def test_too_few_points_say_so() -> None:
    two = fit_line([1, 2], [5, 7])
    assert (two.intercept.value, two.slope.value) == pytest.approx((3, 2))
    assert not two.slope.has_interval and not two.predict(3.0).has_interval
    assert not two.x_where(9.0).has_interval
    one = fit_line([2, 2, 2], [5, 6, 7])
    assert math.isnan(one.slope.value) and "not enough points" in one.note
    with pytest.raises(RecordError, match="3 x and 2 y"):
        fit_line([1, 2, 3], [1, 2])
    with pytest.raises(RecordError, match="every y to be positive"):
        fit_line([1, 2, 3], [1, 2, 0], relative_errors=True)
