"""Predictions beyond what was measured: right on clusters whose truth is known, and honest about the rest."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.synthetic_records import SGD, Study, Timing, records, results, write_store

from batchscale.analysis.laws.allreduce import halving_doubling_seconds, hierarchical_seconds, Link, ring_seconds
from batchscale.analysis.laws.step_laws import (FEATURES, HALVING, HIERARCHICAL, PER_REPLICA, RING, fit_step_laws,
                                                StepLaws)
from batchscale.analysis.laws.step_model import step_seconds, StepModel, StepPoint, SynchronizationCost
from batchscale.analysis.prediction.batches import batch_forecasts
from batchscale.analysis.prediction.forecast import Prediction
from batchscale.analysis.prediction.replicas import forecasts, given_link, replica_counts
from batchscale.benchmarks.errors import PlanError, RecordError
from batchscale.launchers.cli import main

CLUSTERS = 200
BATCHES = (32, 128, 512)
Truth = Callable[[StepPoint], float]
TIMING = Timing(replicas=(1, 2, 4, 8), replica_batches=(32, 128, 512), global_batches=(512, 2048),
                strategies=("mirrored",))
STUDY = Study(experiments=(SGD,), timing=TIMING, memory=None, seeds=3, epochs=4)


def cluster(rng: np.random.Generator, law: str) -> Truth:
    """A step of 1 to 80 ms, synchronization of a hundredth of it to more than all of it, any overlap."""
    a, b, overlap = 10 ** rng.uniform(-3, -1.5), 10 ** rng.uniform(-5, -3.5), rng.uniform(1, 6)
    typical = a + 128 * b
    if law == PER_REPLICA:
        fixed = typical * rng.uniform(0.05, 1.0)
        more = fixed * rng.uniform(0, 0.3)
        costs = [fixed, more, 2 * fixed, more]
    else:
        costs = [typical * rng.uniform(0, 0.05), typical * rng.uniform(0.05, 0.6)]
        costs += [3 * cost for cost in costs] if law == HIERARCHICAL else []
    return lambda point: step_seconds(a + b * point.replica_batch, float(np.dot(FEATURES[law](point), costs)),
                                      point.accumulation, overlap)


def test_of_200_clusters_the_largest_lies_within_what_the_smaller_ones_predict() -> None:
    hits: dict[str, list[bool]] = {law: [] for law in FEATURES}
    widths = []
    for number in range(CLUSTERS):
        rng, law = np.random.default_rng(number), list(FEATURES)[number % 4]
        truth, across = cluster(rng, law), number % 8 >= 4 or law == HIERARCHICAL
        counts = (1, 2, 4, 8, 16, 32) if across else (1, 2, 4, 8, 16)
        points = [StepPoint(r, max(1, r // 4) if across else 1, n) for r in counts for n in BATCHES for _ in range(3)]
        seconds = np.asarray([truth(point) * math.exp(rng.normal(0, 0.02)) for point in points])
        smaller = [index for index, point in enumerate(points) if point.replicas < counts[-1]]
        largest = [index for index, point in enumerate(points)
                   if point.replicas == counts[-1] and point.replica_batch == 128]
        laws = fit_step_laws([points[i] for i in smaller], seconds[smaller].tolist())
        found = laws.predict_seconds(points[largest[0]])
        hits[law].append(found.low <= float(np.mean(seconds[largest])) <= found.high)
        widths.append(found.high / found.low)
    assert sum(map(sum, hits.values())) >= 0.9 * CLUSTERS
    assert all(sum(each) >= 0.9 * len(each) for each in hits.values())
    assert np.median(widths) < 1.3  # an interval that holds everything would hit as well


def test_of_200_machines_the_largest_batch_lies_within_what_smaller_ones_predict() -> None:
    hits, widths = [], []
    for number in range(CLUSTERS):
        rng = np.random.default_rng(number)
        truth = cluster(rng, PER_REPLICA)
        points = [StepPoint(r, 1, n) for r in (1, 2) for n in (*BATCHES, 2048, 8192) for _ in range(3)]
        seconds = np.asarray([truth(point) * math.exp(rng.normal(0, 0.02)) for point in points])
        smaller = [index for index, point in enumerate(points) if point.replica_batch < 8192]
        laws = fit_step_laws([points[i] for i in smaller], seconds[smaller].tolist())
        for replicas in (1, 2):
            largest = [index for index, point in enumerate(points) if point == StepPoint(replicas, 1, 8192)]
            found = laws.predict_seconds(StepPoint(replicas, 1, 8192))
            hits.append(found.low <= float(np.mean(seconds[largest])) <= found.high)
            widths.append(found.high / found.low)
    assert sum(hits) >= 0.9 * len(hits)
    assert np.median(widths) < 1.3


def test_exact_times_of_a_ring_give_the_ring_back() -> None:
    link = Link(5e-6, 12.5e9)

    def truth(point: StepPoint) -> float:
        return 4e-3 + 1e-4 * point.replica_batch + ring_seconds(point.replicas, 102.4e6, link)

    points = [StepPoint(r, 1, n) for r in (1, 2, 4, 8) for n in BATCHES]
    found = fit_step_laws(points, [truth(point) for point in points])
    assert found.laws[0].synchronization == RING and found.laws[0].overlap == 1.0
    assert found.predict_seconds(StepPoint(256, 1, 64)).value == pytest.approx(truth(StepPoint(256, 1, 64)), rel=1e-5)
    assert found.laws[0].synchronization_seconds(StepPoint(8, 1, 64)) == pytest.approx(14.406e-3, rel=1e-4)


def test_a_law_is_the_step_models_formula() -> None:
    model = StepModel(4e-3, 1e-4, SynchronizationCost(6e-3, 5e-4), SynchronizationCost(2e-2, 1e-3), 2.0)
    points = [StepPoint(r, 1, n, k) for r in (1, 2, 4, 8) for n in BATCHES for k in (0, 2)]
    points += [StepPoint(r, r // 4, n) for r in (8, 16, 32) for n in BATCHES]
    found = fit_step_laws(points, [model.seconds(point) for point in points])
    assert found.laws[0].synchronization == PER_REPLICA and found.laws[0].overlap == 2.0
    for point in (StepPoint(16, 1, 64), StepPoint(64, 16, 256), StepPoint(4, 1, 1024, 4)):
        assert found.predict_seconds(point).value == pytest.approx(model.seconds(point), rel=1e-5)


def test_what_no_law_can_know_is_not_predicted() -> None:
    alone = [StepPoint(r, 1, n) for r in (1, 2) for n in BATCHES for _ in range(2)]
    noise = np.exp(np.random.default_rng(0).normal(0, 0.01, len(alone)))
    found = fit_step_laws(alone, [(1e-3 + 1e-5 * p.replica_batch + 1e-4 * (p.replicas > 1)) * e
                                  for p, e in zip(alone, noise)])
    assert math.isnan(found.predict_seconds(StepPoint(4, 1, 128)).value)
    assert found.predict_seconds(StepPoint(2, 1, 128)).has_interval
    assert not any(law.predicts(StepPoint(6, 1, 128)) for law in found.laws if law.synchronization == HALVING)
    with pytest.raises(RecordError, match="one replica batch cannot tell"):
        fit_step_laws([StepPoint(1, 1, 16)] * 4, [1.0] * 4)
    with pytest.raises(RecordError, match="cannot fit a law"):
        fit_step_laws([StepPoint(1, 1, 16), StepPoint(1, 1, 32)], [1.0, 1.1])


def test_a_network_takes_the_place_of_what_was_measured() -> None:
    points = [StepPoint(1, 1, n) for n in BATCHES for _ in range(2)]
    noise = np.exp(np.random.default_rng(0).normal(0, 1e-4, len(points)))
    found: StepLaws = fit_step_laws(points, [(4e-3 + 1e-4 * p.replica_batch) * e for p, e in zip(points, noise)])
    predicted = found.predict_seconds(StepPoint(8, 1, 128), lambda law: 14.406e-3)
    gradient = 4e-3 + 128e-4
    # Nothing measured says how much of it is hidden: from all of it to what the largest overlap hides.
    assert predicted.low == pytest.approx((gradient ** 10 + 14.406e-3 ** 10) ** 0.1, rel=1e-2)
    assert predicted.high == pytest.approx(gradient + 14.406e-3, rel=1e-2)


@pytest.fixture(scope="module")
def predicted() -> list[Prediction]:
    one, = forecasts(results(STUDY), (8, 16, 64), price=2.0)
    return list(one.predictions)


def test_records_predict_the_truth_they_were_made_from(predicted: list[Prediction]) -> None:
    assert [each.scaling for each in predicted].count("weak") == 3 * 3
    for each in predicted:
        step = TIMING.fixed_seconds + TIMING.seconds_per_example * each.replica_batch + TIMING.synchronization_seconds
        if each.replicas <= 16 and each.replica_batch >= 32:
            assert each.step_seconds.low < step < each.step_seconds.high
        assert each.examples_per_second.value == pytest.approx(each.global_batch / each.step_seconds.value)
    weak = next(each for each in predicted if each.scaling == "weak" and each.replicas == 16
                and each.replica_batch == 512)
    base = TIMING.fixed_seconds + TIMING.seconds_per_example * 512
    assert weak.efficiency.value == pytest.approx(base / (base + TIMING.synchronization_seconds), rel=0.02)


def test_time_and_cost_to_the_target_follow_from_steps_and_price(predicted: list[Prediction]) -> None:
    for each in predicted:
        assert each.trained == "sgd"
        assert each.money_per_million.value == pytest.approx(
            2.0 * each.replicas * 1e6 / each.examples_per_second.value / 3600)
        if each.global_batch > 4096:
            assert math.isnan(each.steps.value) and "more than the 4,096 training examples" in each.warnings[-1]
            continue
        assert each.steps.value > 0
        assert each.seconds_to_target.value == pytest.approx(each.steps.value * each.step_seconds.value)
        assert each.money.value == pytest.approx(2.0 * each.replicas * each.seconds_to_target.value / 3600)


def test_far_predictions_are_warned_of_and_farther_ones_are_called_extrapolation() -> None:
    one, = forecasts(results(STUDY), (8, 32, 33, 512, 513))
    warnings = {each.replicas: "; ".join(each.warnings) for each in one.predictions if each.scaling == "weak"}
    assert "times the largest" not in warnings[8] + warnings[32]
    assert "33 is 4.1 times the largest size measured (8)" in warnings[33]
    assert "extrapolation" not in warnings[512] and warnings[513].startswith("extrapolation: 513 is 64.1 times")


def test_the_largest_measured_is_predicted_from_the_others() -> None:
    one, = forecasts(results(STUDY), (16,))
    assert len(one.held_out) == 5  # 3 batches of weak scaling, and 2 more of strong
    assert all(abs(error.relative_error.value) < 0.2 for error in one.held_out)
    fewer = results(Study(experiments=(), timing=Timing(strategies=("mirrored",)), memory=None))
    two, = forecasts(fewer, (2, 8))
    assert two.held_out == () and "1 and 2 replicas alone cannot tell" in two.note
    assert {each.replicas for each in two.predictions} == {2}
    assert all(math.isnan(each.steps.value) for each in two.predictions)


def test_the_largest_batch_is_predicted_from_smaller_ones_where_replica_counts_are_few() -> None:
    timing = Timing(replicas=(1, 2), replica_batches=(32, 128, 512, 2048), global_batches=(), strategies=("mirrored",))
    one, = batch_forecasts(results(Study(experiments=(), timing=timing, memory=None)))
    assert one.largest == 2048 and list(one.held_out) == [1, 2]
    assert all(error.within and abs(error.relative_error.value) < 0.1 for error in one.held_out.values())
    assert [batch for batch, _ in one.predicted[2]] == [64, 256, 1024, 4096, 8192, 16384]
    assert [batch for batch, _ in one.measured[2]] == [64, 256, 1024, 4096]
    assert "fitted without 2,048 examples per replica" in one.statement and "within the interval" in one.statement
    fewer = Timing(replicas=(1, 2), replica_batches=(32, 128, 512), global_batches=(), strategies=("mirrored",))
    assert batch_forecasts(results(Study(experiments=(), timing=fewer, memory=None))) == ()


def test_three_algorithms_are_reckoned_from_a_network() -> None:
    link = Link(1e-4, 1e8)
    one, = forecasts(results(STUDY), (16, 24), link)
    at = {(each.replicas, each.synchronization): each.step_seconds for each in one.predictions
          if each.scaling == "weak" and each.replica_batch == 512}
    assert {name for count, name in at if count == 16} == {"as measured", RING, HALVING, HIERARCHICAL}
    assert (24, HALVING) not in at and (24, HIERARCHICAL) in at
    size, step = 4 * SGD.parameters, TIMING.fixed_seconds + TIMING.seconds_per_example * 512
    between = hierarchical_seconds(0.0, 2, 8, size, link)
    for name, cost in ((RING, ring_seconds(16, size, link)), (HALVING, halving_doubling_seconds(16, size, link)),
                       (HIERARCHICAL, between + TIMING.synchronization_seconds)):
        assert at[16, name].low < step + cost and at[16, name].high > (step ** 10 + cost ** 10) ** 0.1


def test_the_command_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = records(Study(experiments=(), timing=TIMING, memory=None))
    write_store(tmp_path / "study", made)
    output = tmp_path / "found.json"
    assert main(["predict", str(tmp_path), "--gpus", "16,1024", "--network", "5e-6,8e-11", "--price", "2",
                 "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "Network: 5e-06 s per message, 12,500,000,000 bytes/s." in out
    assert "Held-out error: 8 replicas predicted from fewer are off by" in out and "warning: extrapolation: 1024" in out
    assert "Costs are of a million examples" in out
    found = json.loads(output.read_text())["forecasts"][0]
    assert found["measured_replicas"] == [1, 2, 4, 8] and found["predictions"][0]["steps"]["value"] is None


@pytest.mark.parametrize("text", ["", "0", "8,", "a", "8;16", "-1", "1e3", "99999999", "²"])
def test_replica_counts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="--gpus .* such as 8,16,32"):
        replica_counts(text)
    assert replica_counts("16, 8,8") == (8, 16)


@pytest.mark.parametrize("text", ["1", "a,b", "1,2,3", "5e-6,12.5e9", "nan,1e-9", "-1,1e-9", "1e-6,0", "1e-6,inf"])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="--network .* seconds per message and seconds per byte"):
        given_link(text)
    given = given_link("5e-6,8e-11")
    assert given is not None and given.latency_seconds == 5e-6
    assert given.bytes_per_second == pytest.approx(12.5e9)


def test_nothing_timed_is_refused_and_so_is_a_price_below_zero() -> None:
    with pytest.raises(RecordError, match="no timing runs"):
        forecasts(results(Study(experiments=(SGD,), timing=None, memory=None, epochs=2)), (8,))
    with pytest.raises(PlanError, match="--price -1"):
        forecasts(results(Study(experiments=(), timing=TIMING, memory=None)), (8,), price=-1.0)
