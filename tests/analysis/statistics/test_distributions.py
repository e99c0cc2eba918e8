"""Tails and quantiles against scipy.stats, and against a printed table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from batchscale.analysis.statistics.distributions import (f_above, f_quantile, normal_quantile, t_above, t_below,
                                                          t_density, t_quantile)

FREEDOM = np.array([1.0, 2.0, 4.5, 30.0, math.inf])


@pytest.mark.parametrize("value", [-40.0, -2.5, 0.0, 1e-9, 3.0, 40.0])
def test_students_tails_are_those_of_scipy_for_whole_broken_and_infinite_degrees_of_freedom(value: float) -> None:
    assert t_above(value, FREEDOM) == pytest.approx(stats.t.sf(value, FREEDOM), rel=1e-12)
    assert t_below(value, FREEDOM) == pytest.approx(stats.t.cdf(value, FREEDOM), rel=1e-12)
    assert [t_density(value, freedom) for freedom in FREEDOM] == pytest.approx(stats.t.pdf(value, FREEDOM), rel=1e-10)


@pytest.mark.parametrize("probability", [1e-12, 0.025, 0.5, 0.975])
def test_students_quantiles_are_those_of_scipy(probability: float) -> None:
    assert t_quantile(probability, FREEDOM) == pytest.approx(stats.t.ppf(probability, FREEDOM), rel=1e-12, abs=1e-15)


def test_quantiles_of_the_printed_tables() -> None:
    assert t_quantile(0.975, 2) == pytest.approx(4.303, abs=5e-4)
    assert f_quantile(0.95, 2, 10) == pytest.approx(4.103, abs=5e-4)
    assert normal_quantile(0.975) == pytest.approx(1.960, abs=5e-4)


def test_f_above_undoes_its_quantile() -> None:
    assert f_above(f_quantile(0.9, 3, 7), 3, 7) == pytest.approx(0.1)
    assert f_above(4.2, 3, 7.5) == pytest.approx(stats.f.sf(4.2, 3, 7.5), rel=1e-12)


def test_without_degrees_of_freedom_or_a_number_nothing_is_known() -> None:
    assert math.isnan(t_quantile(0.975, 0)) and math.isnan(t_above(math.nan, 3))
