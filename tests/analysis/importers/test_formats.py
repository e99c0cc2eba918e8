"""Importers of timings and curves: the true format in, its numbers out; what a format lacks stays empty."""

from __future__ import annotations

import math
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.foreign_files import bring, dawn_entry, horovod_text, reported, saved, timings
from scipy import stats

from batchscale.analysis.comparison.compare import compare as compare_sides
from batchscale.analysis.comparison.sides import read_side
from batchscale.analysis.importers import imported_store
from batchscale.analysis.study.timing.scaling import scalings
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_RUNS_FAILED, RecordError
from batchscale.launchers import cli


# Horovod's text


def test_horovod_iterations_are_raw_and_one_text_is_one_launch(tmp_path: Path) -> None:
    rates = [100.0, 110.0, 120.0, 90.0, 80.0]
    results = bring(saved(tmp_path, horovod_text(4, rates)), "horovod")
    row = results.runs.iloc[0]
    assert (row["replicas"], row["replica_batch"], row["global_batch"], row["launch"]) == (4, 32, 128, 0)
    assert results.windows["seconds"].tolist() == pytest.approx([32 / rate for rate in rates])
    # the median step is 32 / 100 s on 4 replicas at once
    assert row["examples_per_second"] == pytest.approx(400) and row["step_seconds"] == pytest.approx(0.32)
    assert row["optimizer"] == row["dataset"] == "" and math.isnan(row["cores_per_replica"])
    assert math.isnan(row["seed"]) and math.isnan(row["train_examples"])


def test_the_plus_minus_of_the_text_becomes_no_interval(tmp_path: Path) -> None:
    bring(saved(tmp_path, horovod_text(4, [100.0, 110.0, 90.0])), "horovod")
    page, decision = reported(tmp_path / "results")
    assert "400 (no interval, n = 1 launch) examples per second on 4 replicas" in page
    assert "1.96 standard deviations" in page and decision["recommendations"] == []


def test_horovod_launches_scale_weakly_with_intervals_over_launches_of_the_ratios(tmp_path: Path) -> None:
    per_replica = {1: (300.0, 303.0, 297.0), 2: (285.0, 280.0, 290.0), 4: (240.0, 250.0, 245.0)}
    for size, rates in per_replica.items():
        for launch, rate in enumerate(rates):
            saved(tmp_path / "runs", horovod_text(size, [rate] * 3), f"{size}-{launch}.txt")
    results = bring(tmp_path / "runs", "horovod")
    (found,) = scalings(results)
    assert found.kind == "weak" and found.fixed_batch == 32 and [p.replicas for p in found.points] == [1, 2, 4]
    for point in found.points[1:]:
        ratios = np.divide(per_replica[point.replicas], per_replica[1])
        assert point.efficiency.value == pytest.approx(float(np.exp(np.mean(np.log(ratios)))), rel=1e-9)
        assert point.efficiency.n == 3
    page, _ = reported(tmp_path / "results")
    assert "Scaling over replicas" in page and "weak scaling to 4 replicas" in page and "nan core" not in page


def test_the_keras_script_warms_up_in_its_first_iteration(tmp_path: Path) -> None:
    results = bring(saved(tmp_path, horovod_text(2, [10.0, 100.0, 100.0], warmup=False)), "horovod")
    assert results.windows["steady"].tolist() == [False, True, True]
    assert results.runs["examples_per_second"].tolist() == pytest.approx([200])


def test_one_text_may_hold_several_launches(tmp_path: Path) -> None:
    text = horovod_text(1, [50.0, 50.0]) + "other text\n" + horovod_text(1, [60.0, 60.0], prefix="")
    results = bring(saved(tmp_path, text), "horovod")
    assert results.runs["launch"].tolist() == [0, 1]
    assert results.runs["examples_per_second"].tolist() == pytest.approx([50, 60])


@pytest.mark.parametrize("text", [
    horovod_text(2, [100.0, 120.0], prefix="[1,0]<stdout>:").replace(
        "[1,0]<stdout>:Iter", "[1,1]<stdout>:Iter #0: 99.0 img/sec per GPU\n[1,0]<stdout>:Iter"),
    "".join(f"\x1b[32m{line}\x1b[0m\n" for line in horovod_text(2, [100.0, 120.0], prefix="").splitlines()),
    "Architecture:        x86_64\nModel:               85\n" + horovod_text(2, [100.0, 120.0]),
    'Model: "resnet50"\n Layer (type)\n' + horovod_text(2, [100.0, 120.0]),
    horovod_text(2, [100.0, 120.0]) + "Model:               85\nModel name: a processor\n",
])
def test_a_launch_is_found_among_other_ranks_colours_and_programs(tmp_path: Path, text: str) -> None:
    row, = bring(saved(tmp_path, text), "horovod").runs.itertuples()
    assert (row.model, row.replicas, row.global_batch) == ("ResNet50", 2, 64)
    assert row.examples_per_second == pytest.approx(64 / (32 * (1 / 100 + 1 / 120) / 2))


