"""Bounded least squares: intervals, bounds and what cannot be told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from batchscale.analysis.statistics.curve_fit import fit_curve
from batchscale.analysis.statistics.estimate import Estimate, exponential, Floats

X = np.linspace(0.0, 3.0, 12)
Y = 2.0 * np.exp(-0.7 * X) + 0.05 * np.cos(9 * X)


def decay(theta: Floats) -> Floats:
    return np.asarray(theta[0] * np.exp(-theta[1] * X) - Y)


def test_the_covariance_is_that_of_scipy() -> None:
    fit = fit_curve(decay, [[1.0, 0.1]], [0, 0], [np.inf, np.inf])
    expected, covariance = curve_fit(lambda x, a, b: a * np.exp(-b * x), X, Y, (1.0, 0.1))
    assert fit.parameters == pytest.approx(expected, rel=1e-6)
    assert fit.covariance == pytest.approx(covariance, rel=1e-4)
    assert fit.parameter(0).n == 12 and fit.degrees_of_freedom == 10


def test_a_parameter_at_its_bound_has_no_interval() -> None:
    fit = fit_curve(decay, [[1.0, 0.1]], [0, 0], [np.inf, 0.3])
    assert fit.parameter(1).value == 0.3 and not fit.parameter(1).has_interval
    assert fit.parameter(0).has_interval


def test_parameters_that_cannot_be_told_apart_have_no_interval() -> None:
    fit = fit_curve(lambda theta: np.asarray((theta[0] + theta[1]) * X - Y), [[0.5, 0.5]],
                    [-9, -9], [9, 9])
    assert not fit.parameter(0).has_interval and not fit.parameter(1).has_interval


def test_a_derived_number_carries_its_interval() -> None:
    fit = fit_curve(decay, [[1.0, 0.1]], [0, 0], [np.inf, np.inf])
    twice = fit.derived(lambda theta: float(2 * theta[0]))
    assert twice.value == pytest.approx(2 * fit.parameter(0).value)
    assert twice.high == pytest.approx(2 * fit.parameter(0).high, rel=1e-5)
    further = fit.derived(lambda theta: float(2 * theta[0]), new_value=True)
    assert further.high > twice.high


def test_an_interval_in_log_space_may_be_unbounded() -> None:
    assert exponential(Estimate(0.0, -1e4, 1e4, 3)) == Estimate(1.0, 0.0, math.inf, 3)
