"""Other tools' results in our table and report: MLPerf's reference points, real numbers and hostile files."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import batchscale

from batchscale.analysis import imported, mlperf_rcp, report
from batchscale.analysis.convergence import Convergence, convergences
from batchscale.analysis.rows import RUN
from batchscale.analysis.table import read
from batchscale.benchmarks.errors import EXIT_OK, EXIT_USAGE, RecordError
from batchscale.benchmarks.store import open_store
from batchscale.launchers import cli

# MLPerf Training 4.0, ResNet-50, epochs to 75.9 % top-1: value x runs, per global batch, and the published means.
RESNET: dict[int, tuple[dict[int, int], float]] = {
    1632: ({33: 1, 34: 4, 35: 9, 37: 3}, 35.0),
    3264: ({34: 2, 35: 9, 36: 3, 37: 1}, 35.154),
    4096: ({39: 4, 40: 3, 41: 2, 42: 1}, 39.875),
    8192: ({41: 4, 42: 3, 43: 2, 44: 1}, 41.875),
    13056: ({44: 1, 45: 4, 46: 5}, 45.5),
    32768: ({55: 1, 56: 8, 57: 1}, 56.0),
    49152: ({67: 2, 68: 6, 69: 2}, 68.0),
    58880: ({78: 1, 79: 1, 80: 6, 81: 2}, 80.0),
    65536: ({83: 2, 84: 2, 85: 5, 86: 1}, 84.5),
    67840: ({85: 8, 86: 16, 87: 4}, 85.846),
}
HOSTILE = "<script>alert('x')</script>"
FOLDER_NAME = "rcps_resnet"


def point(batch: Any, epochs: Any, **more: Any) -> dict[str, Any]:
    return {"Benchmark": "resnet", "BS": batch, "Epochs to converge": epochs, "Creator": "a vendor", "When": "once",
            "Platform": "TBD", "Hyperparams": {"optimizer": "lars", "opt_base_learning_rate": 7.4}, **more}


def resnet() -> dict[str, Any]:
    return {f"resnet_ref_{batch}": point(batch, [value for value, times in counts.items() for _ in range(times)])
            for batch, (counts, _) in RESNET.items()}


def saved(folder: Path, content: Any, name: str = f"{FOLDER_NAME}.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def brought(folder: Path, content: Any, **more: Any) -> Convergence:
    (found,) = convergences(read(imported.write(saved(folder, content), folder / "results", **more)))
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
    assert all(f"{mean:.3f} (" in page for _, mean in RESNET.values())


def test_the_critical_batch_is_the_published_one(study: Path) -> None:
    decision = json.loads((study / "report" / "decision.json").read_text())
    (found,) = decision["convergence"]
    batch, steps = found["critical_batch"], found["minimum_steps"]
    assert batch["value"] == pytest.approx(46_909, rel=0.01) and batch["n"] == 10
    assert (batch["low"], batch["high"]) == pytest.approx((40_978, 53_699), rel=0.01)
    # S_min from olympic-mean epochs x 1,281,167 / B
    assert [steps[name] for name in ("value", "low", "high")] == pytest.approx([946, 859, 1042], abs=1)
    assert "46,909 [40,978 to 53,699] examples, from 10 reference points" in decision["answers"][0]


def test_the_report_draws_epochs_and_steps_and_recommends_nothing(study: Path) -> None:
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 2
    assert {p.name for p in (study / "report" / "figures").iterdir()} == {"c0-epochs.svg", "c0-steps.svg"}
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
    store = imported.write(path, tmp_path)
    before = (store.folder / "plan.json").read_bytes()
    assert imported.write(path, tmp_path) == store and (store.folder / "plan.json").read_bytes() == before
    saved(tmp_path, {"other": point(32, [1, 2, 3])})
    with pytest.raises(RecordError, match="holds other results"):
        imported.write(path, tmp_path)
    assert (store.folder / "plan.json").read_bytes() == before


def test_the_results_of_a_plan_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / FOLDER_NAME).mkdir()
    (tmp_path / FOLDER_NAME / "plan.json").write_text('{"runs": []}')
    with pytest.raises(RecordError, match="--to"):
        imported.write(saved(tmp_path, resnet()), tmp_path)


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
        imported.write(saved(tmp_path, resnet()), tmp_path / "results", train_examples=size)
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


def test_numbers_too_large_for_epochs_are_not_called_so(tmp_path: Path) -> None:
    found = brought(tmp_path, {str(batch): {**point(batch, [1e6 + batch] * 4), "Benchmark": "words"}
                               for batch in (8, 32, 128)})
    assert found.unit == "samples or tokens"


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
    store = imported.write(saved(tmp_path, content), tmp_path / "results")
    folder = report.write(store, tmp_path / "report")
    decision = json.loads((folder / "decision.json").read_text(), parse_constant=pytest.fail)
    assert "is not known" in decision["answers"][0] and said in decision["answers"][0]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert " nan" not in page and "inf " not in page


def test_two_benchmarks_in_one_file_are_two_experiments(tmp_path: Path) -> None:
    content = {**resnet(), **{f"b{batch}": {**point(batch, [batch, batch + 1, batch + 2]), "Benchmark": "bert"}
                              for batch in (8, 16, 32)}}
    store = imported.write(saved(tmp_path, content), tmp_path / "results")
    assert sorted(each.experiment for each in convergences(read(store))) == ["bert", "resnet"]


def test_names_from_a_file_stay_text(tmp_path: Path) -> None:
    content = {f"{HOSTILE}{batch}": {**point(batch, [batch, batch + 1, batch + 2], Creator=HOSTILE, Platform=HOSTILE),
                                     "Benchmark": HOSTILE} for batch in (8, 32, 128)}
    store = imported.write(saved(tmp_path, content, "..<b> $(x).json"), tmp_path / "results")
    assert store.folder.parent == tmp_path / "results"
    folder = report.write(store, tmp_path / "report")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page


BAD: dict[str, tuple[Any, str]] = {
    "not JSON": ("epochs: 35", "not whole JSON"),
    "empty": ("", "not whole JSON"),
    "truncated": (json.dumps(resnet())[:-40], "not whole JSON"),
    "a pickle": ("\x80\x04\x95", "not whole JSON"),
    "NaN": (json.dumps({"p": point(8, [1.0, math.nan])}), "not whole JSON"),
    "infinity": (json.dumps({"p": point(8, [math.inf])}), "not whole JSON"),
    "overflow": ('{"p": {"Benchmark": "b", "BS": 8, "Epochs to converge": [1e999]}}', "every run has a number"),
    "a long number": ('{"p": {"Benchmark": "b", "BS": %s, "Epochs to converge": [1]}}' % ("9" * 5000), "not whole"),
    "deep": ("[" * 200_000 + "]" * 200_000, "nested too deeply"),
    "twice": ('{"p": 1, "p": 2}', "is there twice"),
    "a list": ([], "no reference points"),
    "nothing": ({}, "no reference points"),
    "no object": ({"p": 5}, "is no reference point"),
    "no batch": ({"p": {"Benchmark": "b", "Epochs to converge": [1]}}, "expected Benchmark, BS"),
    "no epochs": ({"p": {"Benchmark": "b", "BS": 8}}, "expected Benchmark, BS"),
    "both counts": ({"p": point(8, [1], **{"samples to converge": [2]})}, "expected Benchmark, BS"),
    "mixed counts": ({"p": point(8, [1]), "q": {"Benchmark": "resnet", "BS": 9, "samples to converge": [2]}},
                     "counts epochs at some"),
    "text batch": ({"p": point("8", [1])}, "is no global batch"),
    "true batch": ({"p": point(True, [1])}, "is no global batch"),
    "zero batch": ({"p": point(0, [1])}, "is no global batch"),
    "half batch": ({"p": point(8.5, [1])}, "is no global batch"),
    "no list": ({"p": point(8, {"a": 1})}, "expected a list"),
    "no runs": ({"p": point(8, [])}, "expected a list"),
    "text epochs": ({"p": point(8, [1, "2"])}, "every run has a number"),
    "null epochs": ({"p": point(8, [1, None])}, "every run has a number"),
    "true epochs": ({"p": point(8, [True])}, "every run has a number"),
    "negative epochs": ({"p": point(8, [-1])}, "every run has a number"),
    "zero epochs": ({"p": point(8, [0])}, "every run has a number"),
    "huge epochs": ({"p": point(8, [10 ** 400])}, "every run has a number"),
    "number as name": ({"p": {**point(8, [1]), "Benchmark": 7}}, "is no line of text"),
    "lines as name": ({"p": {**point(8, [1]), "Benchmark": "a\nb"}}, "is no line of text"),
    "no name": ({"p": {**point(8, [1]), "Benchmark": ""}}, "need a name"),
    "escape as name": ({"\x1b[2J": point(8, [1])}, "need a name"),
    "list as platform": ({"p": point(8, [1], Platform=["x"])}, "is no line of text"),
    "too many points": ({str(number): point(8, [1]) for number in range(mlperf_rcp.MOST_POINTS + 1)}, "at most 1,000"),
    "too many runs": ({"p": point(8, [1] * (mlperf_rcp.MOST_RUNS + 1))}, "at most 100,000"),
    "too large": (" " * (mlperf_rcp.MOST_BYTES + 1), "larger than 4 MiB"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_file_is_refused_in_one_sentence(tmp_path: Path, name: str,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    content, said = BAD[name]
    path = saved(tmp_path, content)
    assert cli.main(["import", "mlperf-rcp", str(path), "--to", str(tmp_path / "results")]) == EXIT_USAGE
    error = capsys.readouterr().err
    assert error.startswith("batchscale import: ") and said in error
    assert error.count("\n") == 1 and len(error) < 500 + len(str(path)) and error.rstrip("\n").isprintable()
    assert not (tmp_path / "results").exists()


def test_hyperparameters_of_any_shape_are_no_reason_to_refuse(tmp_path: Path) -> None:
    nested: Any = {}
    for _ in range(100):
        nested = {"deeper": [nested]}
    content = {"p": point(8, [1, 2, 3], Hyperparams={"optimizer": 5, "opt_base_learning_rate": [1], "x": nested}),
               "q": point(16, [1, 2, 3], Hyperparams="none"), "r": point(32, [1, 2, 3], Creator=None, Platform="")}
    runs = read(imported.write(saved(tmp_path, content), tmp_path / "results")).runs
    own = runs[runs["reference_point"] == "p"].iloc[0]
    assert own["optimizer"] == "" and math.isnan(own["base_learning_rate"]) and len(runs) == 9


@pytest.mark.parametrize("name", ["nowhere.json", "folder", "\0", "x" * 5000])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    assert cli.main(["import", "mlperf-rcp", f"{tmp_path}/{name}", "--to", str(tmp_path / "results")]) == EXIT_USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'{"p": "\xff\xfe"}')
    with pytest.raises(RecordError, match="not whole JSON"):
        mlperf_rcp.read(path)


@pytest.mark.parametrize("change", [
    {"imported": 5}, {"imported": {"format": "other"}}, {"imported": {"format": "mlperf-rcp"}},
    {"imported": {"format": "mlperf-rcp", "content": {"p": {"BS": 3}}}}])
def test_a_damaged_import_is_one_sentence(tmp_path: Path, change: dict[str, Any],
                                          capsys: pytest.CaptureFixture[str]) -> None:
    store = imported.write(saved(tmp_path, resnet()), tmp_path / "results")
    plan = store.folder / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | change))
    assert cli.main(["report", str(store.folder)]) == EXIT_USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    done = batchscale("import", "wandb", "x.json", cwd=tmp_path)
    assert done.returncode == EXIT_USAGE and "mlperf-rcp" in done.stderr and "Traceback" not in done.stderr
