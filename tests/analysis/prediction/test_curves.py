"""Where few counts were measured, public curves of GPUs say the rest, say so, and say how far off they are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.synthetic_records import Study, Timing, records, results, write_store

from batchscale.analysis.importers import imported_store
from batchscale.analysis.laws.public.nodes import shipped_nodes
from batchscale.analysis.laws.public.curves import PublicCurves, shipped
from batchscale.analysis.prediction.forecast import Forecast
from batchscale.analysis.prediction.replicas import forecasts
from batchscale.analysis.prediction.text import text
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.speed import forecast
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.errors import PlanError
from batchscale.launchers.cli import main

BATCHES = (128, 512)
NONE = PublicCurves(source="", licence="", what="", rules=())


def timed(seconds: dict[int, float], devices: str | None = None, spread: float = 0.01, nodes: int = 1) -> Results:
    """Three launches of one model at two batches; seconds: of a step by replicas, at both batches alike."""
    timing = Timing(replicas=tuple(seconds), replica_batches=BATCHES, global_batches=(), strategies=("mirrored",))
    made = results(Study(experiments=(), timing=timing, memory=None))
    runs = made.runs[made.runs["experiment"] != "drift_guard"].copy()
    noise = np.exp(np.random.default_rng(3).normal(0, spread, len(runs)))
    runs["step_seconds"] = runs["replicas"].map(seconds) * runs["replica_batch"] / BATCHES[0] * noise
    runs["examples_per_second"] = runs["global_batch"] / runs["step_seconds"]
    runs["nodes"] = runs["replicas"].clip(upper=nodes)
    return replace(made, runs=runs, environments=made.environments.assign(devices=devices))


def of(made: Results, *counts: int) -> Forecast:
    found, = forecasts(made, counts)
    return found


def test_two_counts_predict_four_and_eight_and_nothing_beyond() -> None:
    one = of(timed({1: 0.100, 2: 0.105}), 4, 8, 16)
    by_count = {each.replicas: each for each in one.predicted if each.replica_batch == 512}
    assert set(by_count) == {4, 8} and all(each.public_curves for each in by_count.values())
    rule = shipped().rule(frozenset({1, 2}), 8)
    assert rule is not None
    eight = by_count[8].step_seconds
    assert eight.value == pytest.approx(0.42 * math.exp(rule.offset + rule.slope * math.log(1.05)), rel=0.02)
    assert 1.4 < eight.high / eight.low < 2.5
    assert by_count[8].efficiency.value == pytest.approx(0.4 / eight.value, rel=0.02)
    assert by_count[8].efficiency.has_interval
    assert {each.replicas for each in one.predictions if each.refusal} == {16}


def test_three_counts_span_what_the_laws_say_and_what_public_curves_say() -> None:
    made = timed({1: 0.100, 2: 0.104, 4: 0.106}, spread=0.001)
    eight, sixteen = (next(each for each in of(made, 8, 16).predictions
                           if each.replicas == count and each.replica_batch == 128) for count in (8, 16))
    alone, = forecasts(made, (8, 16), curves=NONE)
    by_laws = {each.replicas: each.step_seconds for each in alone.predictions if each.replica_batch == 128}
    assert eight.public_curves and not sixteen.public_curves
    assert eight.step_seconds.low <= by_laws[8].low and eight.step_seconds.high >= by_laws[8].high
    assert eight.step_seconds.high / eight.step_seconds.low > 1.15 > by_laws[8].high / by_laws[8].low
    # What laws could miss on such machines at 8 they can miss at 16.
    assert sixteen.refusal or (sixteen.step_seconds.high / sixteen.step_seconds.low
                               > 1.1 * by_laws[16].high / by_laws[16].low)


@pytest.mark.parametrize("devices", ["CPU:0", "/cpu:0, /cpu:1"])
def test_public_curves_of_gpus_say_nothing_of_cpus(devices: str) -> None:
    one = of(timed({1: 0.100, 2: 0.105}, devices), 8)
    assert not one.predicted and not one.public and "alone cannot tell" in one.predictions[0].refusal
    assert of(timed({1: 0.100, 2: 0.105}, "GPU:0, CPU:0"), 8).predicted


def test_a_slow_down_that_no_public_curve_has_is_refused_with_the_reason() -> None:
    one = of(timed({1: 0.100, 2: 0.180}), 8)
    assert not one.predicted
    assert "0.87 to 1.52 times that of one" in one.predictions[0].refusal


def test_more_nodes_follow_from_two_numbers_of_them_and_from_their_own_rules() -> None:
    one = of(timed({1: 0.100, 2: 0.105}, nodes=64), 4, 64)
    rule = shipped_nodes().rule(True)
    assert rule and one.rules == (rule,)
    for each in one.predicted:
        each_doubling = math.log(each.step_seconds.value / (0.105 * each.replica_batch / BATCHES[0])) / math.log2(
            each.replicas / 2)
        assert each.public_curves and each.nodes == each.replicas
        assert each_doubling == pytest.approx(rule.offset + rule.slope * math.log(1.05), abs=0.01)
    four, many = (next(each.step_seconds for each in one.predicted if each.replicas == count) for count in (4, 64))
    assert many.high / many.low > four.high / four.low > 1.1
    assert "next count from one node and several is off by" in one.public
    assert not of(timed({1: 0.100, 2: 0.105}, "CPU:0", nodes=64), 4).predicted


def test_nodes_that_are_not_alike_and_one_node_alone_say_nothing_of_more() -> None:
    made = timed({1: 0.100, 2: 0.105}, nodes=64)
    assert all(each.refusal for each in of(replace(made, runs=made.runs[made.runs["replicas"] == 2]), 8).predictions)
    uneven = made.runs.assign(nodes=made.runs["replicas"], replicas=made.runs["replicas"].map({1: 3, 2: 8}))
    assert all(each.refusal for each in of(replace(made, runs=uneven), 16).predictions)


def test_a_topology_places_runs_that_name_no_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text("kind,model,scaling,replicas,global_batch,replica_batch,examples_per_second\n" + "".join(
        f"throughput,net,weak,{count},{64 * count},64,{100 * count * (0.98 if count > 128 else 1)}\n"
        for count in (128, 256)))
    store = imported_store.write(table, tmp_path / "results", "csv")
    assert not of(read(store), 512).predicted
    one, = forecasts(read(store), (512,), per_node=8)
    each, = one.predicted
    assert each.nodes == 64 and each.public_curves and each.examples_per_second.value == pytest.approx(49_000, rel=0.04)
    with pytest.raises(PlanError, match="256 replicas shared a node"):
        forecasts(replace(read(store), runs=read(store).runs.assign(nodes=1)), (512,), per_node=8)
    assert main(["predict", str(store.folder), "--gpus", "512", "--topology", "8"]) == 0
    assert "as measured, public curves" in capsys.readouterr().out


def test_a_step_that_gets_longer_than_on_any_public_table_is_refused() -> None:
    one = of(timed({1: 0.100, 2: 0.400}, nodes=64), 4)
    assert not one.predicted and "with a doubling of the nodes, as here" in one.predictions[0].refusal


def test_counts_without_one_replica_are_left_to_the_laws() -> None:
    assert not any(each.public_curves for each in of(timed({2: 0.105, 4: 0.11}), 8).predictions)
    assert not any(each.public_curves for each in of(timed({1: 0.1, 2: 0.105, 4: 0.11, 8: 0.12}), 8, 16).predictions)


def test_one_launch_of_two_counts_is_enough_and_costs_no_law(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("kind,model,replicas,global_batch,replica_batch,examples_per_second\n"
                     "throughput,net,1,64,64,100\nthroughput,net,2,128,64,190\n")
    one = of(read(imported_store.write(table, tmp_path / "results", "csv")), 1, 2, 8, 16)
    assert one.laws == () and [each.replicas for each in one.predicted] == [1, 2, 8]
    assert [each.examples_per_second.value for each in one.predicted[:2]] == pytest.approx([100, 190])
    eight = one.predicted[2].examples_per_second
    assert 500 < eight.low < 700 < eight.value < 760 < eight.high < 1000
    assert "2 step times cannot fit a law" in one.predictions[3].refusal


def test_the_output_says_where_curves_were_used_and_their_own_error(tmp_path: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    out = text([of(timed({1: 0.100, 2: 0.105}), 4, 8)], None)
    assert "as measured, public curves" in out and "public curves of 13 set-ups too" in out
    assert "8 from 1 and 2 is off by" in out and "in the median" in out and "of the intervals hold it" in out
    assert "BSD-3-Clause" in out
    assert "public curves" not in text([of(timed({1: 0.100, 2: 0.105}), 2)], None)
    timing = Timing(replicas=(1, 2), replica_batches=BATCHES, global_batches=(), strategies=("mirrored",))
    write_store(tmp_path / "study", records(Study(experiments=(), timing=timing, memory=None)))
    output = tmp_path / "found.json"
    assert main(["predict", str(tmp_path / "study"), "--gpus", "8", "--output", str(output)]) == 0
    capsys.readouterr()
    found, = json.loads(output.read_text())["forecasts"]
    assert found["public_curves"][0]["measured"]["held"] >= 0.9
    assert all(each["public_curves"] for each in found["predictions"])


def test_the_report_and_its_json_say_the_same() -> None:
    findings = Findings.of(timed({1: 0.100, 2: 0.105}))
    found = forecast.build(findings)
    assert found is not None and found.figures
    assert any("rests on 155 public curves" in part and "8 from 1 and 2 is off by" in part for part in found.text)
    assert not any("checked by nothing" in part for part in found.warnings)
    told, = json.loads(json.dumps(findings.to_json()))["forecasts"]
    assert [rule["predicted"] for rule in told["public_curves"]] == [4, 8]
