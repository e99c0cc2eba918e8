"""Imported files that are damaged or meant to harm: one sentence each, and nothing written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.launching import batchscale
from support.reference_points import HOSTILE, point, resnet, saved

from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.imported_run import Options
from batchscale.analysis.importers.mlperf import reference_points
from batchscale.analysis.importers.sources import Sources
from batchscale.analysis.report import page as report
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_USAGE, RecordError
from batchscale.launchers import cli


def test_names_from_a_file_stay_text(tmp_path: Path) -> None:
    content = {f"{HOSTILE}{batch}": {**point(batch, [batch, batch + 1, batch + 2], Creator=HOSTILE, Platform=HOSTILE),
                                     "Benchmark": HOSTILE} for batch in (8, 32, 128)}
    store = imported_store.write(saved(tmp_path, content, "..<b> $(x).json"), tmp_path / "results")
    assert store.folder.parent == tmp_path / "results"
    folder = report.write(store, tmp_path / "report")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2 and "&lt;script&gt;" in page  # the page's own


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
    "too many points": ({str(number): point(8, [1]) for number in range(reference_points.MOST_POINTS + 1)},
                        "at most 1,000"),
    "too many runs": ({"p": point(8, [1] * (reference_points.MOST_RUNS + 1))}, "at most 100,000"),
    "too large": (" " * (reference_points.MOST_BYTES + 1), "larger than 4 MiB"),
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
    runs = read(imported_store.write(saved(tmp_path, content), tmp_path / "results")).runs
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
        reference_points.read(Sources(path), Options())


@pytest.mark.parametrize("change", [
    {"imported": 5}, {"imported": {"format": "other"}}, {"imported": {"format": "mlperf-rcp"}},
    {"imported": {"format": "mlperf-rcp", "content": {"p": {"BS": 3}}}},
    {"imported": {"format": "mlperf-rcp", "runs": 3, "notes": "one"}}])
def test_a_damaged_import_is_one_sentence(tmp_path: Path, change: dict[str, Any],
                                          capsys: pytest.CaptureFixture[str]) -> None:
    store = imported_store.write(saved(tmp_path, resnet()), tmp_path / "results")
    plan = store.folder / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | change))
    assert cli.main(["report", str(store.folder)]) == EXIT_USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    done = batchscale("import", "neptune", "x.json", cwd=tmp_path)
    assert done.returncode == EXIT_USAGE and "mlperf-rcp" in done.stderr and "Traceback" not in done.stderr
