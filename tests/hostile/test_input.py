"""Names and files from others: text stays text, paths stay inside the results folder, nothing is executed."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from soak import fuzz
from soak import fuzz_targets
import msgspec
import numpy as np
import pytest
from support.synthetic_records import record_for, write_store

from batchscale.analysis.report import page as report
from batchscale.analysis.tables import reading
from batchscale.benchmarks.data import describe_size
from batchscale.benchmarks.data.sources.npz import read_arrays
from batchscale.benchmarks.errors import EXIT_USAGE, LONGEST_MESSAGE, BatchscaleError, DataError, PlanError, RecordError
from batchscale.benchmarks.planning import expansion, plan
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.seal import sealed
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers import cli

SCRIPT = "<script>alert(1)</script>"
MARKUP = (SCRIPT, "\"><img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "</title><svg onload=alert(1)>",
          "{{7*7}}{% include 'x' %}", "</pre></details><iframe>")
PATHS = ("../x", "..", ".", "/etc/x", "a/b", "a\\\\b", "~", "-x", "", " ", "\\u0000", "a\\u0000b", "a\\nb", "x" * 300,
         "x" * 100_000, "\\u202ex", SCRIPT)
PLAN = """
[plan]
name = "{plan}"
[[experiment]]
name = "{experiment}"
dataset = "{dataset}"
model = "mlp_128"
global_batches = [32]
seeds = 1
"""


class Tags(HTMLParser):
    """What a browser would take for elements, with their attributes; name and id of each script and form."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.acting: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag in ("script", "form"):
            self.acting.append((tag, dict(attrs).get("id") or ""))
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]


def config(**changes: Any) -> RunConfig:
    return RunConfig(**{"experiment": "sgd", "kind": "accuracy", "dataset": "digits", "model": "mlp_128", "seed": 0,
                        "optimizer": "sgd", "global_batch": 64, "train_examples": 256, "epochs": 1, **changes})


def hostile_store(folder: Path, text: str) -> Store:
    """A plan whose every name is `text`, with a record and a failure that hold it, too."""
    configs = [config(dataset=text, model=text, seed=seed) for seed in range(2)]
    record = record_for(configs[0])
    record["environment"] |= {"host": text, "processor": text, "packages": {text: text}}
    record["workload"]["source"] = record["warnings"] = text
    record["warnings"] = [text]
    store = write_store(folder / "mine", [record], name=text, question=text, text=text, source=text, skipped=[
        {"experiment": text, "what": text, "reason": text}], settings={"question": text, "leaves_out": [text]})
    store.prepare(configs, {**msgspec.to_builtins(store.manifest), "runs": [c.run_id for c in configs]})
    write_json(store.folder / "plan.json", {**msgspec.to_builtins(store.manifest), "runs": [c.run_id for c in configs]})
    failed = store.runs()[1]
    attempt = failed.claim()
    assert attempt is not None
    failed.fail(attempt, "failed", 0, f"{text}\n{text}", text)
    # By hand, since a configuration refuses it: an experiment's name is part of a folder's name.
    values = json.loads(store.runs()[0].record_path.read_text())
    values["config"]["experiment"] = text
    store.runs()[0].record_path.write_text(json.dumps(sealed(values)))
    return store


