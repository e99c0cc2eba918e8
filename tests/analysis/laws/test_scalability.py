"""Amdahl's law and the Universal Scalability Law against published fits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from batchscale.analysis.laws.scalability import fit_amdahl, fit_usl, peak_replicas, scalable_throughput
from batchscale.benchmarks.errors import RecordError

# The data of the R package usl, with its published coefficients.
SYNTHETIC = {1: 1, 2: 1.8868, 4: 3.0769, 6: 3.5294, 8: 3.5398, 10: 3.3557}
SPECSDM91 = {1: 64.9, 18: 995.9, 36: 1652.4, 72: 1853.2, 108: 1828.9, 144: 1775.0, 216: 1702.2}


def test_the_synthetic_table() -> None:
    law = fit_usl(list(SYNTHETIC), list(SYNTHETIC.values()))
    assert law.contention.value == pytest.approx(0.02, abs=1e-4)
    assert law.coherency.value == pytest.approx(0.02, abs=1e-4)
    assert law.single_throughput.value == pytest.approx(1.0, abs=1e-4)
    assert law.peak_replicas.value == pytest.approx(7.0, abs=1e-3)


def test_specsdm91() -> None:
    law = fit_usl(list(SPECSDM91), list(SPECSDM91.values()))
    assert law.contention.value == pytest.approx(0.02773, rel=1e-3)
    assert law.coherency.value == pytest.approx(0.0001044, rel=1e-3)
    assert law.single_throughput.value == pytest.approx(90.0, rel=1e-3)
    assert law.peak_replicas.value == pytest.approx(96.519, abs=0.01)
    assert law.peak_replicas.low < 96.5 < law.peak_replicas.high
    assert law.contention.n == 7 and law.contention.low < 0.02773 < law.contention.high
    assert law.note == ""
    assert law.predict(96).value == pytest.approx(
        scalable_throughput(96, law.contention.value, law.coherency.value,
                            law.single_throughput.value))


def test_the_unit_of_throughput_does_not_matter() -> None:
    law = fit_usl(list(SPECSDM91), [x / 1e6 for x in SPECSDM91.values()])
    assert law.coherency.value == pytest.approx(0.0001044, rel=1e-3)
    assert law.single_throughput.value == pytest.approx(90.0e-6, rel=1e-3)


def test_the_intervals_are_those_of_nonlinear_least_squares() -> None:
    law = fit_usl(list(SPECSDM91), list(SPECSDM91.values()))
    _, covariance = curve_fit(scalable_throughput, list(SPECSDM91), list(SPECSDM91.values()),
                              (0.02, 1e-4, 90.0))
    fitted = (law.contention, law.coherency, law.single_throughput)
    halves = [estimate.high - estimate.value for estimate in fitted]
    assert halves == pytest.approx(stats.t.ppf(0.975, 7 - 3) * np.sqrt(np.diag(covariance)),
                                   rel=1e-3)


def test_amdahl() -> None:
    counts = [1, 2, 4, 8, 16]
    law = fit_amdahl(counts, [50 * p / (1 + 0.05 * (p - 1)) for p in counts])
    assert law.contention.value == pytest.approx(0.05)
    assert law.single_throughput.value == pytest.approx(50)
    assert law.coherency.value == 0 and not law.coherency.has_interval
    assert math.isinf(law.peak_replicas.value)
    assert law.peak_replicas.to_json()["value"] is None


def test_data_without_coherency_keep_the_bound_and_say_so() -> None:
    law = fit_usl([1, 2, 4, 8, 16], [100, 190, 350, 600, 950])
    assert law.coherency.value == 0 and not law.coherency.has_interval
    assert law.note == "at its bound, so without an interval: coherency"
    assert law.contention.low < 0.045 < law.contention.high
    linear = fit_usl([1, 2, 4, 8], [100, 200, 400, 800])
    assert linear.contention.value == 0


def test_throughput_that_falls_keeps_contention_at_one() -> None:
    # X(N) = N/(1 + 1.3 (N - 1)) would need a contention above 1.
    law = fit_amdahl([1, 2, 4, 8], [n / (1 + 1.3 * (n - 1)) for n in (1, 2, 4, 8)])
    assert law.contention.value == 1 and not law.contention.has_interval
    assert "contention" in law.note


def test_the_peak_comes_from_unrounded_coefficients() -> None:
    assert peak_replicas(0.02, 0.02) == pytest.approx(7.0)
    assert math.isinf(peak_replicas(0.1, 0.0))


def test_a_prediction_states_its_interval() -> None:
    law = fit_usl([1, 2, 4, 8, 16], [100, 188, 335, 540, 700])
    near, far = law.predict(16), law.predict(64)
    assert near.low < 700 < near.high
    assert (far.high - far.low) / far.value > (near.high - near.low) / near.value


def test_a_law_that_misses_by_more_than_launches_differ_says_so() -> None:
    counts = np.repeat([1, 2, 4, 8, 16], 3)
    noise = np.tile([0.99, 1.0, 1.01], 5)
    right = fit_usl(counts, scalable_throughput(counts, 0.05, 1e-3, 100.0) * noise)
    assert right.lack_of_fit > 0.05 and "does not fit" not in right.note
    steps = np.where(counts > 4, 0.6, 1.0)  # a second node costs 40 % at once, which no such law has
    wrong = fit_usl(counts, scalable_throughput(counts, 0.05, 1e-3, 100.0) * noise * steps)
    assert wrong.lack_of_fit < 1e-3 and wrong.note.startswith("the law does not fit (lack of fit: p =")
    assert math.isnan(fit_usl(list(SPECSDM91), list(SPECSDM91.values())).lack_of_fit)


def test_three_replica_counts_are_not_enough() -> None:
    law = fit_usl([1, 2, 2, 4], [100, 190, 191, 350])
    assert math.isnan(law.contention.value) and math.isnan(law.predict(8).value)
    assert law.note == "not enough points: 3 distinct replica counts, the law needs 4"
    with pytest.raises(RecordError, match="4 replica counts and 3 throughputs"):
        fit_usl([1, 2, 4, 8], [1, 2, 3])
