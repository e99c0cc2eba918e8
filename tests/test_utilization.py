"""Model FLOPs utilization is a share of a known peak, or null."""

from __future__ import annotations

import pytest

from batchscale.analysis.estimate import Estimate
from batchscale.analysis.utilization import model_flops_utilization

RATE = Estimate(20_000.0, 19_000.0, 21_000.0, 3)


def test_the_share_of_the_peak() -> None:
    # 24.6 GFLOP per example * 20,000/s on 8 devices of 312 TFLOP/s = 492/2496.
    found = model_flops_utilization(24.6e9, RATE, 8, 312e12)
    assert found.value == pytest.approx(492 / 2496)
    assert (found.low, found.high) == pytest.approx((0.95 * 492 / 2496, 1.05 * 492 / 2496))


@pytest.mark.parametrize("flops, peak", [(24.6e9, None), (None, 312e12), (0.0, 312e12)])
def test_what_is_not_known_is_null(flops: float | None, peak: float | None) -> None:
    found = model_flops_utilization(flops, RATE, 8, peak)
    assert found.to_json() == {"value": None, "low": None, "high": None, "n": 3}
