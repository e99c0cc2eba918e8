"""What files lack: --set, --map by name and by path; trainings that become comparable; what is personal stays out."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.foreign_files import bring, reported, saved
from support.training_files import KERAS_3, mlflow_run

from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.personal import is_personal
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import RecordError

RULE = ["rule=constant"]
PATH = [r"batch(?P<global_batch>\d+)/seed(?P<seed>\d+)"]


def logs(folder: Path, batches: tuple[int, ...] = (32, 64, 128), seeds: int = 3, names: str = "val_loss") -> Path:
    """CSVLogger's tables of a sweep, without a word of batch and seed but in their paths."""
    for batch in batches:
        for seed in range(seeds):
            rows = [f"{epoch},{1 / (epoch + 1) + batch / 1000 + seed / 500}" for epoch in range(4)]
            saved(folder / f"batch{batch}" / f"seed{seed}", "\n".join([f"epoch,{names}", *rows]) + "\n", "training.log")
    return folder


def test_a_sweep_of_losses_is_judged_by_the_loss(tmp_path: Path) -> None:
    store = imported_store.write(logs(tmp_path / "logs"), tmp_path / "results", "keras-log", 6400, settings=RULE,
                                 maps=PATH)
    runs = read(store).runs
    assert set(runs["kind"]) == {"accuracy"} and set(runs["reference_batch"]) == {32} and set(runs["epochs"]) == {4}
    assert runs["seed"].tolist() == [0, 1, 2] * 3 and runs["test_loss"].notna().all()
    assert read(store).evaluations["step"].tolist()[:4] == [200, 400, 600, 800]
    page, decision = reported(tmp_path / "results")
    assert any("loss" in sentence for sentence in decision["sentences"])
    assert "Validation examples stand for test" in page
    assert decision["recommendations"]


def test_what_is_missing_is_named_with_the_line_that_adds_it(tmp_path: Path) -> None:
    plain = imported_store.write(logs(tmp_path / "logs"), tmp_path / "a", "keras-log")
    assert any(r"--set global_batch=64, or from the paths with --map 'batch(?P<global_batch>\d+)'" in note
               for note in imported_store.notes(plain.manifest))
    batch = imported_store.write(tmp_path / "logs", tmp_path / "b", "keras-log", maps=PATH)
    assert any("add --set rule=constant" in note and "--train-examples N" in note
               for note in imported_store.notes(batch.manifest))
    mlflow_run(tmp_path, "one", 32, [1.0, 0.5])
    tracked = imported_store.write(tmp_path / "mlruns", tmp_path / "c", "mlflow")
    assert any("--map global_batch=params.batch_size" in note for note in imported_store.notes(tracked.manifest))


def test_the_same_words_import_it_again(tmp_path: Path) -> None:
    store = imported_store.write(logs(tmp_path / "logs"), tmp_path / "results", "keras-log", 6400, settings=RULE,
                                 maps=PATH)
    assert store.manifest.imported is not None
    assert store.manifest.imported.options == ("--train-examples", "6400", "--set", RULE[0], "--map", PATH[0])


@pytest.mark.parametrize(("settings", "maps", "said"), [
    (["global_batch"], [], "must be COLUMN=VALUE, such as --set global_batch=64"),
    (["globl_batch=64"], [], "Did you mean 'global_batch'"), (["global_batch=x"], [], "must be a whole number"),
    (["global_batch=1", "global_batch=2"], [], "given twice"), (["run_id=x"], [], "column='run_id' is not known"),
    ([], [r"batch(?P<global_batch>\d+"], "no regular expression"), ([], [r"(?P<batch>\d+)"], "column='batch'"),
    ([], [r"bs(?P<global_batch>\d+)"], "fits no path"), ([], ["global_batch=params.batch"], "no names of their own")])
def test_additions_that_cannot_be_are_refused(settings: list[str], maps: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=said):
        bring(logs(tmp_path / "logs"), "keras-log", settings=settings, maps=maps)


def test_a_number_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, KERAS_3, "training.log")
    with pytest.raises(RecordError, match="base_learning_rate=0.5 contradicts the file, which says 0.001"):
        bring(path, "keras-log", settings=["base_learning_rate=0.5"])


def test_a_metric_of_another_name_fills_a_column_as_a_curve(tmp_path: Path) -> None:
    found = bring(logs(tmp_path / "logs", (32,), 1, "perplexity"), "keras-log", maps=["validation_loss=perplexity"])
    assert found.evaluations["validation_loss"].notna().sum() == 4


@pytest.mark.parametrize(("name", "value", "personal"), [
    ("user", "x", True), ("params.user_name", "x", True), ("hostname", "x", True), ("note", "ask me@example.org", True),
    ("data", "/home/somebody/data", True), ("data", "/Users/somebody", True), ("data", r"C:\Users\x", True),
    ("data", "/data/imagenet", False), ("model", "resnet50", False), ("lr", 0.1, False)])
def test_names_of_people_and_machines(name: str, value: object, personal: bool) -> None:
    assert is_personal(name, value) is personal
