"""Other tools' results in our table and report: MLPerf's reference points, real numbers."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.launching import batchscale
from support.reference_points import FOLDER_NAME, RESNET, point, resnet, saved

from batchscale.analysis.columns import RUN
from batchscale.analysis.importers import imported_store
from batchscale.analysis.report import page as report
from batchscale.analysis.study.convergence import Convergence, convergences
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_OK, RecordError
from batchscale.benchmarks.records.store import open_store
from batchscale.launchers import cli


def brought(folder: Path, content: Any, **more: Any) -> Convergence:
    (found,) = convergences(read(imported_store.write(saved(folder, content), folder / "results", **more)))
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference file, imported and reported by the commands a user types."""
    folder = tmp_path_factory.mktemp("import")
    saved(folder, resnet())
    for words in (("import", "mlperf-rcp", f"{FOLDER_NAME}.json"), ("report", "results")):
        done = batchscale(*words, cwd=folder)
        assert done.returncode == EXIT_OK, done.stderr
    return folder / "results" / FOLDER_NAME


def test_the_published_olympic_means_stand_in_the_report(study: Path) -> None:
    decision = json.loads((study / "report" / "decision.json").read_text())
    (found,) = decision["convergence"]
    means = {each["global_batch"]: each["amount"]["value"] for each in found["points"]}
    assert means == pytest.approx({batch: mean for batch, (_, mean) in RESNET.items()}, abs=5e-4)
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    # To two digits of the interval's half width.
    assert all(any(f"{mean:.{places}f} (" in page for places in (0, 1, 2)) for _, mean in RESNET.values())


def test_the_critical_batch_is_the_published_one(study: Path) -> None:
    decision = json.loads((study / "report" / "decision.json").read_text())
    (found,) = decision["convergence"]
    batch, steps = found["critical_batch"], found["minimum_steps"]
    assert batch["value"] == pytest.approx(46_909, rel=0.01) and batch["n"] == 10
    assert (batch["low"], batch["high"]) == pytest.approx((40_978, 53_699), rel=0.01)
    # S_min from olympic-mean epochs x 1,281,167 / B
    assert [steps[name] for name in ("value", "low", "high")] == pytest.approx([946, 859, 1042], abs=1)
    assert "46,900 (41,000 to 53,700, n = 10) examples, from 10 reference points" in decision["answers"][0]


def test_the_report_draws_epochs_and_steps_and_recommends_nothing(study: Path) -> None:
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 2
    assert {p.name for p in (study / "report" / "figures").glob("*.svg")} == {"c0-epochs.svg", "c0-steps.svg"}
    decision = json.loads((study / "report" / "decision.json").read_text())
    assert decision["recommendations"] == decision["options"] == decision["claims"] == decision["scaling"] == []
    assert not decision["next_plan"]
    for missing in ("throughput", "memory", "accuracy", "price", "learning-rate rule"):
        assert any(missing in question for question in decision["open_questions"])
    assert all(f"Open: {question}." in page for question in decision["open_questions"])


def test_a_deadline_cannot_be_judged_and_the_report_says_so(study: Path, tmp_path: Path) -> None:
    assert cli.main(["report", str(study), "--output", str(tmp_path), "--deadline", "2h"]) == EXIT_OK
    decision = json.loads((tmp_path / "decision.json").read_text())
    assert decision["deadlines"] == []
    assert any("deadline of 2 h 0 min is not known" in answer for answer in decision["answers"])


