"""Trainings of other tools: the true format in, its numbers out, and what it lacks named with the line that adds it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from support.foreign_files import bring, saved
from support.training_files import (dllogger_lines, HISTORY, HPARAMS, KERAS_2, KERAS_3, keras_events, LIGHTNING,
                                    mlflow_database, mlflow_run, plain_events, tensorboard_run, trainer_state,
                                    wandb_run)

from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.detection import detect
from batchscale.analysis.importers.trainings import curve
from batchscale.analysis.importers.trainings.names import metric_of
from batchscale.analysis.tables.reading import read
from batchscale.analysis.tables.results import Results
from batchscale.benchmarks.errors import RecordError


def brought(path: Path) -> Results:
    """Import by content, as the command does."""
    return bring(path, detect(path)[0])


def column(results: Results, name: str) -> list[float]:
    return [float(value) for value in results.evaluations[name]]


@pytest.mark.parametrize(("name", "stands_for"), [
    ("acc", "train_accuracy"), ("val_acc", "validation_accuracy"), ("val_sparse_categorical_accuracy",
                                                                    "validation_accuracy"),
    ("Loss/train", "train_loss"), ("loss/val", "validation_loss"), ("eval_loss", "validation_loss"),
    ("train_loss_epoch", "train_loss"), ("avg_test_acc", "test_accuracy"), ("val.top1", "validation_accuracy"),
    ("validation/accuracy", "validation_accuracy"), ("regularization_loss", ""), ("eval_f1", ""), ("lr", ""),
    ("train_val_loss", "")])
def test_names_of_metrics(name: str, stands_for: str) -> None:
    assert metric_of(name) == stands_for


def test_keras_2_and_3_write_the_same_by_other_names(tmp_path: Path) -> None:
    old, new = brought(saved(tmp_path / "a", KERAS_2, "training.log")), brought(saved(tmp_path / "b", KERAS_3, "x.csv"))
    assert column(old, "epoch") == [1, 2, 3] and column(old, "validation_accuracy") == [0.83, 0.87, 0.86]
    row = new.runs.iloc[0]
    assert (row["validation_accuracy"], row["validation_loss"], row["base_learning_rate"]) == (0.93, 0.25, 0.001)
    assert row["kind"] == "training" and math.isnan(row["global_batch"])


def test_a_log_that_was_appended_to_is_two_trainings(tmp_path: Path) -> None:
    path = saved(tmp_path, KERAS_2 + KERAS_2.partition("\n")[2], "training.log")
    store = imported_store.write(path, tmp_path / "results", "keras-log")
    assert len(read(store).runs) == 2
    assert any("epochs begin again, so it is read as 2 trainings" in note
               for note in imported_store.notes(store.manifest))


def test_a_log_that_begins_again_without_end_is_refused_at_once(tmp_path: Path) -> None:
    begun = saved(tmp_path, "epoch,loss\n" + "0,1.0\n" * 20_000, "training.log")
    with pytest.raises(RecordError, match="begin again more than 1,000 times.*give what keras.callbacks.CSVLogger"):
        bring(begun, "keras-log")


def test_a_loss_that_ends_as_no_number_has_diverged(tmp_path: Path) -> None:
    found = brought(saved(tmp_path, "epoch,loss\n0,1.0\n1,nan\n", "training.log"))
    assert found.runs.iloc[0]["status"] == "diverged" and found.runs.iloc[0]["train_loss"] == 1.0


@pytest.mark.parametrize("wrapped", [HISTORY, {"history": HISTORY, "epoch": [0, 1]},
                                     {name: {str(at): value for at, value in enumerate(values)}
                                      for name, values in HISTORY.items()}])
def test_a_history_as_json(wrapped: object, tmp_path: Path) -> None:
    found = brought(saved(tmp_path, json.dumps(wrapped), "history.json"))
    assert column(found, "validation_loss") == [1.6, 0.9] and column(found, "epoch") == [1, 2]


def test_a_history_of_unequal_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="lists of 1 and 2 values"):
        bring(saved(tmp_path, '{"loss": [1.0, 0.5], "val_loss": [1.0]}', "history.json"), "keras-history")


def test_a_trainer_state_gives_curve_time_and_the_batch_of_all_devices(tmp_path: Path) -> None:
    found = brought(saved(tmp_path, trainer_state(), "trainer_state.json"))
    row = found.runs.iloc[0]
    assert row["global_batch"] == 64  # 20 examples and 0.3125 steps a second, in batches of 8
    assert (row["total_seconds"], row["last_step"], row["base_learning_rate"]) == (320, 100, 5e-5)
    assert column(found, "train_loss") == [1.25, 0.75] and column(found, "validation_accuracy") == [0.6, 0.7]
    assert column(found, "step") == [50, 100] and column(found, "examples") == [3200, 6400]


def test_speeds_that_no_number_can_hold_give_no_batch(tmp_path: Path) -> None:
    text = trainer_state().replace('"train_steps_per_second": 0.3125', '"train_steps_per_second": 1e-320')
    assert math.isnan(brought(saved(tmp_path, text, "trainer_state.json")).runs.iloc[0]["global_batch"])


def test_of_checkpoints_the_last_one_is_the_training(tmp_path: Path) -> None:
    short = json.dumps({**json.loads(trainer_state()), "log_history": json.loads(trainer_state())["log_history"][:1]})
    for name in ("checkpoint-50", "checkpoint-100"):
        saved(tmp_path / "out" / "one" / name, short if name.endswith("-50") else trainer_state(), "trainer_state.json")
    saved(tmp_path / "out" / "two", trainer_state(), "trainer_state.json")
    found = brought(tmp_path / "out")
    assert found.runs["run_id"].tolist() == ["one", "two"] and found.runs["last_step"].tolist() == [100, 100]


def test_lightnings_sparse_rows_and_hparams(tmp_path: Path) -> None:
    saved(tmp_path / "version_0", HPARAMS, "hparams.yaml")
    path = saved(tmp_path / "version_0", LIGHTNING, "metrics.csv")
    store = imported_store.write(path, tmp_path / "results", "lightning", maps=["global_batch=hparams.batch_size"])
    row = read(store).runs.iloc[0]
    assert (row["train_loss"], row["validation_accuracy"], row["test_accuracy"]) == (0.5, 0.875, 0.88)
    assert (row["last_step"], row["global_batch"]) == (200, 64)
    rows = read(store).evaluations
    assert rows["epoch"].tolist() == [1, 1, 2, 2] and rows["step"].tolist() == [50, 100, 150, 200]
    assert "somebody" not in (store.folder / imported_store.FILE).read_text()
    assert any("train_loss_step" in note for note in imported_store.notes(store.manifest))


def test_tensorboards_train_and_validation_are_one_run(tmp_path: Path) -> None:
    found = brought(tensorboard_run(tmp_path / "logs"))
    row = found.runs.iloc[0]
    assert len(found.runs) == 1 and (row["train_accuracy"], row["validation_loss"]) == (0.875, 0.375)
    assert column(found, "epoch") == [1, 2] and column(found, "elapsed_seconds") == [0, 10]
    assert column(found, "validation_accuracy") == pytest.approx([0.7, 0.8])


def test_every_folder_of_events_is_a_run_and_simple_values_have_steps(tmp_path: Path) -> None:
    for name, loss in (("batch32", 0.5), ("batch64", 0.25)):
        place = tmp_path / "runs" / name
        place.mkdir(parents=True)
        (place / "events.out.tfevents.1.box").write_bytes(
            plain_events({10: {"Loss/test": 1.0}, 20: {"Loss/test": loss}}))
    store = imported_store.write(tmp_path / "runs", tmp_path / "results", "tensorboard",
                                 maps=[r"batch(?P<global_batch>\d+)"])
    runs = read(store).runs
    assert runs["global_batch"].tolist() == [32, 64] and runs["test_loss"].tolist() == [0.5, 0.25]
    assert runs["last_step"].tolist() == [20, 20]


@pytest.mark.parametrize("spoil", [lambda data: data[:-5], lambda data: data[:-20] + b"\0" + data[-19:]])
def test_what_stands_before_the_damage_of_an_event_file_is_read(spoil: Callable[[bytes], bytes],
                                                                tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "events.out.tfevents.1.box"
    path.write_bytes(spoil(keras_events([{"loss": 1.0}, {"loss": 0.5}])))
    store = imported_store.write(path, tmp_path / "results", "tensorboard")
    assert read(store).runs["train_loss"].tolist() == [1.0]
    assert any("what stands before was read" in note for note in imported_store.notes(store.manifest))


def test_mlflows_folders_and_database(tmp_path: Path) -> None:
    mlflow_run(tmp_path, "one", 32, [1.0, 0.5])
    mlflow_run(tmp_path, "two", 64, [1.0, 0.75], status=4)
    mlflow_run(tmp_path, "gone", 64, [1.0], lifecycle_stage="deleted")
    store = imported_store.write(tmp_path / "mlruns", tmp_path / "results", "mlflow",
                                 maps=["global_batch=params.batch_size"])
    runs = read(store).runs.set_index("run_id")
    assert runs["global_batch"].to_dict() == {"one": 32, "two": 64}
    assert runs["validation_loss"].tolist() == [0.5, 0.75] and runs["base_learning_rate"].tolist() == [0.1, 0.1]
    assert runs["status"].tolist() == ["completed", "failed"] and runs["total_seconds"].tolist() == [60, 60]
    assert "somebody" not in (store.folder / imported_store.FILE).read_text()
    row = brought(mlflow_database(tmp_path / "mlflow.db")).runs.iloc[0]
    assert (row["validation_loss"], row["last_step"], row["total_seconds"]) == (0.5, 20, 60)


def test_weights_and_biases_files_without_a_word_of_host_or_user(tmp_path: Path) -> None:
    wandb_run(tmp_path)
    store = imported_store.write(tmp_path / "wandb", tmp_path / "results", "wandb",
                                 maps=["global_batch=config.batch_size"])
    found = read(store)
    assert column(found, "train_loss") == [1.25, 0.75] and column(found, "validation_loss") == [1.5, 1.0]
    assert found.runs["global_batch"].tolist() == [128] and found.runs["run_id"].tolist() == ["20240101_000000-abc"]
    text = (store.folder / imported_store.FILE).read_text() + (store.folder / "plan.json").read_text()
    assert "somebody" not in text and "box" not in text and "example.org" not in text


def test_a_summary_alone_gives_the_end(tmp_path: Path) -> None:
    wandb_run(tmp_path, output="no epochs here\n")
    store = imported_store.write(tmp_path / "wandb", tmp_path / "results", "wandb")
    row = read(store).runs.iloc[0]
    assert (row["train_loss"], row["validation_loss"], row["last_step"], row["total_seconds"]) == (0.75, 1.0, 19, 12.5)
    assert any("last values alone" in note for note in imported_store.notes(store.manifest))


def test_dllogger_as_printed_and_as_json(tmp_path: Path) -> None:
    found = brought(saved(tmp_path, dllogger_lines(), "a.log"))
    assert column(found, "validation_loss") == [5.5, 3.5] and column(found, "validation_accuracy") == [0.125, 0.25]
    assert found.runs["examples_per_second"].tolist() == [410]  # the middle one of those after the first
    rates = "".join(line for line in dllogger_lines().splitlines(keepends=True) if "Iteration" in line)
    rates = rates.replace("train.loss", "grad_norm")
    with pytest.raises(RecordError, match="--set global_batch=256 --set replicas=8"):
        bring(saved(tmp_path, rates, "b.log"), "dllogger")
    timed = bring(saved(tmp_path, rates, "c.log"), "dllogger", settings=["global_batch=256", "replicas=8"])
    assert timed.runs["kind"].tolist() == ["throughput"] and timed.runs["step_seconds"].tolist() == [256 / 410]


def test_more_values_than_memory_should_hold_are_refused_in_one_sentence(tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "MOST_VALUES", 20)
    long = KERAS_3 + "".join(f"{epoch},0.9,0.001,0.3,0.91,0.28\n" for epoch in range(3, 9))
    with pytest.raises(RecordError, match="more than 20 values; import fewer of its columns"):
        brought(saved(tmp_path, long, "training.log"))