@pytest.mark.parametrize(("text", "said"), [
    ("nothing", "no line such as"),
    ("Model: ResNet50\nBatch size: 32\n", "has no Number of GPUs and no Iter #0"),
    (horovod_text(2, [5.0, 5.0]).replace("Iter #1: 5.0", "Iter #1: 9.0"), "lines are missing or changed"),
    (horovod_text(2, [5.0, 5.0]).replace("Iter #1", "Iter #0"), "is there twice"),
    (horovod_text(2, [5.0, 5.0]).replace("Iter #1: 5.0", "Iter #1: 0.0"), "no images per second"),
    (horovod_text(2, [5.0, 5.0]).replace("Batch size: 32", "Batch size: 0"), "whole number"),
])
def test_a_text_that_contradicts_itself_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        bring(saved(tmp_path, text), "horovod")


# DAWNBench


def test_an_entry_reaches_its_task_target_at_the_first_row_that_does(tmp_path: Path) -> None:
    rows = [(1, 0.01, 50.0), (2, 0.02, 94.0), (3, 0.03, 93.0), (4, 0.04, 95.5)]
    dawn_entry(tmp_path / "CIFAR10" / "train", "team_resnet", rows)
    results = bring(tmp_path / "CIFAR10", "dawnbench")
    row = results.runs.iloc[0]
    assert row["seconds_to_target"] == pytest.approx(72) and row["epochs_to_target"] == 2
    assert row["price_per_hour"] == 24.48 and row["test_accuracy"] == pytest.approx(0.955)
    assert math.isnan(row["global_batch"]) and math.isnan(row["seed"])
    assert results.evaluations["test_accuracy"].tolist() == pytest.approx([0.5, 0.94, 0.93, 0.955])
    assert results.evaluations["elapsed_seconds"].tolist() == pytest.approx([36, 72, 108, 144])
    page, decision = reported(tmp_path / "results")
    assert f"for {24.48 * 0.02:.2f} at its price per hour" in page
    assert decision["recommendations"] == [] and page.count("<figure>") == 2


def test_imagenet_is_judged_by_top_five_and_an_entry_may_never_get_there(tmp_path: Path) -> None:
    folder = tmp_path / "ImageNet" / "train"
    dawn_entry(folder, "fast", [(1, 0.5, 70.0, 90.0), (2, 1.0, 75.0, 93.1)])
    dawn_entry(folder, "slow", [(1, 0.5, 70.0, 90.0)], costPerHour=None)
    runs = bring(tmp_path / "ImageNet", "dawnbench").runs.set_index("run_id")
    assert runs.loc["fast", "seconds_to_target"] == 3600 and math.isnan(runs.loc["slow", "seconds_to_target"])
    assert "never reached top5Accuracy >= 93" in runs.loc["slow", "flags"]
    assert math.isnan(runs.loc["slow", "price_per_hour"])


def test_windows_line_ends_a_mark_at_the_start_other_orders_and_blanks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "CIFAR10" / "x.tsv"
    path.parent.mkdir()
    path.write_bytes("\ufeffhours\tepoch\ttop1Accuracy \r\n0.5\t1\t 94.5\r\n\r\n".encode())
    row = bring(path, "dawnbench").runs.iloc[0]
    assert (row["seconds_to_target"], row["epochs_to_target"], row["model"]) == (1800, 1, "")


def test_fractions_are_not_taken_for_per_cent(tmp_path: Path) -> None:
    entry = dawn_entry(tmp_path / "ImageNet" / "train", "x", [(1, 0.5, 0.61, 0.83), (3, 1.5, 0.7586, 0.9306)])
    with pytest.raises(RecordError, match="row 2: top1Accuracy=0.7586 .* fractions.* per cent: write 75.86"):
        bring(entry, "dawnbench")


def test_a_target_on_the_command_line_replaces_the_task_one(tmp_path: Path) -> None:
    path = dawn_entry(tmp_path / "anywhere", "x", [(1, 1.0, 60.0), (2, 2.0, 80.0)])
    assert bring(path, "dawnbench", target="top1Accuracy>=80").runs["seconds_to_target"].tolist() == [7200]
    with pytest.raises(RecordError, match="no column 'top5Accuracy'"):
        bring(path, "dawnbench", target="top5Accuracy>=80")


@pytest.mark.parametrize(("text", "said"), [
    ("epoch\thours\tf1Score\n1\t1\t0.5\n", "no accuracy"), ("a\tb\n1\t2\n", "expected the columns"),
    ("", "expected the columns"), ("epoch\thours\ttop1Accuracy\n", "has 0 rows"),
    ("epoch\thours\ttop1Accuracy\n1\t1\t101\n", "from 0 to 100"), ("epoch\thours\ttop1Accuracy\n1\t-1\t50\n", "row 1"),
    ("epoch\thours\ttop1Accuracy\n1\t1\n", "top1Accuracy=''"), ("epoch\thours\ttop1Accuracy\n1\tnan\t50\n", "hours="),
    ("epoch\tepoch\thours\ttop1Accuracy\n1\t1\t1\t50\n", "once each")])
