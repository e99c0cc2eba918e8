"""Two exchanges of gradients, and two arithmetics, are never taken for one thing: not in an arm, a fit, or a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.synthetic_records import SGD, Study, Timing, records

from batchscale.analysis.decision.options import options
from batchscale.analysis.figures import theme
from batchscale.analysis.prediction.replicas import forecasts_of
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.report.sections.speed import throughput
from batchscale.analysis.study.arm_runs import conditions, experiment_arm
from batchscale.analysis.study.arms import load_arms
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.study.timing.scaling import scalings
from batchscale.analysis.study.timing.step_fits import step_fits
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.config.strategies import STRATEGIES
from batchscale.benchmarks.planning import selection
from batchscale.benchmarks.runs.run_config import from_json

TIMING = Timing(replicas=(1, 2, 4), replica_batches=(32, 128), global_batches=(512,), strategies=("horovod",))
STUDY = Study(experiments=(replace(SGD, batches=(32, 512)),), timing=TIMING, memory=None, seeds=3, epochs=2)
FASTER = 0.5
Record = dict[str, Any]


def in_groups(record: Record) -> Record:
    """The same run with its gradients in groups, in half the time."""
    config = from_json({**record["config"], "strategy": "horovod", "transport": "mpi", "exchange": "groups"})
    windows = [{**window, "seconds": FASTER * window["seconds"]} for window in record["windows"]]
    return {**record, "run_id": config.run_id, "config": {**record["config"], "strategy": "horovod",
                                                          "transport": "mpi", "exchange": "groups"}, "windows": windows}


def on_gpus(record: Record, name: str = "NVIDIA H100 80GB HBM3", rounded: bool = True) -> Record:
    place = {"gpus": [name], "devices": ["GPU:0"], "tensor_float_32": rounded}
    return {**record, "environment": {**record["environment"], **place}}


def found(*changes: Callable[[Record], Record], study: Study = STUDY) -> Results:
    made = [record for record in records(study) if record["config"]["experiment"] != "drift_guard"]
    return from_records([change(record) for change in changes for record in made], {"runs": []})


def same(record: Record) -> Record:
    return record


def test_every_row_says_how_its_gradients_were_exchanged_and_placements_tell_it() -> None:
    runs = found(same, in_groups).runs
    timed = runs[runs["kind"] == "throughput"]
    assert set(timed["exchange"]) == {"one", "groups"}
    assert {place for place, exchange in zip(timed["placement"], timed["exchange"]) if exchange == "groups"} == {
        f"horovod-mpi-groups-{replicas}r" for replicas in (1, 2, 4)}
    assert {place for place, exchange in zip(timed["placement"], timed["exchange"]) if exchange == "one"} == {
        f"horovod-mpi-{replicas}r" for replicas in (1, 2, 4)}


def test_each_exchange_has_its_own_efficiencies_laws_and_forecasts() -> None:
    both, alone = found(same, in_groups), found(same)
    assert {one.strategy for one in scalings(both)} == {"horovod-mpi", "horovod-mpi-groups"}
    assert [one.to_json() for one in scalings(both) if one.strategy == "horovod-mpi"] == [
        one.to_json() for one in scalings(alone)], "the other exchange changes nothing of this one's"
    fits = {one.strategy: one.fit for one in step_fits(both)}
    one, groups = fits["horovod-mpi"], fits["horovod-mpi-groups"]
    assert one is not None and groups is not None
    for name in one.estimates:
        if name != "overlap":
            assert groups.estimates[name].value == pytest.approx(FASTER * one.estimates[name].value, rel=1e-6)
    assert {forecast.strategy for forecast in forecasts_of(Found(both), [2])} == {"horovod-mpi", "horovod-mpi-groups"}


def test_an_arm_of_accuracy_runs_has_one_exchange() -> None:
    both = found(lambda record: {**record, "config": {**record["config"], "strategy": "horovod", "transport": "mpi"}},
                 in_groups)
    runs, _ = experiment_arm(both, "sgd", "constant")
    assert set(runs["exchange"]) == {"one"} and not runs.duplicated(["global_batch", "seed"]).any()
    named = {option.placement for option in options(load_arms(both), both)}
    assert "horovod-mpi-1r" in named and "horovod-mpi-groups-1r" in named


def test_the_runs_of_an_exchange_in_groups_can_be_asked_for_alone() -> None:
    runs = found(same, in_groups).runs
    timed = runs[runs["kind"] == "throughput"]
    groups = timed[timed["exchange"] == "groups"]
    wanted = selection.parse(conditions(groups))
    assert "exchange=groups" in conditions(groups)
    made = [from_json(in_groups(record)["config"]) for record in records(STUDY)]
    assert all(wanted(config) for config in made if config.kind == "throughput")
    assert not any(wanted(from_json(record["config"])) for record in records(STUDY))


@pytest.mark.parametrize("strategy", [name for name, spec in STRATEGIES.items() if spec.exchanges])
def test_a_strategy_in_groups_has_its_own_dash_in_the_strategys_colour(strategy: str) -> None:
    one, groups = theme.role(strategy), theme.role(f"{strategy}-groups")
    assert (groups.light, groups.dark) == (one.light, one.dark) and groups.dash != one.dash
    on_nodes = [theme.role(f"{strategy}{way} on 4 nodes").dash for way in ("", "-groups")]
    assert len({str(dash) for dash in (*on_nodes, groups.dash)}) == 3


def test_products_in_tf32_and_in_float32_are_two_arithmetics() -> None:
    both = found(on_gpus, lambda record: {**on_gpus(record, rounded=False), "run_id": f"full-{record['run_id']}"})
    assert set(both.runs["tf32"]) == {"yes", "no"} and set(found(same).runs["tf32"]) == {""}
    assert len(step_fits(both)) == 2 * len(step_fits(found(on_gpus)))


def test_utilisation_is_three_forward_passes_over_the_peak_of_the_arithmetic() -> None:
    runs = found(on_gpus).runs
    timed = runs[runs["kind"] == "throughput"]
    expected = 3 * 2e5 * timed["examples_per_second"] / (timed["replicas"] * 494.7e12)
    assert len(timed) and timed["model_flops_utilization"].tolist() == pytest.approx(expected.tolist())
    full = found(lambda record: on_gpus(record, rounded=False)).runs
    ratios = full["model_flops_utilization"].dropna().to_numpy() / timed["model_flops_utilization"].to_numpy()
    assert ratios == pytest.approx(494.7 / 66.9)
    assert runs.loc[runs["kind"] != "throughput", "model_flops_utilization"].isna().all()


@pytest.mark.parametrize(("name", "told"), [
    ("NVIDIA H100 80GB HBM3", "494.7 TFLOP/s of TF32 (NVIDIA H100 Tensor Core GPU architecture"),
    ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "no utilisation, since no peak rate of this card is known here"),
    ("Tesla T4", "no utilisation, since NVIDIA T4 Tensor Core GPU datasheet gives no peak rate of TF32"),
])
def test_the_report_names_the_peak_and_its_source_or_says_that_none_is_known(name: str, told: str) -> None:
    results = found(lambda record: on_gpus(record, name))
    section = throughput.build(Findings(Found(results)))
    assert section is not None and any(told in text and name in text for text in section.text)
    known = "no utilisation" not in told
    assert ("model FLOPs utilisation" in json.dumps(section.tables[0].header)) == known


def test_without_a_gpu_the_report_says_nothing_of_utilisation() -> None:
    section = throughput.build(Findings(Found(found(same))))
    assert section is not None and not any("tilisation" in text for text in section.text)