def test_imported_runs_are_rows_of_the_one_table_and_what_is_absent_is_empty(study: Path) -> None:
    with open(study / "report" / "results.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == RUN
    assert len(rows) == len({row["run_id"] for row in rows}) == sum(sum(c.values()) for c, _ in RESNET.values())
    given = {"run_id", "status", "experiment", "kind", "model", "optimizer", "phase", "global_batch", "train_examples",
             "launch", "base_learning_rate", "epochs_to_target", "examples_to_target", "steps_to_target",
             "reference_point", "environment"}
    for row in rows:
        assert {name for name, value in row.items() if value} == given
    first = next(row for row in rows if row["run_id"] == "resnet_ref_8192-001")
    assert float(first["epochs_to_target"]) == 41.0
    assert float(first["steps_to_target"]) == pytest.approx(41 * 1_281_167 / 8192)


def test_a_second_import_changes_nothing_and_another_file_does_not_replace_it(tmp_path: Path) -> None:
    path = saved(tmp_path, resnet())
    store = imported_store.write(path, tmp_path)
    before = (store.folder / "plan.json").read_bytes()
    assert imported_store.write(path, tmp_path) == store and (store.folder / "plan.json").read_bytes() == before
    saved(tmp_path, {"other": point(32, [1, 2, 3])})
    with pytest.raises(RecordError, match="holds other results"):
        imported_store.write(path, tmp_path)
    assert (store.folder / "plan.json").read_bytes() == before


def test_the_results_of_a_plan_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / FOLDER_NAME).mkdir()
    (tmp_path / FOLDER_NAME / "plan.json").write_text('{"runs": []}')
    with pytest.raises(RecordError, match="--to"):
        imported_store.write(saved(tmp_path, resnet()), tmp_path)