def test_a_table_that_is_no_entry_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        bring(saved(tmp_path, text, "x.tsv"), "dawnbench")


# pytest-benchmark


def test_rounds_are_windows_and_the_report_tells_their_medians(tmp_path: Path) -> None:
    results = bring(saved(tmp_path, timings({"test_a": [0.002, 0.004, 0.003], "test_b": [1.0]}), "t.json"),
                    "pytest-benchmark")
    assert results.runs["step_seconds"].tolist() == [0.003, 1.0] and len(results.windows) == 4
    assert results.runs["window_spread"].tolist()[0] == pytest.approx(0.001 / 0.003)
    page, decision = reported(tmp_path / "results")
    assert "3.00 ms" in page and "2 benchmarks timed; the slowest" in page and decision["options"] == []


def test_a_stored_median_stands_for_the_rounds(tmp_path: Path) -> None:
    text = json.loads(timings({"test_a": [0.01, 0.011, 0.129]}, keep=False))
    text["benchmarks"][0]["stats"]["median"] = 0.011
    store = imported_store.write(saved(tmp_path, json.dumps(text), "t.json"), tmp_path / "results", "pytest-benchmark")
    assert read(store).runs["step_seconds"].tolist() == [0.011] and imported_store.notes(store.manifest) == ()


def test_a_file_that_keeps_the_summary_alone_says_so(tmp_path: Path) -> None:
    summary = saved(tmp_path, timings({"test_a": [0.002, 0.004]}, keep=False), "t.json")
    store = imported_store.write(summary, tmp_path / "results", "pytest-benchmark")
    results = read(store)
    assert results.windows.empty and results.runs["step_seconds"].tolist() == [0.003]
    assert "their mean stands for it" in imported_store.notes(store.manifest)[0]


def test_an_imported_file_compares_like_the_file_itself(tmp_path: Path) -> None:
    files = {name: saved(tmp_path, timings({"test_a": [factor * s for s in (0.002, 0.0021, 0.0022, 0.0019)]}), name)
             for name, factor in (("base.json", 1.0), ("new.json", 2.0))}
    folders = {name: imported_store.write(path, tmp_path / "results", "pytest-benchmark").folder
               for name, path in files.items()}
    plain, brought = (compare_sides(read_side(of["base.json"]), read_side(of["new.json"]), 0.05, ())
                      for of in (files, folders))
    assert [(c.metric, c.answer, c.estimate.value) for c in brought.changes] == [
        (c.metric, c.answer, c.estimate.value) for c in plain.changes] != []
    assert brought.changes[0].answer == "regression" and brought.changes[0].estimate.value == pytest.approx(1.0)
    mixed = compare_sides(read_side(files["base.json"]), read_side(folders["base.json"]), 0.05, ())
    assert mixed.changes[0].answer == "no change" or mixed.changes[0].estimate.value == 0


def test_imported_launches_can_be_compared_and_points_to_a_target_cannot(tmp_path: Path) -> None:
    for name, rate in (("base", 100.0), ("new", 50.0)):
        for launch, noise in enumerate((0.99, 1.0, 1.01)):
            saved(tmp_path / name, horovod_text(2, [rate * noise] * 2), f"{launch}.txt")
        imported_store.write(tmp_path / name, tmp_path / "results", "horovod")
    words = ["compare", *(str(tmp_path / "results" / name) for name in ("base", "new"))]
    assert cli.main(words) == EXIT_RUNS_FAILED
    path = saved(tmp_path, "global_batch,steps_to_target\n8,5\n", "t.csv")
    imported_store.write(path, tmp_path / "results", "csv")
    with pytest.raises(RecordError, match="to compare"):
        read_side(tmp_path / "results" / "t")


# Options


@pytest.mark.parametrize(("form", "more", "said"), [
    ("horovod", {"target": "a<1"}, "--target belongs to"), ("horovod", {"train_examples": 5}, "--train-examples"),
    ("mllog", {"target": "nonsense"}, "is no target"), ("mllog", {"target": "a<b"}, "is no target"),
    ("mllog", {"train_examples": 0}, "must be 1 or more"), ("neptune", {}, "Did you mean|choose one of")])
def test_an_option_that_a_format_does_not_take_is_refused(tmp_path: Path, form: str, more: Any, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        bring(saved(tmp_path, "x"), form, **more)
    assert not (tmp_path / "results").exists()


def test_t_interval_of_three_launches_is_the_formula(tmp_path: Path) -> None:
    for launch, rate in enumerate((100.0, 104.0, 108.0)):
        saved(tmp_path / "runs", horovod_text(1, [rate, rate]), f"{launch}.txt")
    bring(tmp_path / "runs", "horovod")
    logs = np.log([100.0, 104.0, 108.0])
    half = float(stats.t.ppf(0.975, 2)) * float(logs.std(ddof=1)) / math.sqrt(3)
    low, middle, high = (math.exp(float(logs.mean()) + sign * half) for sign in (-1, 0, 1))
    page, _ = reported(tmp_path / "results")
    assert f"{middle:.0f} ({low:.0f} to {high:.0f}, n = 3 launches) examples per second" in page
