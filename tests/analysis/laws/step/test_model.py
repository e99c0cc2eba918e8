"""Step time, goodput and the fit of the step model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batchscale.analysis.laws.step.model import (example_worth, exposed_communication, fit_step_model, goodput,
                                                 step_seconds, StepModel, StepPoint, SynchronizationCost)
from batchscale.analysis.statistics.estimate import Estimate
from batchscale.benchmarks.errors import RecordError

TRUE = StepModel(4e-3, 1e-4, SynchronizationCost(6e-3, 5e-4), SynchronizationCost(2e-2, 1e-3), 2.5)
LOCAL = [StepPoint(r, 1, n, k) for r in (1, 2, 4, 8) for n in (16, 64, 256) for k in (0, 2)]
ACROSS = [StepPoint(r, r // 4, n) for r in (8, 16, 32) for n in (16, 64, 256)]


def test_overlap_runs_from_a_sum_to_a_maximum() -> None:
    assert step_seconds(3.0, 4.0, 0, 1.0) == pytest.approx(7.0)
    assert step_seconds(3.0, 4.0, 0, 2.0) == pytest.approx(5.0)
    assert step_seconds(3.0, 4.0, 0, 10.0) == pytest.approx((3 ** 10 + 4 ** 10) ** 0.1)
    assert step_seconds(3.0, 0.0, 2, 2.0) == pytest.approx(9.0)
    assert step_seconds(3e-40, 4e-40, 0, 10.0) > 4e-40
    assert step_seconds(0.0, 0.0, 3, 2.0) == 0.0
    assert math.isnan(step_seconds(3.0, math.nan, 0, 2.0))


def test_throughput_counts_every_micro_step_of_every_replica() -> None:
    point = StepPoint(4, 1, 64, accumulation=2)
    assert point.global_batch == 4 * 64 * 3
    gradient, sync = 4e-3 + 64e-4, 6e-3 + 2 * 5e-4
    seconds = 2 * gradient + (gradient ** 2.5 + sync ** 2.5) ** (1 / 2.5)
    assert TRUE.seconds(point) == pytest.approx(seconds)
    assert TRUE.examples_per_second(point) == pytest.approx(768 / seconds)
    assert TRUE.synchronization_seconds(StepPoint(1, 1, 64)) == 0
    assert TRUE.synchronization_seconds(StepPoint(4, 2, 64)) == pytest.approx(2e-2 + 2e-3)


def test_goodput_pays_for_a_batch_beyond_the_noise_scale() -> None:
    rate = Estimate(1000.0, 900.0, 1100.0, 3)
    noise = Estimate(1000.0, 800.0, 1300.0, 6)
    assert goodput(rate, example_worth(noise, 128, 128)) == rate
    worth = example_worth(noise, 128, 1256)
    assert (worth.value, worth.low, worth.high) == pytest.approx((1128 / 2256, 928 / 2056, 1428 / 2556))
    found = goodput(rate, worth)
    assert found.value == pytest.approx(1000 * 1128 / 2256) and found.n == 3
    # Both uncertainties are in it, so it is wider than either alone, and less than both ends together.
    assert 900 * worth.low < found.low < min(1000 * worth.low, 900 * worth.value)
    assert math.log(found.high / found.value) ** 2 == pytest.approx(
        math.log(1.1) ** 2 + math.log(worth.high / worth.value) ** 2)


def test_noise_without_an_upper_end_makes_examples_worth_the_same_at_most() -> None:
    worth = example_worth(Estimate(1000.0, 300.0, math.inf, 5), 128, 1256)
    assert worth.low == pytest.approx(428 / 1556) and worth.high == 1.0


def test_a_noise_scale_without_interval_gives_a_goodput_without_one() -> None:
    rate, noise = Estimate(1000.0, 900.0, 1100.0, 3), Estimate(1000.0, math.nan, math.nan, 1)
    assert goodput(rate, example_worth(noise, 128, 128)) == rate
    found = goodput(rate, example_worth(noise, 128, 1256))
    assert found.value == pytest.approx(500) and not found.has_interval and found.n == 1


def test_exposed_communication_is_paired_by_launch_and_never_below_zero() -> None:
    found = exposed_communication({0: 0.110, 1: 0.112, 2: 0.111}, {2: 0.099, 1: 0.101, 0: 0.100})
    assert found.value == pytest.approx(0.011)
    assert 0 < found.low < 0.011 < found.high and found.counted == "n = 3 launches"
    disturbed = exposed_communication({0: 0.018, 1: 0.040, 2: 0.017}, {0: 0.011, 1: 0.013, 2: 0.0115})
    assert disturbed.low == 0 and disturbed.high > disturbed.value
    apart = exposed_communication({3: 0.110, 4: 0.112}, {0: 0.100, 1: 0.101, 2: 0.099})
    assert apart.value == pytest.approx(0.011) and apart.has_interval


def test_exact_times_give_the_model_back() -> None:
    points = LOCAL + ACROSS
    found = fit_step_model(points, [TRUE.seconds(point) for point in points])
    assert found.rms_log_residual < 1e-6
    assert found.model.gradient_intercept_seconds == pytest.approx(4e-3, rel=1e-4)
    assert found.model.gradient_seconds_per_example == pytest.approx(1e-4, rel=1e-4)
    assert found.model.local.intercept_seconds == pytest.approx(6e-3, rel=1e-4)
    assert found.model.local.seconds_per_replica == pytest.approx(5e-4, rel=1e-4)
    assert found.model.across.intercept_seconds == pytest.approx(2e-2, rel=1e-4)
    assert found.model.across.seconds_per_replica == pytest.approx(1e-3, rel=1e-4)
    assert found.model.overlap == pytest.approx(2.5, rel=1e-4)
    assert found.note == ""


def test_noisy_times_predict_a_larger_scale_within_the_interval() -> None:
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, len(LOCAL)))
    found = fit_step_model(LOCAL, [TRUE.seconds(p) * e for p, e in zip(LOCAL, noise)])
    larger = StepPoint(16, 1, 64)
    prediction = found.predict_seconds(larger)
    assert prediction.low < TRUE.seconds(larger) < prediction.high
    assert prediction.high < 2 * prediction.low
    assert prediction.n == len(LOCAL)


def test_what_was_not_measured_is_named_and_not_predicted() -> None:
    found = fit_step_model(LOCAL, [TRUE.seconds(point) for point in LOCAL])
    assert "not measured: synchronization across nodes" in found.note
    assert math.isnan(found.predict_seconds(StepPoint(16, 2, 64)).value)
    one = [StepPoint(1, 1, n) for n in (16, 32, 64, 128)]
    single = fit_step_model(one, [TRUE.seconds(point) for point in one])
    assert math.isnan(single.predict_seconds(StepPoint(2, 1, 64)).value)
    assert single.predict_seconds(StepPoint(1, 1, 256)).value == pytest.approx(4e-3 + 256e-4)


def test_parameters_that_cannot_be_told_apart_leave_no_interval() -> None:
    free = StepModel(1e-3, 2e-5, SynchronizationCost(0, 0), SynchronizationCost(0, 0), 1.0)
    points = [StepPoint(r, 1, n) for r in (1, 2, 4) for n in (32, 128, 512)]
    noise = np.exp(np.random.default_rng(1).normal(0, 0.03, 9))
    found = fit_step_model(points, [free.seconds(p) * e for p, e in zip(points, noise)])
    prediction = found.predict_seconds(StepPoint(8, 1, 128))
    assert prediction.value == pytest.approx(free.seconds(StepPoint(8, 1, 128)), rel=0.05)
    assert not prediction.has_interval
    assert "cannot tell the parameters apart" in found.note


def test_too_few_times_are_refused() -> None:
    with pytest.raises(RecordError, match="one replica batch cannot tell"):
        fit_step_model([StepPoint(1, 1, 16)] * 3, [1.0, 1.1, 1.2])
    with pytest.raises(RecordError, match="2 step times cannot fit 2 parameters"):
        fit_step_model([StepPoint(1, 1, 16), StepPoint(1, 1, 32)], [1.0, 1.1])
    with pytest.raises(RecordError, match="one positive step time"):
        fit_step_model([StepPoint(1, 1, 16)], [0.0])
