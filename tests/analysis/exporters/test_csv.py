"""What is exported can be read again: the table by `import csv`, the curves by TensorFlow, a figure by its points."""

from __future__ import annotations

import csv
import json
import math
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.launching import environment
from support.foreign_files import bring, dawn_entry, horovod_text, law, saved
from support.synthetic_records import SGD, Study, Timing, results

from batchscale.analysis.columns import FIGURE, MEANINGS, RUN
from batchscale.analysis.decision.decision import decide_of
from batchscale.analysis.exporters import csv as export, tensorboard
from batchscale.analysis.importers import imported_store
from batchscale.analysis.report import page as report
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.study.study import Study as Found
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_OK, RecordError
from batchscale.launchers import cli

SMALL = Study(experiments=(replace(SGD, as_published=True, batches=(32, 512)),), seeds=6, epochs=3,
              timing=Timing(replica_batches=(32, 512), global_batches=(512,)))
READ_EVENTS = """
import json, sys
from batchscale.benchmarks.rank import imports
imports.tensorflow_and_keras()
from tensorflow.python.summary.summary_iterator import summary_iterator
found = []
for event in summary_iterator(sys.argv[1]):
    found.append([event.wall_time, event.step, event.file_version,
                  {value.tag: value.simple_value for value in event.summary.value}])
print(json.dumps(found))
"""


def test_every_column_is_described_and_so_is_every_exported_one(tmp_path: Path) -> None:
    assert set(RUN) <= set(MEANINGS)
    study = results(SMALL)
    export.write(study, tmp_path)
    text = (tmp_path / "README.md").read_text()
    for path in tmp_path.glob("*.csv"):
        with open(path, newline="") as file:
            header = next(csv.reader(file))
        assert f"## {path.name}" in text and all(f"| `{name}` |" in text for name in header)
    assert {"results.csv", "evaluations.csv", "windows.csv"} <= {path.name for path in tmp_path.glob("*.csv")}


def test_the_exported_table_comes_back_with_the_same_numbers(tmp_path: Path) -> None:
    study = results(SMALL)
    export.write(study, tmp_path / "mine")
    again = bring(tmp_path / "mine" / "results.csv", "csv")
    first, second = study.all_runs.reset_index(drop=True), again.all_runs.reset_index(drop=True)
    assert len(first) == len(second) > 20
    for name in set(RUN) - {"environment"}:
        if first[name].dtype.kind in "ifb":
            assert np.allclose(first[name].astype(float), second[name].astype(float), equal_nan=True), name
        else:
            blank = first[name].fillna("").astype(str).str.split().str.join(" ")
            assert blank.tolist() == second[name].fillna("").astype(str).tolist(), name


def test_the_report_of_the_table_decides_as_the_report_of_the_records(tmp_path: Path) -> None:
    """All that is decided from final numbers alone: recommendations and their test accuracies."""
    study = results(SMALL)
    export.write(study, tmp_path / "mine")
    again = bring(tmp_path / "mine" / "results.csv", "csv")
    before, after = decide_of(Found(study)), decide_of(Found(again))
    first, second = ([(one.experiment, one.option.global_batch, one.option.rule)
                      for one in decided.recommendations if one.option] for decided in (before, after))
    assert first == second != []
    first_values, second_values = ([one.option.test.value for one in decided.recommendations if one.option]
                                   for decided in (before, after))
    assert first_values == pytest.approx(second_values)
    assert [one.points[-1].efficiency.value for one in after.scaling if one.points] == pytest.approx(
        [one.points[-1].efficiency.value for one in before.scaling if one.points])
    folder = report.write_findings(Findings.of(again), tmp_path / "report")
    page = (folder / "index.html").read_text()
    assert " nan" not in page and 'id="accuracy"' in page and 'id="curves"' not in page


