"""Predictions beyond what was measured: right on clusters whose truth is known, and honest about the rest."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from support.synthetic_records import SGD, Study, Timing, records, results, write_store

from batchscale.analysis.laws.allreduce import halving_doubling_seconds, hierarchical_seconds, Link, ring_seconds
from batchscale.analysis.laws.step.synchronization import HALVING, HIERARCHICAL, RING
from batchscale.analysis.prediction.batches import batch_forecasts
from batchscale.analysis.prediction.forecast import Prediction
from batchscale.analysis.prediction.network import Network
from batchscale.analysis.prediction.replicas import forecasts, replica_counts
from batchscale.benchmarks.errors import PlanError, RecordError
from batchscale.launchers.cli import main

TIMING = Timing(replicas=(1, 2, 4, 8), replica_batches=(32, 128, 512), global_batches=(512, 2048),
                strategies=("mirrored",))
STUDY = Study(experiments=(SGD,), timing=TIMING, memory=None, seeds=3, epochs=4)


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
    two, = forecasts(fewer, (2, 16))
    assert two.held_out == () and "without 2 replicas, 1 replica alone cannot tell" in two.unchecked
    assert {each.replicas for each in two.predicted} == {2}
    assert all(math.isnan(each.steps.value) for each in two.predictions)
    assert all("1 and 2 replicas alone cannot tell" in each.refusal for each in two.predictions if each.replicas == 16)


def test_measured_values_stand_beside_predictions_and_within_them() -> None:
    one, = forecasts(results(STUDY), (1, 8, 16))
    for each in one.predicted:
        assert math.isfinite(each.measured.value) == (each.replicas < 16)
        if each.replicas < 16:
            assert each.examples_per_second.low <= each.measured.value <= each.examples_per_second.high
        assert each.baseline == 1 and each.efficiency.has_interval == (each.replicas > 1)


def test_what_the_laws_missed_at_the_most_replicas_widens_what_is_predicted_beyond() -> None:
    made = results(STUDY)
    runs = made.runs.copy()
    runs.loc[runs["replicas"] == 8, "step_seconds"] *= 1.3  # what no count below showed
    one, = forecasts(replace(made, runs=runs), (8, 16))
    plain, = forecasts(made, (8, 16))
    assert not all(error.within for error in one.held_out)
    wide, narrow = ({each.global_batch: each.step_seconds for each in of.predictions if each.replicas == 16}
                    for of in (one, plain))
    for batch, seconds in wide.items():
        assert math.isnan(seconds.value) or seconds.high / seconds.low > narrow[batch].high / narrow[batch].low
    assert all(one.unchecked == "" for one in (one, plain))


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


def test_launches_of_which_laws_make_nothing_have_intervals_without_end() -> None:
    """Measured where only batches 32 and 128 were timed, under strong scaling on two cores that others used too."""
    measured = {(1, 32): [0.430, 0.425, 0.492], (1, 128): [1.172, 1.279, 1.340],
                (2, 16): [0.960, 1.273, 2.730], (2, 64): [1.380, 2.633, 2.453]}  # milliseconds
    timing = Timing(replicas=(1, 2), replica_batches=(), global_batches=(32, 128), strategies=("mirrored",))
    made = results(Study(experiments=(), timing=timing, memory=None))
    runs = made.runs[made.runs["experiment"] != "drift_guard"].copy()
    runs["step_seconds"] = [measured[int(replicas), int(batch)][int(launch)] / 1e3 for replicas, batch, launch in zip(
        runs["replicas"], runs["replica_batch"], runs["launch"])]
    one, = batch_forecasts(replace(made, runs=runs))
    assert any(rate.low < 1 and rate.high == math.inf for line in one.predicted.values() for _, rate in line)


def test_three_algorithms_are_reckoned_from_a_network() -> None:
    link = Link(1e-4, 1e8)
    one, = forecasts(results(STUDY), (16, 24), Network(links=(link,)))
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


def test_nothing_timed_is_refused_and_so_is_a_price_below_zero() -> None:
    with pytest.raises(RecordError, match="no timing runs"):
        forecasts(results(Study(experiments=(SGD,), timing=None, memory=None, epochs=2)), (8,))
    with pytest.raises(PlanError, match="--price -1"):
        forecasts(results(Study(experiments=(), timing=TIMING, memory=None)), (8,), price=-1.0)
