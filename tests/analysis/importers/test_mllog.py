"""MLPerf logs: what a run took is what its last evaluation before a successful end says."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from support.foreign_files import bring, event, law, mllog_text, of_round_0_5, of_round_0_6, reported, saved

from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.mlperf.units import unit_of_log
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.errors import RecordError

EPOCHS = {64: (10, 11, 12, 11, 30), 256: (20, 21, 22, 21, 21), 1024: (50, 51, 52, 51, 51)}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("logs") / "logs"
    for batch, each in EPOCHS.items():
        for index, epochs in enumerate(each):
            status = "aborted" if epochs == 30 else "success"
            saved(folder / str(batch), mllog_text(batch, [epochs - 2, epochs], status, seed=index),
                  f"result_{index}.txt")
    return bring(folder, "mllog")


def test_logs_give_epochs_steps_seconds_and_hyperparameters(logs: Results) -> None:
    row = logs.runs[logs.runs["global_batch"] == 256].iloc[0]
    assert row["epochs_to_target"] == 20 and row["steps_to_target"] == pytest.approx(20 * 1_281_167 / 256)
    assert row["seconds_to_target"] == row["total_seconds"] == 120  # two evaluations, a minute apart
    assert (row["optimizer"], row["base_learning_rate"], row["momentum"], row["seed"]) == ("sgd", 10.5, 0.9, 0)
    curve = logs.evaluations[logs.evaluations["run_id"] == row["run_id"]]
    assert curve["epoch"].tolist() == [18, 20] and curve["elapsed_seconds"].tolist() == [60, 120]
    assert curve["validation_accuracy"].tolist() == pytest.approx([0.71, 0.72])
    assert curve["train_loss"].isna().all() and curve["test_accuracy"].isna().all() and curve["step"].isna().all()


def test_the_law_of_logs_is_fitted_to_olympic_means(logs: Results) -> None:
    found = law(logs)
    # the aborted run of batch 64 is its worst: 10, 11, 11, 12 and it leave 11, 11, 12
    means = {64: (11 + 11 + 12) / 3, 256: 21.0, 1024: 51.0}
    assert {p.global_batch: p.amount.value for p in found.points} == pytest.approx(means)
    assert [p.never for p in found.points] == [1, 0, 0] and any("never passed" in text for text in found.warnings)
    # least squares on log epochs = log E_min + log(1 + B / B_crit), by another optimizer's search over B_crit
    batches, logged = np.array(list(means)), np.log(list(means.values()))
    grid = np.geomspace(10, 10_000, 200_001)
    shape = np.log1p(batches[:, None] / grid)
    errors = ((logged[:, None] - shape) - (logged[:, None] - shape).mean(axis=0))
    assert found.critical_batch.value == pytest.approx(grid[np.argmin((errors ** 2).sum(axis=0))], rel=1e-3)


def test_two_runs_that_never_pass_leave_a_point_without_a_value(tmp_path: Path) -> None:
    for batch in (32, 64):
        for index in range(4):
            status = "aborted" if batch == 64 and index < 2 else "success"
            saved(tmp_path / "logs", mllog_text(batch, [4, 5 + index], status), f"{batch}-{index}.txt")
    found = law(bring(tmp_path / "logs", "mllog"))
    assert math.isnan(found.points[1].amount.value) and found.points[1].never == 2
    assert found.law.censored == (64,)
    page, _ = reported(tmp_path / "results")
    assert "2 of 4 runs never passed the target, so it has no value" in page


def test_samples_are_examples_and_a_loss_is_no_accuracy(tmp_path: Path) -> None:
    text = mllog_text(8, [1536, 3072], benchmark="llama2_70b_lora", counted="samples_count", accuracy=0.92,
                      settings={"train_samples": 3901})
    results = bring(saved(tmp_path, text), "mllog")
    row = results.runs.iloc[0]
    assert row["examples_to_target"] == 3072 and row["steps_to_target"] == 384
    assert row["epochs_to_target"] == pytest.approx(3072 / 3901)
    assert results.evaluations["validation_accuracy"].isna().all()


def test_other_hyperparameters_at_the_same_batch_are_another_point(tmp_path: Path) -> None:
    for index, rate in enumerate((10.5, 10.5, 7.4)):
        text = mllog_text(64, [5], settings={"opt_base_learning_rate": rate})
        saved(tmp_path / "logs", text, f"result_{index}.txt")
    runs = bring(tmp_path / "logs", "mllog").runs
    assert runs["reference_point"].tolist() == ["resnet, batch 64, 1xbox"] * 2 + ["resnet, batch 64, 1xbox, setting 2"]


def test_ranks_that_repeat_lines_and_damaged_lines_change_nothing(tmp_path: Path) -> None:
    good = mllog_text(64, [4, 5])
    doubled = "\n".join(f"{rank}: {line}" for line in good.splitlines() for rank in (0, 1))
    store = imported_store.write(saved(tmp_path, doubled + "\n:::MLLOG {broken\n"), tmp_path / "results", "mllog")
    results = read(store)
    assert len(results.runs) == 1 and results.evaluations["epoch"].tolist() == [4, 5]
    assert imported_store.notes(store.manifest) == ("1 MLPerf lines are no whole JSON and were left out.",)


def test_a_log_without_an_end_never_passed(tmp_path: Path) -> None:
    text = mllog_text(64, [4, 5]).replace(mllog_text(64, [4, 5]).splitlines()[-1], "")
    row = bring(saved(tmp_path, text), "mllog").runs.iloc[0]
    assert row["status"] == "failed" and math.isnan(row["epochs_to_target"]) and "no run_stop" in row["flags"]


@pytest.mark.parametrize(("first_epoch", "success"), [(0, None), (1, True), (None, "true")])
def test_round_0_5_counts_epochs_done_and_passes_by_its_target(first_epoch: int | None, success: object,
                                                               tmp_path: Path) -> None:
    text = of_round_0_5("resnet", [0.5, 0.65, 0.75], first_epoch, success=success)
    found = bring(saved(tmp_path, text), "mllog", settings=["global_batch=16640"])
    row = found.runs.iloc[0]
    assert (row["model"], row["optimizer"], row["momentum"], row["status"]) == ("resnet", "sgd", 0.9, "completed")
    assert row["epochs_to_target"] == 3 and row["seconds_to_target"] == 181
    assert row["steps_to_target"] == pytest.approx(3 * 1_281_167 / 16640)
    assert found.evaluations["validation_accuracy"].tolist() == [0.5, 0.65, 0.75]


def test_round_0_5_without_the_target_or_with_success_false_never_passed(tmp_path: Path) -> None:
    saved(tmp_path / "logs", of_round_0_5("ncf", [0.5, 0.6]), "a.txt")
    saved(tmp_path / "logs", of_round_0_5("ncf", [0.5, 0.8], success=False), "b.txt")
    saved(tmp_path / "logs", of_round_0_5("ncf", [0.5, 0.8]), "c.txt")
    runs = bring(tmp_path / "logs", "mllog", settings=["global_batch=1048576"]).runs
    assert runs["epochs_to_target"].tolist() == pytest.approx([math.nan, math.nan, 2], nan_ok=True)


@pytest.mark.parametrize(("text", "said"), [
    (of_round_0_5("resnet", [0.8]), "input_batch_size=26, which is of one device in some logs of round 0.5"),
    (of_round_0_5("resnet", [0.8], first_epoch=-5), "neither epoch_num"),
    ("epoch 3\n", "no :::MLLOG line"),
    (mllog_text(64, [5], settings={"global_batch_size": None}), "global_batch_size=None must be a whole number"),
    (mllog_text(64, [5], settings={"global_batch_size": "many"}), "global_batch_size=many must be"),
    (mllog_text(64, [5], counted="when"), "neither epoch_num nor samples_count"),
    (mllog_text(64, [5]).replace(event("seed", 7), event("run_start")).replace(
        '"epoch_num": 5', '"epoch_num": -1'), "neither epoch_num"),
])
def test_a_log_that_does_not_say_enough_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        bring(saved(tmp_path, text), "mllog")


def test_numbers_written_as_text_are_numbers(tmp_path: Path) -> None:
    text = mllog_text(64, [4, 5], settings={"global_batch_size": "64"}).replace('"epoch_num": 5', '"epoch_num": "5"')
    row = bring(saved(tmp_path, text), "mllog").runs.iloc[0]
    assert row["global_batch"] == 64 and row["epochs_to_target"] == 5


def test_an_epoch_number_beyond_all_epochs_counts_samples(tmp_path: Path) -> None:
    """As the logs of BERT, whose epoch_num ends at train_samples."""
    text = mllog_text(768, [150_000, 2_400_000], benchmark="bert", settings={"train_samples": 2_400_000})
    saved(tmp_path / "logs", text, "long.txt")
    saved(tmp_path / "logs", text.replace("2400000}", "90000}"), "short.txt")
    rows = bring(tmp_path / "logs", "mllog").runs
    assert rows["examples_to_target"].tolist() == [2_400_000, 90_000]
    assert rows["steps_to_target"].tolist() == [3125, 90_000 / 768] and rows["epochs_to_target"].iloc[0] == 1


def test_an_epoch_number_below_a_batch_of_samples_counts_epochs(tmp_path: Path) -> None:
    """BERT's counts sequences; 2 of them are no training, and would be 0.03 steps."""
    text = mllog_text(64, [1, 2], benchmark="bert", settings={"train_samples": 300_000})
    row = bring(saved(tmp_path, text), "mllog").runs.iloc[0]
    assert row["epochs_to_target"] == 2 and row["steps_to_target"] == 2 * 300_000 / 64
    assert unit_of_log("bert", True, 2.0, 64)[1].startswith("bert: its epoch_num goes to 2, which is less than one ba")
    assert unit_of_log("bert", True, 64.0, 64)[1] == "" == unit_of_log("gpt3", True, 2048.0, 1)[1]


