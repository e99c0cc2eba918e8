"""What the recorder wrote beside a fit comes back as a training, its throughput and its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.foreign_files import bring, saved
from support.training_files import recording

from batchscale.analysis.importers import imported_store
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import RecordError


def folder(path: Path) -> Path:
    """Two seeds at each of two batches."""
    for batch, seed, last in ((32, 0, 0.6), (32, 1, 0.62), (64, 0, 0.9), (64, 1, 0.91)):
        text = recording(batch, (1.5, last), rule="constant", seed=seed).replace(f'"b{batch}"', f'"b{batch} s{seed}"')
        saved(path / "recordings", text, f"{batch}-{seed}.jsonl")
    return path / "recordings"


def test_one_training_brings_its_curve_its_throughput_and_its_memory(tmp_path: Path) -> None:
    found = bring(saved(tmp_path / "x", recording(), "b32.jsonl"), "recorder")
    runs = found.runs.set_index("kind")
    assert list(runs.index) == ["training", "throughput", "memory"]
    training = runs.loc["training"]
    assert training["train_loss"] == 0.6 and training["validation_accuracy"] == pytest.approx(0.6)
    assert training["generalization_gap"] == pytest.approx(0.1) and training["loss_gap"] == pytest.approx(0.1)
    assert (training["train_seconds"], training["last_step"], training["peak_learning_rate"]) == (1.5, 30, 0.001)
    assert runs.loc["throughput", "step_seconds"] == 0.05 and runs.loc["throughput", "examples_per_second"] == 640
    assert runs.loc["memory", "peak_bytes"] == 1.1e9
    assert list(found.evaluations["train_seconds"]) == [0.5, 1.0, 1.5]
    assert list(found.windows["steady"]) == [False, True, True] and list(found.windows["start_step"]) == [1, 11, 21]


def test_trainings_at_several_batches_under_a_rule_are_judged(tmp_path: Path) -> None:
    found = bring(folder(tmp_path / "x"), "recorder")
    judged = found.runs[found.runs["kind"] == "accuracy"]
    assert sorted(judged["global_batch"]) == [32, 32, 64, 64] and set(judged["seed"]) == {0, 1}
    assert list(found.runs[found.runs["kind"] == "throughput"]["launch"]) == [0, 1, 0, 1]


def test_a_recording_without_an_end_says_so_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    torn = recording(ended=False) + '{"window": {"start_st'
    found = bring(saved(tmp_path / "x", torn, "b32.jsonl"), "recorder")
    assert len(found.evaluations) == 3 and all("no end" in flags for flags in found.runs["flags"])


def test_a_file_of_other_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="does not begin as a recording"):
        bring(saved(tmp_path / "x", '{"a": 1}\n' + recording(), "b32.jsonl"), "recorder")


def test_settings_that_no_column_can_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="replicas='-2' must be"):
        bring(saved(tmp_path / "x", recording(replicas=-2), "b32.jsonl"), "recorder")


def test_a_folder_that_grows_is_read_anew_and_another_import_is_kept(tmp_path: Path) -> None:
    place = folder(tmp_path / "mine")
    store = imported_store.write_anew(place, tmp_path / "mine", "recorder")
    before = len(read(store).runs)
    saved(place, recording(128, rule="constant", seed=0), "more.jsonl")
    assert len(read(imported_store.write_anew(place, tmp_path / "mine", "recorder")).runs) == before + 3
    other = saved(tmp_path, "epoch,loss\n0,1.0\n", "log.csv")
    kept = imported_store.write(other, tmp_path / "results", "keras-log")
    with pytest.raises(RecordError, match="holds other results"):
        imported_store.write_anew(place, kept.folder, "recorder")