def test_status_of_imported_results_has_nothing_to_run(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", str(study)]) == EXIT_OK
    assert "to go on" not in capsys.readouterr().out


def test_the_critical_batch_needs_no_size_of_an_epoch_but_steps_do(tmp_path: Path) -> None:
    renamed = {name: {**each, "Benchmark": "mine"} for name, each in resnet().items()}
    found = brought(tmp_path, renamed)
    assert found.critical_batch.value == pytest.approx(46_909, rel=0.01)
    assert math.isnan(found.minimum_steps.value) and all(math.isnan(each.steps.value) for each in found.points)
    store = open_store(tmp_path / "results")
    folder = report.write(store, tmp_path / "report")
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "steps are not known" in text and "train-examples N" in text
    assert not (folder / "figures" / "c0-steps.svg").exists()
    known = brought(tmp_path, renamed, train_examples=1_281_167)
    assert known.minimum_steps.value == pytest.approx(946, abs=1)


@pytest.mark.parametrize("size", [0, -1, 10 ** 30])
def test_an_epoch_has_at_least_one_example(tmp_path: Path, size: int) -> None:
    with pytest.raises(RecordError, match="--train-examples"):
        imported_store.write(saved(tmp_path, resnet()), tmp_path / "results", train_examples=size)
    assert not (tmp_path / "results").exists()


def test_samples_give_steps_without_the_size_of_an_epoch(tmp_path: Path) -> None:
    def made(batch: int) -> dict[str, Any]:
        samples = 1000 * (1 + batch / 64)  # S_min 15.625, B_crit 64
        return {"Benchmark": "lora", "BS": batch, "samples to converge": [samples] * 4}
    found = brought(tmp_path, {str(batch): made(batch) for batch in (8, 32, 128, 512)})
    assert found.unit == "samples"
    assert found.critical_batch.value == pytest.approx(64, rel=1e-6)
    assert found.minimum_steps.value == pytest.approx(1000 / 64, rel=1e-6)
    assert found.points[1].steps.value == pytest.approx(1500 / 32)


def test_the_unit_of_a_benchmark_that_is_not_known_is_not_named(tmp_path: Path) -> None:
    words = {str(batch): {**point(batch, [1e6 + batch] * 4), "Benchmark": "words"} for batch in (8, 32, 128)}
    found = brought(tmp_path, words)
    assert found.unit == "units" and not math.isfinite(found.minimum_steps.value)
    (tmp_path / "again").mkdir()
    epochs = brought(tmp_path / "again", words, train_examples=1000)
    assert epochs.unit == "epochs" and math.isfinite(epochs.minimum_steps.value)


@pytest.mark.parametrize(("workload", "unit", "tokens", "steps"), [
    ("llama31_8b", "sequences", 1, 15.625), ("gpt_oss_20b", "sequences", 1, 15.625), ("bert", "sequences", 1, 15.625),
    ("gpt3", "sequences", 2048, 15.625), ("stable_diffusion", "images", 1, 15.625), ("unet3d", "epochs", 1, math.nan),
    ("resnet", "epochs", 1, 15.625 * 1_281_167)])
def test_what_is_counted_is_the_benchmarks_own_whatever_the_file_calls_it(workload: str, unit: str, tokens: int,
                                                                          steps: float, tmp_path: Path) -> None:
    """S_min 1000 / 64 of what is counted, B_crit 64; the size of unet3d's epoch is not in the file."""
    found = brought(tmp_path, {str(batch): {**point(batch, [1000 * tokens * (1 + batch / 64)] * 4),
                                            "Benchmark": workload} for batch in (8, 32, 128, 512)})
    assert found.unit == unit and found.example == (unit if unit != "epochs" else "examples")
    assert found.critical_batch.value == pytest.approx(64, rel=1e-6)
    assert found.minimum_steps.value == pytest.approx(steps, rel=1e-6, nan_ok=True)


def test_sequences_stand_in_every_sentence_and_on_both_axes(tmp_path: Path) -> None:
    means = {16: 161_109, 32: 178_859, 64: 226_645, 96: 278_640, 128: 344_747}  # round 5.1, olympic means
    saved(tmp_path, {str(batch): {**point(batch, [mean] * 4), "Benchmark": "llama31_8b"}
                     for batch, mean in means.items()}, "rcps_llama31_8b.json")
    store = imported_store.write(tmp_path / "rcps_llama31_8b.json", tmp_path / "results")
    (found,) = convergences(read(store))
    # A least-squares line through these means gives 79, of their logarithms 84.
    batches = list(means)
    line = np.polyfit(batches, list(means.values()), 1)
    assert line[1] / line[0] == pytest.approx(79, abs=1) and found.critical_batch.low < 79 < found.critical_batch.high
    assert found.critical_batch.value == pytest.approx(84, abs=1)
    page = (report.write(store, tmp_path / "report") / "report.md").read_text()
    figure = (tmp_path / "report" / "figures" / "c0-epochs.csv").read_text()
    assert "sequences" in page and "global batch, sequences" in figure and "sequences to the target" in figure
    assert "examples" not in figure and "samples" not in figure and "epochs to the target" not in figure


def test_points_with_too_few_or_scattered_runs_are_named(tmp_path: Path) -> None:
    found = brought(tmp_path, {"few": point(8, [3, 4]), "odd": point(16, [1, 1, 40, 40, 41]),
                               "good": point(32, [5, 5, 6])})
    assert any(warning.startswith("few has 2 runs") for warning in found.warnings)
    assert any("odd" in warning and "placeholders" in warning for warning in found.warnings)
    assert found.law.critical_batch.n == 2 and not found.critical_batch.has_interval


@pytest.mark.parametrize(("content", "said"), [
    ({"one": point(8, [3, 4])}, "not enough points"),
    ({"one": point(8, [3, 4, 5])}, "not enough points"),
    ({"a": point(8, [9, 9, 9]), "b": point(8, [9, 9, 9])}, "not enough points"),
    ({str(batch): point(batch, [7, 7, 7]) for batch in (8, 16, 32)}, "below the knee"),
    ({str(batch): point(batch, [7 * batch] * 3) for batch in (8, 16, 32)}, "above the knee"),
])
def test_what_the_points_cannot_tell_is_said_and_reported(tmp_path: Path, content: Any, said: str) -> None:
    store = imported_store.write(saved(tmp_path, content), tmp_path / "results")
    folder = report.write(store, tmp_path / "report")
    decision = json.loads((folder / "decision.json").read_text(), parse_constant=pytest.fail)
    assert "is not known" in decision["answers"][0] and said in decision["answers"][0]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert " nan" not in page and "inf " not in page


def test_two_benchmarks_in_one_file_are_two_experiments(tmp_path: Path) -> None:
    content = {**resnet(), **{f"b{batch}": {**point(batch, [batch, batch + 1, batch + 2]), "Benchmark": "bert"}
                              for batch in (8, 16, 32)}}
    store = imported_store.write(saved(tmp_path, content), tmp_path / "results")
    assert sorted(each.experiment for each in convergences(read(store))) == ["bert", "resnet"]