def test_names_behind_the_end_of_a_run_are_its_names(tmp_path: Path) -> None:
    for benchmark, size in (("ssd", 118_287), ("bert", 300_000)):
        lines = mllog_text(128, [10, 20], benchmark=benchmark, settings={"train_samples": size}).splitlines()
        names = [line for line in lines if "submission_" in line]
        text = "\n".join([*(line for line in lines if line not in names), *names])
        saved(tmp_path / "logs", text, f"{benchmark}.txt")
    rows = bring(tmp_path / "logs", "mllog").runs.set_index("experiment")
    assert rows["train_examples"].to_dict() == {"ssd": 118_287, "bert": 300_000}


def test_an_attempt_that_never_ended_is_a_run_of_its_own(tmp_path: Path) -> None:
    def after(text: str, hours: int) -> str:
        return re.sub(r'"time_ms": (\d+)', lambda found: f'"time_ms": {int(found[1]) + 3_600_000 * hours}', text)

    whole = mllog_text(256, [4, 8, 12])
    broken = "\n".join(whole.splitlines()[:-2])
    rows = bring(saved(tmp_path / "two", broken + "\n" + after(whole, 1)), "mllog").runs
    assert rows["status"].tolist() == ["failed", "completed"]
    assert rows["seconds_to_target"].iloc[1] == 180 and rows["epochs_to_target"].iloc[1] == 12
    start = next(line for line in whole.splitlines() if "run_start" in line)
    ranks = whole.replace(start, "\n".join([start] * 8))
    assert bring(saved(tmp_path / "ranks", ranks), "mllog").runs["seconds_to_target"].tolist() == [180]


