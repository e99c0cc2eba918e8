"""Files that are torn, moved or edited between two commands: never believed by half, never done twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import known_workloads, starts
from support.launching import environment
from support.synthetic_records import record_for

from batchscale.benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.seal import sealed
from batchscale.benchmarks.records.store import open_store, Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers import cli
from batchscale.launchers.commands.results import verify

Make = Callable[..., RunConfig]
Printed = pytest.CaptureFixture[str]
PLAN = """
[plan]
name = "mine"
drift_guard = false
[[experiment]]
name = "sgd"
dataset = "digits"
model = "mlp_128"
global_batches = {batches}
reference_batch = 32
seeds = {seeds}
epochs = 1
"""


def finish(run: Run) -> None:
    attempt = run.claim()
    assert attempt is not None
    run.finish(attempt, record_for(run.config))


def forget(attempt: Path) -> None:
    """The process of the attempt has ended."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim = json.loads((attempt / "claim.json").read_text())
    write_json(attempt / "claim.json", {**claim, "pid": dead.pid, "process_began": 0.0})


def prepared(folder: Path, batches: list[int], seeds: int) -> Store:
    """The plan as a command leaves it that may start no run."""
    plan = folder / "mine.toml"
    plan.write_text(PLAN.format(batches=batches, seeds=seeds))
    known_workloads.invent(plan, folder / "results" / "mine")
    before = starts.count()
    cli.main(["run", str(plan), "--results", str(folder / "results"), "--budget", "0s"])
    assert starts.count() == before
    return open_store(folder / "results")


def test_a_record_cut_at_every_byte_is_never_believed(tmp_path: Path, config: Make) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config(kind="memory")], {})
    [run] = store.runs()
    finish(run)
    whole = run.record_path.read_bytes()
    for cut in range(len(whole)):
        run.record_path.write_bytes(whole[:cut])
        record, wrong = run.examine()
        assert wrong and (record is None or sealed(record) != sealed(json.loads(whole)) or cut == len(whole) - 1)
    run.record_path.write_bytes(whole)
    assert run.examine() == (json.loads(whole), []) and run.status() == "completed"


def test_every_file_beside_the_record_may_be_cut_at_every_byte(tmp_path: Path, config: Make) -> None:
    """A torn claim is no living one, a torn failure no reason, a torn configuration or list of runs one sentence."""
    store = Store(tmp_path / "mine")
    store.prepare([config()], {"name": "mine"})
    [run] = store.runs()
    attempt = run.claim()
    assert attempt is not None
    run.fail(attempt, "failed", 0, "broken")
    for path, allowed in ((attempt / "claim.json", {"failed"}), (attempt / "failure.json", {"running", "failed"})):
        whole = path.read_bytes()
        for cut in range(len(whole)):
            path.write_bytes(whole[:cut])
            assert run.status() in allowed
            verify.examine(store)
        path.write_bytes(whole)
    whole = (run.folder / "config.json").read_bytes()
    for cut in range(0, len(whole), 3):
        (run.folder / "config.json").write_bytes(whole[:cut])
        assert [path.name for path, _ in verify.examine(store).corrupt] == ["config.json"]


def test_results_that_were_moved_are_told_reported_and_gone_on_with(tmp_path: Path, capsys: Printed) -> None:
    store = prepared(tmp_path, [32, 64], seeds=1)
    for run in store.runs()[:1]:
        finish(run)
        forget(run.attempts()[0])
    before = store.runs()[0].record_path.read_bytes()
    shutil.move(tmp_path / "results", tmp_path / "elsewhere")
    capsys.readouterr()
    assert cli.main(["status", str(tmp_path / "elsewhere")]) == EXIT_INCOMPLETE
    said = capsys.readouterr().out
    assert "1 completed, 1 pending" in said and f"--results {tmp_path / 'elsewhere'}" in said
    assert cli.main(["run", str(tmp_path / "mine.toml"), "--results", str(tmp_path / "elsewhere"), "--budget",
                     "0s"]) == EXIT_INCOMPLETE
    assert "1 of 2 runs was done before" in capsys.readouterr().out
    assert open_store(tmp_path / "elsewhere").runs()[0].record_path.read_bytes() == before
    assert cli.main(["verify", str(tmp_path / "elsewhere")]) == EXIT_OK