def test_every_figure_has_its_numbers_beside_it(tmp_path: Path) -> None:
    for launch, rate in enumerate((100.0, 104.0, 108.16)):  # of geometric mean 104
        for size in (1, 2):
            saved(tmp_path / "runs", horovod_text(size, [rate] * 2), f"{size}-{launch}.txt")
    folder = report.write_findings(Findings.of(bring(tmp_path / "runs", "horovod")), tmp_path / "report")
    drawn = sorted(path.stem for path in (folder / "figures").glob("*.svg"))
    assert drawn and drawn == sorted(path.stem for path in (folder / "figures").glob("*.csv"))
    page, text = ((folder / name).read_text() for name in ("index.html", "report.md"))
    assert all(f'href="figures/{name}.csv"' in page and f"(figures/{name}.csv)" in text for name in drawn)
    with open(folder / "figures" / "t0-rate.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == tuple(FIGURE)
    assert [(row["series"], float(row["x"]), round(float(row["value"])), row["n"]) for row in rows] == [
        ("horovod, 1", 32.0, 104.0, "3"), ("horovod, 2", 32.0, 208.0, "3")]
    assert float(rows[0]["low"]) < 104 < float(rows[0]["high"]) and rows[0]["y_label"] == "examples per second"


def test_an_event_has_its_time_and_step_where_the_format_says() -> None:
    data = tensorboard.event(1.5, 300, {"loss/train": 0.25})
    assert data[:9] == b"\x09" + struct.pack("<d", 1.5) and data[9:12] == b"\x10\xac\x02"  # 300 as a varint


@pytest.mark.launched
def test_tensorflow_reads_the_curves_back(tmp_path: Path) -> None:
    study = results(SMALL)
    count = tensorboard.write(study, tmp_path / "events")
    files = sorted((tmp_path / "events").rglob("events.out.tfevents.*"))
    assert count == len(files) == study.evaluations.groupby(["run_id", "phase"]).ngroups
    run_id = study.evaluations["run_id"].iloc[0]
    own = study.evaluations[(study.evaluations["run_id"] == run_id) & (study.evaluations["phase"] == 0)]
    (path,) = [path for path in files if path.parent.name == run_id]
    child = subprocess.run([sys.executable, "-c", READ_EVENTS, str(path)], capture_output=True, text=True, timeout=240,
                           env=environment())
    assert child.returncode == 0, child.stderr
    first, *rest = json.loads(child.stdout)
    assert first[2] == "brain.Event:2" and [event[1] for event in rest] == own["step"].tolist()
    for event, row in zip(rest, own.to_dict("records")):
        assert event[3]["loss/train"] == pytest.approx(row["train_loss"], rel=1e-6)
        assert event[3]["accuracy/test"] == pytest.approx(row["test_accuracy"], rel=1e-6)
    assert rest[-1][0] - rest[0][0] == pytest.approx(own["train_seconds"].iloc[-1] - own["train_seconds"].iloc[0],
                                                     abs=1e-5)


def test_the_command_writes_tables_and_events_where_it_is_told(tmp_path: Path,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    path = dawn_entry(tmp_path / "CIFAR10", "one entry", [(1, 0.5, 50.0), (2, 1.0, 94.5)])
    store = imported_store.write(path, tmp_path / "results", "dawnbench")
    assert cli.main(["export", str(store.folder), "--tensorboard", str(tmp_path / "events")]) == EXIT_OK
    assert "1 event files" in capsys.readouterr().out
    assert {item.name for item in (store.folder / "export").iterdir()} == {"results.csv", "evaluations.csv",
                                                                           "README.md"}
    (events,) = (tmp_path / "events").rglob("*.batchscale")
    assert events.parent.name == "one-entry" and read(store).runs["seconds_to_target"].tolist() == [3600]


def test_names_from_a_file_do_not_leave_the_folder_of_events(tmp_path: Path) -> None:
    text = "run_id,experiment,kind,global_batch,reference_batch,rule,seed,epochs,train_examples,test_accuracy\n"
    for seed, name in enumerate(("../../up", "/etc/up", "..", "up")):
        text += f"{name},a,accuracy,32,32,constant,{seed},1,320,0.5\n"
    again = bring(saved(tmp_path, text, "t.csv"), "csv")
    assert tensorboard.write(again, tmp_path / "events") == 4
    files = list(tmp_path.rglob("*.batchscale"))
    assert len(files) == 4 and all(path.parents[1] == tmp_path / "events" for path in files)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="Free space or choose another folder"):
        export.write(results(SMALL), tmp_path / "file" / "below")


# The table that people write themselves

STEPS = {"8": 900, "16": 500, "32": 300, "64": 200, "128": 150}  # 100 (1 + 64 / B)


def test_a_table_of_steps_gives_the_critical_batch(tmp_path: Path) -> None:
    text = "global_batch,steps_to_target\n" + "".join(f"{batch},{steps}\n" * 3 for batch, steps in STEPS.items())
    found = law(bring(saved(tmp_path, text, "t.csv"), "csv"))
    assert found.critical_batch.value == pytest.approx(64, rel=1e-6)
    assert found.minimum_steps.value == pytest.approx(100, rel=1e-6)


def test_an_empty_cell_is_a_run_that_never_passed(tmp_path: Path) -> None:
    text = "global_batch,steps_to_target\n" + "8,900\n" * 3 + "16,500\n16,500\n16,\n" + "32,\n" * 3
    found = law(bring(saved(tmp_path, text, "t.csv"), "csv"))
    assert [point.never for point in found.points] == [0, 1, 3] and found.law.censored == (32,)
    assert found.points[1].steps.value == 500


def test_a_table_of_throughput_needs_only_replicas_batch_and_speed(tmp_path: Path) -> None:
    again = bring(saved(tmp_path, "replicas,global_batch,step_seconds\n2,64,0.5\n", "t.csv"), "csv")
    row = again.runs.iloc[0]
    assert (row["examples_per_second"], row["replica_batch"], row["kind"]) == (128, 32, "throughput")
    assert math.isnan(row["seed"]) and math.isnan(row["test_accuracy"]) and row["model"] == ""


def test_columns_that_are_not_known_are_named(tmp_path: Path) -> None:
    table = saved(tmp_path, "replicas,global_batch,step_seconds,weather\n2,64,0.5,rain\n", "t.csv")
    store = imported_store.write(table, tmp_path / "results", "csv")
    assert imported_store.notes(store.manifest) == ("Columns that are not known and were not read: weather.",)


@pytest.mark.parametrize(("text", "said"), [
    ("a,b\n1,2\n", "Needed are, for accuracy: global_batch, reference_batch"), ("", "no kind of run"),
    ("replicas,replicas\n1,1\n", "twice"), ("replicas,global_batch,step_seconds\n1,x,1\n", "global_batch='x'"),
    ("replicas,global_batch,step_seconds\n1.5,2,1\n", "replicas='1.5' must be a whole number"),
    ("replicas,global_batch,step_seconds\n1,2\n", "has 2 cells"), ("kind,global_batch\nmagic,2\n", "choose one of"),
    ("kind,global_batch\nthroughput,2\n", "needs replicas, global_batch, and one of examples_per_second"),
    ("replicas,global_batch,step_seconds\n1,2,nan\n", "step_seconds='nan'"),
    ("global_batch,steps_to_target\n0,5\n", "whole number"),
    ('replicas,global_batch,step_seconds\n1,"2,3\n', "no table"),
    ("global_batch,reference_batch,rule,seed,epochs,train_examples,test_accuracy\n1,1,constant,0,1,9,93\n",
     "a fraction from 0 to 1")])
def test_a_table_that_lacks_or_garbles_a_column_is_refused(tmp_path: Path, text: Any, said: str) -> None:
    with pytest.raises(RecordError, match=said):
        bring(saved(tmp_path, text, "t.csv"), "csv")