def test_a_log_without_a_batch_is_left_out_and_named(tmp_path: Path) -> None:
    saved(tmp_path / "logs", mllog_text(64, [5]), "good.txt")
    other = mllog_text(64, [5], benchmark="minigo", settings={"global_batch_size": None})
    saved(tmp_path / "logs", other, "minigo.txt")
    store = imported_store.write(tmp_path / "logs", tmp_path / "results", "mllog")
    assert read(store).runs["experiment"].tolist() == ["resnet"]
    assert imported_store.notes(store.manifest) == ("minigo.txt left out: no global_batch_size is said there.",)


def test_a_clock_in_seconds_is_read(tmp_path: Path) -> None:
    text = re.sub(r'"time_ms": (\d+)', lambda found: f'"time_s": {int(found[1]) / 1000}', mllog_text(64, [4, 5]))
    assert bring(saved(tmp_path, text), "mllog").runs["seconds_to_target"].tolist() == pytest.approx([120])


def test_sizes_of_an_epoch_that_contradict_each_other_give_no_steps(tmp_path: Path) -> None:
    for batch, size in ((64, 18_286), (128, 9_143), (256, 4_571)):
        saved(tmp_path / "logs", mllog_text(batch, [2, 4], benchmark="ssd", settings={"train_samples": size}),
              f"{batch}.txt")
    store = imported_store.write(tmp_path / "logs", tmp_path / "results", "mllog")
    assert read(store).runs["steps_to_target"].isna().all()
    note, = imported_store.notes(store.manifest)
    assert "contradict each other about train_samples (4,571, 9,143, 18,286)" in note
    assert "--train-examples 1170304" in note
    told = imported_store.write(tmp_path / "logs", tmp_path / "told", "mllog", train_examples=1_170_304)
    assert read(told).runs["steps_to_target"].tolist() == [73_144, 36_572, 18_286]


