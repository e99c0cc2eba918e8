"""Files of every format that are meant to harm: nothing runs, nothing is written elsewhere, names stay text."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from support import hostile_files
from support.foreign_files import GOOD, bring, dawn_entry, event, horovod_text, mllog_text, saved, study, timings
from support.reference_points import HOSTILE, point
from support.reference_points import saved as saved_points
from support.training_files import KERAS_3

from batchscale.analysis.importers import imported_store, reading, sources
from batchscale.analysis.importers.imported_run import Options
from batchscale.analysis.importers.registry import IMPORTERS
from batchscale.analysis.report import page as report
from batchscale.analysis.report.findings import Findings
from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, EXIT_USAGE, RecordError
from batchscale.launchers import cli

TEXT_FORMATS = tuple(form for form in IMPORTERS if form != "batch-science")
COMMA = '"' + HOSTILE.replace('"', '""') + '"'


class Exploit:
    """What a pickle would do when it is read."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


def horovod(folder: Path) -> Path:
    return saved(folder, horovod_text(2, [5.0, 6.0], model=HOSTILE), "x.txt")


def mllog(folder: Path) -> Path:
    named = {"submission_platform": HOSTILE, "opt_name": HOSTILE}
    for batch in (8, 16, 32):
        for index in range(3):
            saved(folder / "logs", mllog_text(batch, [4, 5], benchmark=HOSTILE, settings=named), f"{batch}-{index}.txt")
    return folder / "logs"


def dawnbench(folder: Path) -> Path:
    rows = [(1, 0.5, 60.0), (2, 1.0, 95.0)]
    return dawn_entry(folder / "CIFAR10", "x <b>", rows, model=HOSTILE, hardware=HOSTILE, author=HOSTILE).parent


def batch_science(folder: Path) -> Path:
    for batch in (8, 16, 32):
        place = study(folder / "data", batch, {1: ("COMPLETE", [(0, 0.9, 0.9, 0.9), (8 * batch, 0.1, 0.1, 0.1)])})
        text = (place / "study.json").read_text()
        (place / "study.json").write_text(text.replace('"sgd"', f'"{HOSTILE}"'))
    return folder / "data"


def pytest_benchmark(folder: Path) -> Path:
    return saved(folder, timings({HOSTILE: [0.1, 0.2], "b\x1b[2J": [0.3]}), "x.json")


def table(folder: Path) -> Path:
    rows = "".join(f"{COMMA},{COMMA},{HOSTILE},{p},{32 * p},{100 * p},weak,{COMMA}\n" for p in (1, 2) for _ in range(3))
    return saved(folder, f"run_id,experiment,model,replicas,global_batch,examples_per_second,scaling,flags\n{rows}",
                 "x.csv")


def references(folder: Path) -> Path:
    content = {f"{HOSTILE}{batch}": {**point(batch, [batch] * 3), "Benchmark": HOSTILE} for batch in (8, 16, 32)}
    return saved_points(folder, content)


MADE = {"horovod": horovod, "mllog": mllog, "dawnbench": dawnbench, "batch-science": batch_science,
        "pytest-benchmark": pytest_benchmark, "csv": table, "mlperf-rcp": references, **hostile_files.MADE}


