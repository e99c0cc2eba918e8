"""From records to tables: what is read, what is shared between arms, and what is left out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscale.analysis.study.timing.scaling import scalings
from batchscale.analysis.tables.reading import from_records, read
from batchscale.analysis.tables.results import experiments
from batchscale.benchmarks.records import searches
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.schema import problems
from batchscale.benchmarks.runs.run_config import from_json, to_json
from support.synthetic_records import (ADAM, SGD, Study, Timing, change, manifest, records, results, write_store)
from dataclasses import replace

SMALL = Study(experiments=(SGD,), timing=None, memory=None, seeds=2)


def test_synthetic_records_are_valid_and_repeat() -> None:
    made = records(Study(seeds=1))
    assert not [wrong for record in made for wrong in problems(record)]
    assert made == records(Study(seeds=1))


def test_a_run_becomes_a_row_with_its_metrics_at_the_end() -> None:
    table = results(SMALL).runs
    last = table[table["global_batch"] == 128].iloc[0]
    made = next(r for r in records(SMALL) if r["run_id"] == last["run_id"])
    end = made["evaluations"][-1]
    assert last["test_accuracy"] == end["test_accuracy"]
    assert last["generalization_gap"] == end["train_accuracy"] - end["test_accuracy"]
    assert last["loss_gap"] == end["test_loss"] - end["train_loss"]
    assert (last["steps"], last["last_step"], last["replica_batch"]) == (320, 320, 128)


def test_as_published_has_one_row_per_phase() -> None:
    study = replace(SMALL, experiments=(replace(SGD, as_published=True),), seeds=1)
    table = results(study)
    own = table.runs[table.runs["rule"] == "as_published"]
    assert list(own["global_batch"]) == [32, 128, 512, 4096]
    assert list(own["phase"]) == [0, 1, 2, 3]
    assert list(own["peak_learning_rate"]) == [0.01] * 4
    curves = table.evaluations[table.evaluations["rule"] == "as_published"]
    assert set(curves.loc[curves["phase"] == 2, "global_batch"]) == {512}


def test_a_diverged_phase_has_no_metrics_at_the_end() -> None:
    table = results(change(SMALL, "sgd", "linear", diverged=(512,)))
    bad = table.runs[table.runs["status"] == "diverged"]
    assert set(bad["global_batch"]) == {512} and len(bad) == 2
    assert bad["test_accuracy"].isna().all()
    assert table.statuses["status"].value_counts()["diverged"] == 2


def test_timing_counts_the_slowest_rank_and_leaves_warm_up_out() -> None:
    made = records(Study(experiments=()))
    for record in made:
        for window in record["windows"]:
            window["seconds"] = 20 * (0.5 if window["rank"] else 0.25) * (
                1 if window["steady"] else 100)
    runs = from_records(made, {"runs": []}).runs
    two_ranks = (runs["strategy"] == "horovod") & (runs["replicas"] == 2)
    assert set(runs.loc[two_ranks, "step_seconds"]) == {0.5}
    assert set(runs.loc[(runs["kind"] == "throughput") & ~two_ranks, "step_seconds"]) == {0.25}
    one = runs[two_ranks].iloc[0]
    assert one["examples_per_second"] == one["global_batch"] / 0.5


def test_energy_is_that_of_all_ranks_over_the_examples_of_all_or_absent() -> None:
    record = next(r for r in records(Study(experiments=(), memory=None)) if r["config"]["kind"] == "throughput")
    rows = [{"rank": rank, "start_millijoules": [1000], "end_millijoules": [1000 + 300 * (rank + 1)], "examples": 600}
            for rank in (0, 1)]
    assert joules({**record, "energy": rows}) == pytest.approx(0.9 / 600)
    assert math.isnan(joules({**record, "energy": [rows[0], {**rows[1], "end_millijoules": [None]}]}))
    assert math.isnan(joules({**record, "energy": [{**rows[0], "end_millijoules": [10]}]}))
    assert math.isnan(joules(record))


def test_power_clock_and_use_are_of_the_worst_gpu_or_absent() -> None:
    record = next(r for r in records(Study(experiments=(), memory=None)) if r["config"]["kind"] == "throughput")
    rows = [reading(rank, window, 100_000 * (rank + 1), 990 + 990 * rank, 90 - 10 * window)
            for rank in (0, 1) for window in (0, 1)]
    found = timing({**record, "gpus": rows})
    assert found["gpu_watts"] == 150 and found["gpu_clock_share"] == 0.5
    assert found["gpu_busy_share"] == pytest.approx(0.85)
    lacking = timing({**record, "gpus": [*rows[:3], {**rows[3], "power_milliwatts": None, "clock_mhz": None}]})
    assert math.isnan(lacking["gpu_watts"]) and math.isnan(lacking["gpu_clock_share"])
    assert lacking["gpu_busy_share"] == pytest.approx(0.85)
    assert math.isnan(timing(record)["gpu_watts"])


def reading(rank: int, window: int, power: int, clock: int, busy: int) -> dict[str, Any]:
    return {"rank": rank, "window": window, "gpu": 0, "power_milliwatts": power, "power_limit_milliwatts": 400_000,
            "clock_mhz": clock, "highest_clock_mhz": 1_980, "busy_percent": busy}


def timing(record: dict[str, Any]) -> Any:
    return from_records([record], manifest(SMALL, [record])).runs.iloc[0]


def joules(record: dict[str, Any]) -> float:
    return float(timing(record)["joules_per_example"])


def test_memory_rows_are_those_with_a_reading() -> None:
    table = results(Study(experiments=(), timing=None))
    assert len(table.memory) == 5
    assert table.memory["device_peak_bytes"].isna().all()


def test_environments_differ_by_software_and_not_by_load() -> None:
    made = records(replace(SMALL, seeds=1))
    made[0]["environment"]["load_average"] = [9.0, 9.0, 9.0]
    made[1]["environment"]["processor"] = "another"
    table = from_records(made, {"runs": []})
    assert list(table.environments["runs"]) == [len(made) - 1, 1]
    assert table.notes == ("The runs differ in processor: none; another.",)


def test_a_store_is_read_with_its_pending_failed_and_unreadable_runs(tmp_path: Path) -> None:
    made = records(SMALL)
    store = write_store(tmp_path / "plan", made[:-3])
    extra = [record["run_id"] for record in made[-3:]]
    facts = json.loads((store.folder / "plan.json").read_text())
    (store.folder / "plan.json").write_text(json.dumps({**facts,
                                                        "runs": [*facts["runs"], *extra]}))
    failing = store.run(extra[0])
    failing.folder.mkdir()
    attempt = failing.claim()
    assert attempt is not None
    failing.fail(attempt, "failed", 0, ValueError("first line\nsecond line"))
    torn = store.run(extra[1]).folder
    torn.mkdir()
    (torn / "record.json").write_text('{"schema_version": 1, "run')
    table = read(store)
    states = table.statuses.set_index("run_id")
    assert states.loc[extra, "status"].to_list() == ["failed", "unreadable", "pending"]
    assert states.loc[extra[0], "message"] == "ValueError: first line"
    assert "1 records cannot be believed and are left out." in table.notes
    assert len(table.runs) == len(made) - 3
    assert (torn / "record.json").exists()


def test_another_schema_version_counts_where_the_fields_are_the_same() -> None:
    made = records(replace(SMALL, seeds=1))
    made[0]["schema_version"] = 7
    made[0]["something_new"] = {}
    made[1]["schema_version"] = 7
    del made[1]["evaluations"]
    table = from_records(made, {"runs": []})
    assert len(table.runs) == len(made) - 1
    assert list(table.statuses["status"]).count("unreadable") == 1
    assert any("schema version 7" in note for note in table.notes)


def test_absent_metrics_are_not_zero() -> None:
    made = records(replace(SMALL, seeds=1))
    for row in made[0]["evaluations"]:
        del row["test_accuracy"]
        row["train_loss"] = None
    first = from_records(made, {"runs": []}).runs.iloc[0]
    assert math.isnan(first["test_accuracy"]) and math.isnan(first["generalization_gap"])
    assert math.isnan(first["train_loss"]) and first["train_accuracy"] > 0


@pytest.mark.parametrize("given", [[], [{}], [None], ["text"], [{"run_id": 3, "config": []}]])
def test_nothing_and_nonsense_give_empty_tables(given: list[object]) -> None:
    table = from_records(given, {"runs": ["a"]})  # type: ignore[arg-type]
    assert table.runs.empty and table.evaluations.empty and table.environments.empty
    assert "pending" in set(table.statuses["status"])
    assert experiments(table) == () and table.margin == 0.005


@pytest.mark.slow
def test_ten_thousand_records_are_read_in_time(tmp_path: Path) -> None:
    import resource
    import time
    made = [r for r in records(Study(experiments=(SGD, ADAM), timing=None, memory=None, seeds=2))]
    runs = []
    for number in range(10_000):
        record = {**made[number % len(made)], "run_id": f"run-{number}"}
        folder = tmp_path / record["run_id"]
        folder.mkdir()
        (folder / "record.json").write_text(json.dumps(record))
        runs.append(record["run_id"])
    (tmp_path / "plan.json").write_text(json.dumps({**manifest(Study(), []), "runs": runs}))
    from batchscale.benchmarks.records.store import Store
    before = time.process_time()
    table = read(Store(tmp_path))
    assert time.process_time() - before < 30
    assert len(table.runs) == 10_000 and np.isfinite(table.runs["test_accuracy"]).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 1024**2


def test_replicas_on_several_nodes_are_a_curve_of_their_own() -> None:
    """The same replicas on one node and on two are two treatments; their mean would be neither."""
    made = records(Study(experiments=(), memory=None, timing=Timing(strategies=("horovod",), noise=0.001)))
    apart = [{**record, "run_id": f"{record['run_id']}-apart", "config": {**record["config"], "nodes": 2},
              "windows": [{**window, "seconds": 3 * window["seconds"]} for window in record["windows"]]}
             for record in made if record["config"]["replicas"] == 2]
    both = [*made, *apart]
    found = from_records(both, manifest(SMALL, both))
    curves = {(one.strategy, one.fixed_batch): one for one in scalings(found) if one.kind == "weak"}
    names = {strategy for strategy, _ in curves}
    assert len(names) == 2 and any("2 nodes" in name for name in names)
    for (strategy, batch), one in curves.items():
        alike = next(other for (name, fixed), other in curves.items() if fixed == batch and name != strategy)
        ratio = one.points[-1].efficiency.value / alike.points[-1].efficiency.value
        assert ratio == pytest.approx(1 / 3 if "2 nodes" in strategy else 3, rel=0.02)
        assert one.points[-1].efficiency.n == 3
    assert {place for place in found.runs["placement"] if "2n" in place}


def test_runs_of_an_earlier_model_are_kept_and_left_out(tmp_path: Path) -> None:
    """The same settings under another identity: the tables have the plan's runs as it stands, and a note says so."""
    old, new = (records(replace(SMALL, seeds=1)) for _ in range(2))
    for record in new:
        config = replace(from_json(record["config"]), fingerprint="b" * 10)
        record |= {"config": to_json(config), "run_id": config.run_id}
    store = write_store(tmp_path / "plan", old)
    before = read(store)
    write_store(tmp_path / "plan", new)
    after = read(store)
    assert not set(after.runs["run_id"]) & set(before.runs["run_id"]) and len(after.runs) == len(before.runs)
    count = len({record["run_id"] for record in old})
    assert after.notes == (f"{count} runs in the folder belong to an earlier form of this plan, its model or its data: "
                           "kept, and left out here.",)


