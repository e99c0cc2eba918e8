"""Tables that people write or export: what can be believed is read, what contradicts itself is refused by row."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.foreign_files import bring, reported, saved
from support.synthetic_records import Curve, Experiment, results, Study

from batchscale.analysis.comparison.compare import compare as compare_sides
from batchscale.analysis.comparison.sides import read_side
from batchscale.analysis.exporters import csv as export
from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.additions import parse_additions
from batchscale.analysis.prediction.replicas import forecasts
from batchscale.analysis.prediction.text import text as as_text
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import RecordError

HEADER = "experiment,kind,global_batch,reference_batch,rule,seed,epochs,train_examples,test_accuracy"
ROWS = [f"a,accuracy,{batch},32,constant,{seed},5,1000,{0.9 - batch / 6400 + seed / 1000}"
        for batch in (32, 64, 128) for seed in range(6)]
TIMED = "model,strategy,replicas,global_batch,examples_per_second,step_seconds,scaling"


def table(folder: Path, header: str, *rows: str, name: str = "x.csv") -> Path:
    return saved(folder, "\n".join([header, *rows]) + "\n", name)


def test_rows_that_repeat_another_in_every_cell_count_once(tmp_path: Path) -> None:
    twice = imported_store.write(table(tmp_path, HEADER, *ROWS, *ROWS), tmp_path / "results", "csv")
    once = bring(table(tmp_path / "once", HEADER, *ROWS), "csv")
    assert read(twice).runs["test_accuracy"].tolist() == once.runs["test_accuracy"].tolist()
    assert "18 rows repeat an earlier one in every cell and were left out, the first of them row 19." in \
        imported_store.notes(twice.manifest)


def test_one_run_with_two_results_is_refused_by_row(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="rows 1 and 19 are one run by their settings and seed 0, with different"):
        bring(table(tmp_path, HEADER, *ROWS, "a,accuracy,32,32,constant,0,5,1000,0.5"), "csv")
    other = bring(table(tmp_path, HEADER + ",base_learning_rate", *(f"{row},0.1" for row in ROWS),
                        "a,accuracy,32,32,constant,0,5,1000,0.5,0.2", name="rates.csv"), "csv")
    assert len(other.runs) == 19  # another rate is another run


def test_launches_may_take_the_same_rounded_time(tmp_path: Path) -> None:
    found = bring(table(tmp_path, TIMED, *["m,mirrored,1,32,64,0.5,weak"] * 3), "csv")
    assert found.runs["launch"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("row", "said"), [
    ("m,mirrored,1,32,1000,0.5,weak", "row 1: examples_per_second=1,000 contradicts .*32 examples .* are 64 per"),
    ("m,mirrored,1,32,-64,0.5,weak", "row 1: examples_per_second='-64' must be a number of 0 or more"),
])
def test_a_rate_that_is_not_the_batch_over_its_step_is_refused(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        bring(table(tmp_path, TIMED, row), "csv")


@pytest.mark.parametrize(("row", "said"), [
    ("2,32,32,1,100", "contradicts replicas=2 times replica_batch=32 times accumulation=1, which is 64"),
    ("2,32,32,,100", "global_batch=32 contradicts replicas=2 times replica_batch=32, which is 64"),
])
def test_batches_that_contradict_each_other_are_refused(tmp_path: Path, row: str, said: str) -> None:
    header = "replicas,global_batch,replica_batch,accumulation,examples_per_second"
    with pytest.raises(RecordError, match=said):
        bring(table(tmp_path, header, row), "csv")
    assert bring(table(tmp_path, header, "2,128,32,,100", name="parts.csv"), "csv").runs["accumulation"].tolist() == [2]


def test_a_rate_whose_step_no_number_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="examples_per_second=.*e-321 contradicts the rest"):
        bring(table(tmp_path, "replicas,replica_batch,global_batch,examples_per_second", "2,32,64,9.9e-321"), "csv")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_separator_and_decimal_commas_are_read(tmp_path: Path, mark: str) -> None:
    rows = [row.replace(",", mark) for row in ROWS]
    rows = [row.replace(".", ",") for row in rows] if mark == ";" else rows
    found = bring(table(tmp_path, HEADER.replace(",", mark), *rows), "csv")
    plain = bring(table(tmp_path / "plain", HEADER, *ROWS), "csv")
    assert found.runs["test_accuracy"].tolist() == plain.runs["test_accuracy"].tolist()


def test_a_table_of_losses_with_other_names_is_judged_by_the_loss(tmp_path: Path) -> None:
    rows = [f"{batch},0.001,{seed},{2.5 + batch / 640 + seed / 100}" for batch in (32, 64, 128) for seed in range(4)]
    store = imported_store.write(
        table(tmp_path, "bs,lr,seed,final loss", *rows), tmp_path / "results", "csv",
        settings=["rule=constant", "reference_batch=32", "epochs=1", "train_examples=100000"],
        maps=["global_batch=bs", "base_learning_rate=lr", "test_loss=final loss"])
    runs = read(store).runs
    assert set(runs["kind"]) == {"accuracy"} and runs["test_loss"].iloc[0] == 2.55
    page, decision = reported(tmp_path / "results")
    assert decision["recommendations"] and "2.62 (2.59 to 2.64" in page  # at batch 64, of four seeds


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.csv").write_bytes(("\ufeff" + "\n".join([HEADER, *ROWS])).encode(encoding))
    with pytest.raises(RecordError, match="x.csv is text in UTF-16; save it as UTF-8"):
        bring(tmp_path / "x.csv", "csv")


def test_a_loss_that_diverged_comes_back(tmp_path: Path) -> None:
    header = HEADER + ",train_loss"
    rows = [f"{row},{'1.3e37' if index == 7 else 0.4}" for index, row in enumerate(ROWS)]
    assert bring(table(tmp_path, header, *rows), "csv").runs["train_loss"].max() == 1.3e37
    reported(tmp_path / "results")
    with pytest.raises(RecordError, match="train_loss='1e39' must be a number"):
        bring(table(tmp_path, header, f"{ROWS[0]},1e39", name="more.csv"), "csv")


def test_diverged_runs_of_a_study_come_back_from_their_export(tmp_path: Path) -> None:
    broken = Experiment("a", "sgd", "mlp_128", (32, 128), {"constant": Curve(diverged=(128,))})
    made = results(Study(experiments=(broken,), timing=None, memory=None, seeds=3, epochs=3))
    export.write(made, tmp_path / "export")
    back = bring(tmp_path / "export" / export.RUNS, "csv")
    assert sorted(back.runs["status"]) == sorted(made.runs["status"]) and "diverged" in set(back.runs["status"])
    store, = (tmp_path / "export" / "results").iterdir()
    found = compare_sides(read_side(store), read_side(store), 0.05, ())
    assert {change.answer for change in found.changes} == {"no change"}
    assert any(change.reason == "diverged in both" for change in found.changes)


def test_what_a_table_does_not_name_is_not_written_as_a_name(tmp_path: Path) -> None:
    bring(table(tmp_path, HEADER + ",replicas,train_seconds", *(f"{row},1,9.5" for row in ROWS)), "csv")
    page, decision = reported(tmp_path / "results")
    sentences = " ".join(decision["answers"])
    for wrong in ("nan", "( on )", " on ,", "on :", " ,"):
        assert wrong not in sentences
    assert "learning rate not recorded" in sentences


def test_imported_strong_scaling_is_one_sentence_for_one_global_batch(tmp_path: Path) -> None:
    rows = [f"m,mirrored,{count},480,{20 * count ** 0.9},{24 / count ** 0.9},strong" for count in (1, 2, 4, 8)]
    untold = [row.removesuffix(",strong") for row in rows]
    for name, header, cells in (("named", TIMED, rows), ("seen", TIMED.removesuffix(",scaling"), untold)):
        bring(table(tmp_path / name, header, *cells), "csv")
        answers = reported(tmp_path / name / "results")[1]["answers"]
        said = [answer for answer in answers if "examples per second on" in answer]
        assert len(said) == 1 and "on 8 replicas at batch 480 in all" in said[0]


def test_a_published_table_of_one_batch_and_few_columns_is_predicted_at_that_batch(tmp_path: Path) -> None:
    header = "replicas,global_batch,examples_per_second"
    rows = [f"{count},{64 * count},{64 * count / (0.2 + 0.02 * (count - 1) / count)}" for count in (1, 2, 4, 8, 16)]
    one, = forecasts(bring(table(tmp_path, header, *rows), "csv"), (16, 32))
    measured, beyond = one.predictions
    assert measured.measured.value == pytest.approx(64 * 16 / 0.21875)
    assert beyond.refusal == "" and beyond.step_seconds.low <= 0.219375 <= beyond.step_seconds.high
    assert len(one.held_out) == 1 and one.unchecked == ""
    said = as_text([one], None)
    assert "Held-out error: 16 replicas predicted from fewer" in said and "No nodes are named" in said


NATURAL = ("batch_size,accuracy,lr,seed", *(f"{batch},{0.9 - batch / 6400 + seed / 1000},0.001,{seed}"
                                            for batch in (32, 64, 128) for seed in range(3)))


def test_a_table_with_names_of_ones_own_is_answered_with_the_options_that_read_it(tmp_path: Path) -> None:
    path = table(tmp_path, *NATURAL)
    with pytest.raises(RecordError) as refused:
        bring(path, "csv")
    words = shlex.split(str(refused.value).replace("=N", "=32").replace(".", " "))
    options = {option: [after for before, after in zip(words, words[1:]) if before == option]
               for option in ("--map", "--set")}
    assert "global_batch=batch_size" in options["--map"]
    found = bring(path, "csv", settings=options["--set"], maps=options["--map"]).runs
    assert set(found["peak_learning_rate"]) == {0.001} and set(found["rule"]) == {"constant"}
    assert sorted(set(found["global_batch"])) == [32, 64, 128] and found["test_accuracy"].max() < 0.9


@pytest.mark.parametrize(("header", "said", "silent"), [
    ("gpus,bs,images/sec", "--map replicas=gpus --map global_batch=bs --map examples_per_second=images/sec.", "--set"),
    ("Batch Size,images/sec", "--map 'global_batch=Batch Size' .*--set replicas=N.", "for accuracy"),
    ("a,b", "for accuracy: global_batch, .* --map OURS=ITS; .* --set COLUMN=VALUE", "mean what")])
def test_what_a_table_lacks_is_said_for_the_kind_whose_result_it_has(tmp_path: Path, header: str, said: str,
                                                                     silent: str) -> None:
    with pytest.raises(RecordError, match=said) as refused:
        bring(table(tmp_path, header, "1,2,3"[:2 * header.count(",") + 1]), "csv")
    assert silent not in str(refused.value)


def test_a_mapping_the_wrong_way_round_is_turned() -> None:
    with pytest.raises(RecordError, match="--map global_batch=batch_size"):
        parse_additions((), ("batch_size=global_batch",))
