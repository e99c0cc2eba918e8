"""The cubic between two points of a curve against scipy's interpolator of all its points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from batchscale.analysis.laws.monotone_cubic import reached_at, slope


@pytest.mark.parametrize("seed", range(40))
def test_it_is_scipys(seed: int) -> None:
    draw = np.random.default_rng(seed)
    size = int(draw.integers(2, 5))  # flat parts, falls, ends where the parabola would overshoot
    x, y = np.cumsum(draw.uniform(0.05, 2, size)), np.round(np.cumsum(draw.normal(0.5, 1, size)), int(draw.integers(3)))
    found = PchipInterpolator(x, y)
    slopes = [slope(x.tolist(), y.tolist(), at) for at in range(size)]
    assert slopes == pytest.approx(found.derivative()(x).tolist(), abs=1e-12)
    for left in np.flatnonzero(np.diff(y) > 0):
        for share in (0.001, 0.3, 0.9, 1.0):
            target = float(y[left] + share * (y[left + 1] - y[left]))
            at = reached_at(x.tolist(), y.tolist(), int(left), target)
            assert x[left] <= at <= x[left + 1]
            assert float(found(at)) == pytest.approx(target, abs=1e-9)