def test_versions_that_are_counted_together_on_purpose_are_said() -> None:
    made = records(replace(SMALL, seeds=2))
    for number, record in enumerate(made):
        record["workload"]["fingerprint"] = {"data": str(number % 2)}
    model, dataset = (made[0]["config"][name] for name in ("model", "dataset"))
    assert from_records(made, {"runs": []}).notes == (
        f"Runs of 2 versions of {model} on {dataset} are counted together, since it was edited and the plan gone on "
        "with on purpose (--continue-edited).",)
    for record in made:
        record["workload"]["fingerprint"] = {"data": "0"}
    assert from_records(made, {"runs": []}).notes == ()


def test_a_search_of_an_earlier_model_is_left_out(tmp_path: Path) -> None:
    store = write_store(tmp_path / "plan", records(replace(SMALL, seeds=1)))
    for name, identity in (("one", "a" * 10), ("two", "b" * 10)):
        answer = searches.Answer("x", "m", "sgd", "float32", "single", 1, 1, 0, 0, 8, 1, 0.1, 0.1, fingerprint=identity)
        searches.write(store.folder / searches.FOLDER / name, answer)
    assert len(read(store).searches) == 2  # not known which is the plan's
    write_json(store.folder / "workloads.json", {"key": {"identity": "b" * 10}})
    found = read(store)
    assert [answer.fingerprint for answer in found.searches] == ["b" * 10]
    assert found.notes == ("1 largest-batch search in the folder belongs to an earlier form of this plan, its model or "
                           "its data: kept, and left out here.",)