def hostile_file(form: str, folder: Path) -> Path:
    """A file of the format with hostile names: its own, else the good one, renamed wherever its text has the model."""
    if form in MADE:
        return MADE[form](folder)
    path = GOOD[form](folder)
    columns = reading.read(form, path, Options())[0].runs[0].columns
    name = next(str(columns[key]) for key in ("model", "experiment", "run_id") if key in columns)
    for file in (path, *path.rglob("*")):
        if file.is_file() and name.encode() in file.read_bytes() and b"\0" not in file.read_bytes():
            file.write_text(file.read_text(encoding="utf-8").replace(name, HOSTILE), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", IMPORTERS)
def test_names_from_a_file_stay_text_in_every_part_of_the_report(tmp_path: Path, form: str) -> None:
    results = bring(hostile_file(form, tmp_path), form)
    folder = report.write_findings(Findings.of(results), tmp_path / "report")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2 and page.count("</script") == 2 and "\x1b" not in page  # the page's own
    assert "&lt;script&gt;" in page or form not in MADE
    assert "<script" not in (folder / "report.md").read_text(encoding="utf-8").replace("\\<", "&lt;")
    for path in (folder / "figures").glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("form", IMPORTERS)
def test_an_import_writes_in_its_results_folder_alone(tmp_path: Path, form: str) -> None:
    source = hostile_file(form, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    store = imported_store.write(source, tmp_path / "results", form)
    again = imported_store.write(source, tmp_path / "results", form)
    assert store == again and store.folder.parent == tmp_path / "results"
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert {path: time for path, time in after.items() if path in before} == before
    made = {path.name for path in after.keys() - before.keys()}
    assert made == {"results", store.folder.name, "plan.json", imported_store.FILE}


@pytest.mark.parametrize("form", TEXT_FORMATS)
@pytest.mark.parametrize("content", [
    pickle.dumps(Exploit()), b"!!python/object/apply:os.system ['touch executed']", b"\0" * 4096, b"\xff\xfe" * 99,
    b"[" * 300_000, b'{"a":' * 300_000, b"x" * (sources.LONGEST_LINE + 1), b"\n" * 100_000, b"",
    b":::MLLOG " + b'{"key": ' * 50_000, b"Model: " + b"x" * 900_000,
    b"epoch\thours\ttop1Accuracy\n" + b"1\t" * 300_000,
    b"global_batch," * 60_000 + b"\n1"], ids=lambda content: repr(content[:12]))
def test_bytes_meant_to_harm_are_refused_in_one_sentence(tmp_path: Path, form: str, content: bytes,
                                                         monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_bytes(content)
    assert cli.main(["import", form, "x", "--to", "results"]) == EXIT_USAGE
    error = capsys.readouterr().err
    assert error.startswith("batchscale import: ") and error.count("\n") == 1 and len(error) < 1500
    assert error.rstrip("\n").isprintable()
    assert {path.name for path in tmp_path.iterdir()} == {"x"}


@pytest.mark.parametrize("form", IMPORTERS)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, form: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "nowhere", "\0", "x" * 5000):
        with pytest.raises(RecordError):
            imported_store.write(Path(f"{tmp_path}/{path}"), tmp_path / "results", form)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("form", ["mllog", "horovod", "dawnbench", "batch-science"])
def test_pipes_and_endless_devices_in_a_folder_are_refused(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "data" / "CIFAR10"
    folder.mkdir(parents=True)
    for name in ("a.txt", "a.tsv", "study.json"):
        os.mkfifo(folder / name)
    with pytest.raises(RecordError):
        imported_store.write(tmp_path / "data", tmp_path / "results", form)


def test_a_folder_that_contains_itself_is_walked_once(tmp_path: Path) -> None:
    mllog(tmp_path)
    (tmp_path / "logs" / "again").symlink_to(tmp_path / "logs")
    assert len(bring(tmp_path / "logs", "mllog").runs) == 9


def test_a_large_file_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    path = saved(tmp_path, mllog_text(8, [4]), "x.txt")
    os.truncate(path, 3 * 2 ** 30)
    with pytest.raises(RecordError, match="has a line of [12],"):
        bring(path, "mllog")


def test_files_of_a_folder_are_limited_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mllog(tmp_path)
    monkeypatch.setattr(sources, "MOST_TOTAL_BYTES", 10_000)
    with pytest.raises(RecordError, match="import a part of it"):
        bring(tmp_path / "logs", "mllog")


def test_files_that_are_too_much_in_all_are_refused_not_read_in_part(tmp_path: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        saved(tmp_path / "logs", KERAS_3, name)
    monkeypatch.setattr(sources, "MOST_TOTAL_BYTES", 2 * len(KERAS_3))
    with pytest.raises(RecordError, match="import a part of it"):
        bring(tmp_path / "logs", "keras-log")


def test_settings_and_evaluations_without_end_do_not_grow(tmp_path: Path) -> None:
    many = "\n".join(event(f"key_{index}", index) for index in range(5_000))
    text = mllog_text(8, [4, 5]) + many + "\n" + mllog_text(8, [4, 5])
    results = bring(saved(tmp_path, text), "mllog")
    assert len(results.runs) == 2
    line = (tmp_path / "results" / "result_0" / imported_store.FILE).read_text().splitlines()[1]
    assert len(line) < 100_000


@pytest.mark.parametrize("line", [
    "", "{", "[]", "5", '{"columns": []}', '{"columns": {"run_id": "a", "status": "completed"}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy", "global_batch": "64"}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy", "global_batch": 0}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy", "surprise": 1}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy"}, "evaluations": {"step": ["x"]}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "memory"}, "evaluations": {"step": [1], "epoch": []}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy"}, "evaluations": {"__class__": [1]}}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy"}, "windows": [{"rank": 0}]}',
    '{"columns": {"run_id": "a", "status": "completed", "kind": "accuracy"}, "environment": {"host": []}}'])
def test_a_damaged_line_of_an_import_is_one_sentence(tmp_path: Path, line: str,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    store = imported_store.write(horovod(tmp_path), tmp_path / "results", "horovod")
    (store.folder / imported_store.FILE).write_text(line)
    assert cli.main(["report", str(store.folder)]) == EXIT_USAGE
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "import the file again" in error and len(error) < 600
    assert cli.main(["verify", str(store.folder)]) == EXIT_RUNS_FAILED
    assert f"corrupt: {store.folder / imported_store.FILE}" in capsys.readouterr().out


def test_an_import_that_is_whole_can_be_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = imported_store.write(horovod(tmp_path), tmp_path / "results", "horovod")
    assert cli.main(["verify", str(store.folder)]) == EXIT_OK
    assert "2 of 2 files can be believed" in capsys.readouterr().out