def test_an_edited_plan_keeps_what_it_still_lists_and_does_what_is_new(tmp_path: Path, capsys: Printed) -> None:
    for run in prepared(tmp_path, [32, 64], seeds=1).runs():
        finish(run)
        forget(run.attempts()[0])
    before = {path: path.read_bytes() for path in tmp_path.rglob("record.json")}
    store = prepared(tmp_path, [32, 128], seeds=1)
    assert [(run.config.global_batch, run.status()) for run in sorted(store.runs(), key=lambda r: r.config.global_batch)
            ] == [(32, "completed"), (128, "pending")]
    assert [run.config.global_batch for run in store.others()] == [64]
    assert {path: path.read_bytes() for path in tmp_path.rglob("record.json")} == before


def test_a_watchdog_that_was_edited_makes_no_other_run(tmp_path: Path) -> None:
    store = prepared(tmp_path, [32], seeds=1)
    plan = tmp_path / "mine.toml"
    plan.write_text(plan.read_text().replace("drift_guard", "watchdog_seconds = 7\ndrift_guard"))
    cli.main(["run", str(plan), "--results", str(tmp_path / "results"), "--budget", "0s"])
    again = open_store(tmp_path / "results")
    assert again.manifest.settings["watchdog_seconds"] == 7
    assert [run.run_id for run in again.runs()] == [run.run_id for run in store.runs()]


@pytest.mark.parametrize("make", [
    lambda path: os.mkfifo(path), lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/etc/passwd"), lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("/proc/self/mem")], ids=["fifo", "folder", "device", "elsewhere", "itself", "memory"])
def test_a_record_that_is_no_plain_file_is_named_and_never_waited_for(
        tmp_path: Path, config: Make, make: Callable[[Path], Any], capsys: Printed) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config(), config(seed=1)], {"name": "mine"})
    bad, good = store.runs()
    finish(good)
    make(bad.record_path)
    assert cli.main(["verify", str(store.folder)]) == EXIT_RUNS_FAILED
    assert f"corrupt: {bad.record_path}: " in capsys.readouterr().out
    assert cli.main(["clean", str(store.folder), "--yes"]) == EXIT_OK
    assert cli.main(["status", str(store.folder)]) in (EXIT_OK, EXIT_INCOMPLETE, EXIT_RUNS_FAILED)
    assert bad.record() is None and good.status() == "completed"


@pytest.mark.parametrize("name", ["claim.json", "failure.json", "launcher.json"])
def test_a_pipe_in_the_place_of_an_attempts_file_stops_nobody(tmp_path: Path, config: Make, name: str) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config()], {"name": "mine"})
    [run] = store.runs()
    attempt = run.claim()
    assert attempt is not None
    (attempt / name).unlink(missing_ok=True)
    os.mkfifo(attempt / name)
    assert run.status() in ("lost", "failed", "running")
    cli.main(["status", str(store.folder)])
    cli.main(["verify", str(store.folder)])
    cli.main(["clean", str(store.folder), "--yes"])


@pytest.mark.parametrize("name", [b"\xff-run", "é\u202e".encode(), b"a\ncorrupt: b", b"\x1b[2J\x07"])
def test_any_name_of_a_folder_is_shown_in_one_line_that_a_terminal_can_take(
        tmp_path: Path, config: Make, name: bytes) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config()], {"name": "mine"})
    odd = store.folder / os.fsdecode(name)
    odd.mkdir()
    for file in ("config.json", "record.json", ".record.json.1.abcdef"):
        (odd / file).write_text("{")
    os.utime(odd / ".record.json.1.abcdef", (0, 0))
    for command, count in (("verify", 4), ("clean", 2)):
        done = subprocess.run([sys.executable, "-m", "batchscale.launchers.cli", command, str(store.folder)],
                              capture_output=True, env={**environment(), "PYTHONIOENCODING": "utf-8:strict"})
        lines = done.stdout.decode().splitlines()
        assert done.returncode in (EXIT_OK, EXIT_RUNS_FAILED) and not done.stderr
        assert len(lines) == count and all(line.isprintable() for line in lines), lines


def test_what_a_failure_says_cannot_speak_to_the_terminal(tmp_path: Path, config: Make, capsys: Printed) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config()], {"name": "mine"})
    attempt = store.runs()[0].claim()
    assert attempt is not None
    write_json(attempt / "failure.json", {"status": "failed", "rank": "\x1b[2J", "host": "a\nb", "message": "\x07"})
    cli.main(["status", str(store.folder)])
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_an_attempt_that_is_a_link_is_none_of_the_runs(tmp_path: Path, config: Make) -> None:
    store = Store(tmp_path / "mine")
    store.prepare([config()], {"name": "mine"})
    [run] = store.runs()
    finish(run)
    os.symlink("/", run.folder / "attempt-09")
    assert [attempt.name for attempt in run.attempts()] == ["attempt-01"] and run.status() == "completed"
    assert cli.main(["clean", str(store.folder), "--yes"]) == EXIT_OK