@pytest.mark.parametrize("text", MARKUP)
def test_a_name_stays_text_in_the_report(tmp_path: Path, text: str) -> None:
    store = hostile_store(tmp_path, text)
    report.write(store, tmp_path / "report")
    page = Tags((tmp_path / "report" / "index.html").read_text(encoding="utf-8"))
    own = {("form", ""), ("script", "live"), ("script", "")}
    assert set(page.acting) <= own and len(page.acting) == len(set(page.acting))
    assert not page.names & {"img", "iframe", "object", "embed", "link", "base"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(target.startswith("#") or re.fullmatch(r"figures/[a-z0-9_-]+\.csv", target) for target in page.targets)
    markdown = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    outside = "".join(re.split(r"^```\w*$", markdown, flags=re.MULTILINE)[::2])
    assert not re.search(r"(?<!\\)<(script|img|svg|iframe|/)", outside)
    assert not re.search(r"(?<!\\)\]\(javascript", outside)
    assert {p.parent.name for p in (tmp_path / "report").rglob("*") if p.is_file()} <= {"report", "figures"}


@pytest.mark.parametrize("name", PATHS)
def test_no_name_in_a_plan_leads_out_of_the_results_folder(tmp_path: Path, name: str) -> None:
    for part in ("plan", "experiment"):
        text = PLAN.format(**{"plan": "mine", "experiment": "e", "dataset": "digits", part: name})
        with pytest.raises(PlanError) as error:
            expansion.expand(plan.parse(text), lambda dataset, fraction: 1000, {})
        assert len(str(error.value)) <= LONGEST_MESSAGE
        (tmp_path / "mine.toml").write_text(text)
        assert cli.main(["run", str(tmp_path / "mine.toml"), "--results", str(tmp_path / "results")]) == EXIT_USAGE
    assert os.listdir(tmp_path) == ["mine.toml"]


@pytest.mark.parametrize("dataset", ["npz:../x", "npz:/etc/passwd", "npz:" + "x" * 1900, "npz:~nobody_at_all/x", "npz:",
                                     "npz:/dev/zero", "npz:\\u0000", "synthetic:" + "9" * 1000, "../x", "/etc/passwd"])
def test_a_data_set_that_is_no_data_set_is_one_clear_error(dataset: str) -> None:
    made = plan.parse(PLAN.format(plan="mine", experiment="e", dataset=dataset))
    with pytest.raises(DataError) as error:
        describe_size(made.datasets[0])
    assert 20 < len(str(error.value)) <= LONGEST_MESSAGE


@pytest.mark.parametrize("run_id", ["../../outside", "..", "/tmp/x", "a/../b", "\0", "x" * 5000, 5, None, ["a"], {}])
def test_a_list_of_runs_cannot_name_other_folders(tmp_path: Path, run_id: object) -> None:
    store = write_store(tmp_path / "results" / "mine", [record_for(config())])
    write_json(store.folder / "plan.json", {**msgspec.to_builtins(store.manifest), "runs": [run_id]})
    before = sorted(tmp_path.rglob("*"))
    for command in (["status"], ["report"], ["clean", "--yes"], ["verify"]):
        assert cli.main([command[0], str(store.folder), *command[1:]]) in (0, 1, 2)
    with pytest.raises(RecordError):
        reading.read(store)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [
    ("run", "x" * 5000), ("run", "/dev/null"), ("run", "a\0b.toml"), ("run", "a\0b.json"),
    ("status", "x" * 5000), ("verify", "a\0b"), ("report", "a\0b"), ("clean", "/dev/null")])
def test_odd_paths_on_the_command_line_are_one_clear_error(words: tuple[str, ...], capsys: pytest.CaptureFixture[str],
                                                           tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == EXIT_USAGE
    printed = capsys.readouterr().err
    assert printed.startswith(f"batchscale {words[0]}: ") and len(printed) <= LONGEST_MESSAGE + 50
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("text", "message"), [
    ("a = " + "[" * 200_000, "not valid TOML|nested"), ("a = " + "{b=" * 30 + "1" + "}" * 30, "nested"),
    ("a" + ".a" * 100_000 + " = 1", "parts between dots"), ("a = " + "9" * 5000, "not valid TOML"),
    ("#" * 2**21, "characters"), (PLAN.replace("seeds = 1", "seeds = 9007199254740992"), "the most is 20,000"),
    (PLAN.replace("[32]", f"{[8] * 1000}"), "at most 256"), ("\0", "not valid TOML")])
def test_a_plan_that_is_huge_deep_or_endless_is_refused_at_once(text: str, message: str) -> None:
    for part in ("plan", "experiment", "dataset"):
        text = text.replace(f"{{{part}}}", "digits")
    with pytest.raises(PlanError, match=message):
        expansion.expand(plan.parse(text), lambda dataset, fraction: 1000, {})


def test_nothing_in_an_archive_is_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    arrays: dict[str, Any] = {name: np.zeros((4, 2), np.float32) for name in ("x_train", "x_test")}
    arrays |= {"y_train": np.array([Payload(ran)] * 4, dtype=object), "y_test": np.arange(4)}
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(tmp_path / "mine.npz")
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Payload(ran)))
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(tmp_path / "plain.npz")
    assert not ran.exists()


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_an_archive_that_claims_more_than_memory_is_refused_before_it_is_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays: dict[str, Any] = {name: np.zeros((4, 2), np.float32) for name in names}
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100})())
    with pytest.raises(DataError, match="memory left"):
        read_arrays(tmp_path / "mine.npz")


def test_the_fuzzer_sees_writes_outside_and_unpickling(tmp_path: Path) -> None:
    guard = fuzz.Guard(str(tmp_path / "inside"), active=True)
    guard("open", (str(tmp_path / "inside" / "x"), "w", 0))
    guard("open", (str(tmp_path / "outside"), "r", os.O_RDONLY))
    assert guard.seen == []
    guard("open", (str(tmp_path / "inside" / ".." / "outside"), "wb", 0))
    guard("os.rename", (str(tmp_path / "inside" / "x"), str(tmp_path / "y")))
    guard("pickle.find_class", ("os", "system"))
    assert len(guard.seen) == 3


def test_a_message_of_any_length_is_cut_and_says_so() -> None:
    assert str(BatchscaleError("short")) == "short"
    text = str(BatchscaleError("a" * 10**6 + "the fix"))
    assert len(text) <= LONGEST_MESSAGE and text.endswith("the fix") and " ... " in text


@pytest.mark.slow
def test_a_hundred_changed_files_of_each_format_end_in_a_value_or_a_clear_error(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "soak.fuzz", "--count", "100", "--seconds", "20", "--keep", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240,
                          cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("100 inputs") == len(fuzz_targets.TARGETS)