def test_a_log_of_round_0_6_gives_what_the_same_run_gives_in_later_rounds(tmp_path: Path) -> None:
    said = {"submission_benchmark": "resnet", "submission_platform": "box", "global_batch_size": 256,
            "train_samples": 1_281_167}
    text = of_round_0_6(said, {60: 4, 120: 8, 180: 12}) + ":::MLL 1600000181.000 run_stop\n"
    path = saved(tmp_path, text)
    store = imported_store.write(path, tmp_path / "results", "mllog")
    found = read(store)
    (row,) = found.runs.to_dict("records")
    assert (row["epochs_to_target"], row["seconds_to_target"], row["experiment"]) == (12, 181, "resnet")
    assert row["steps_to_target"] == pytest.approx(12 * 1_281_167 / 256)
    assert found.evaluations["elapsed_seconds"].tolist() == [60, 120, 180]
    assert imported_store.notes(store.manifest) == ("1 MLPerf lines are no whole JSON and were left out.",)


@pytest.mark.parametrize(("odd", "said"), [
    (mllog_text(64, [5], counted="when").encode(), "neither epoch_num nor samples_count"),
    (mllog_text(64, [5], settings={"global_batch_size": "many"}).encode(), "global_batch_size=many must be"),
    (b"\xff\xfe:\0", "UTF-16")])
def test_one_odd_log_of_a_folder_does_not_refuse_the_rest(tmp_path: Path, odd: bytes, said: str) -> None:
    for index in range(2):
        saved(tmp_path / "logs", mllog_text(256, [4, 8, 12]), f"result_{index}.txt")
    (tmp_path / "logs" / "other.txt").write_bytes(odd)
    store = imported_store.write(tmp_path / "logs", tmp_path / "results", "mllog")
    assert read(store).runs["epochs_to_target"].tolist() == [12, 12]
    (note,) = imported_store.notes(store.manifest)
    assert note.startswith("other.txt left out") and said in note
    with pytest.raises(RecordError, match=re.escape(said)):
        imported_store.write(tmp_path / "logs" / "other.txt", tmp_path / "alone", "mllog")
