"""verify names what cannot be believed and why; clean lists first and never touches a result or a living process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.synthetic_records import record_for

from batchscale.benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, RecordError
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers import cli
from batchscale.launchers.commands.results import clean, verify

Make = Callable[..., RunConfig]
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path, config: Make) -> Store:
    made = Store(tmp_path / "results" / "mine")
    made.prepare([config(seed=seed) for seed in range(3)], {"name": "mine", "source": "mine.toml"})
    return made


def finish(run: Run, attempts: int = 1) -> None:
    """A finished run whose earlier attempts were preempted."""
    for _ in range(attempts - 1):
        lost = run.claim()
        assert lost is not None
        run.fail(lost, "preempted", 0, "stopped")
        forget(lost)
    attempt = run.claim()
    assert attempt is not None
    run.finish(attempt, {**record_for(run.config), "attempt": attempts})
    forget(attempt)


def forget(attempt: Path) -> None:
    """The process of the attempt has ended."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim = json.loads((attempt / "claim.json").read_text())
    write_json(attempt / "claim.json", {**claim, "pid": dead.pid, "process_began": 0.0})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def change(run: Run, **values: object) -> None:
    run.record_path.write_text(json.dumps({**json.loads(run.record_path.read_text()), **values}))


def test_what_was_written_can_be_believed(store: Store, capsys: Printed) -> None:
    finish(store.runs()[0])
    assert cli.main(["verify", str(store.folder.parent)]) == EXIT_OK
    assert "2 of 2 files can be believed" in capsys.readouterr().out


@pytest.mark.parametrize(("values", "reason"), [
    ({"attempt": 7}, "content was changed after it was written"),
    ({"status": "great"}, "status='great' is not known; choose one of: completed, "),
    ({"timing": {}}, "timing.data_seconds is missing"),
    ({"run_id": "other"}, "it belongs to run 'other'"),
])
def test_a_corrupt_record_is_named_with_the_reason_and_left_where_it_is(
        store: Store, capsys: Printed, values: dict[str, object], reason: str) -> None:
    for run in store.runs():
        finish(run)
    bad = store.runs()[1]
    change(bad, **values)
    before = files(store.folder)
    assert verify.show(store.folder) == EXIT_RUNS_FAILED
    printed = capsys.readouterr().out
    assert f"corrupt: {bad.record_path}: " in printed and reason in printed
    assert printed.count("corrupt: ") == 1
    assert files(store.folder) == before


def test_a_record_cut_at_every_byte_is_corrupt_or_whole(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    whole = run.record_path.read_bytes()
    for cut in range(0, len(whole), 7):
        run.record_path.write_bytes(whole[:cut])
        assert verify.examine(store).corrupt[0][0] == run.record_path


def test_a_configuration_that_is_not_the_records_own_is_corrupt(store: Store, config: Make) -> None:
    run = store.runs()[0]
    finish(run)
    values = json.loads((run.folder / "config.json").read_text())
    write_json(run.folder / "config.json", {**values, "config": {**values["config"], "seed": 9}})
    [(path, reason)] = verify.examine(store).corrupt
    assert path == run.record_path and reason == "its configuration is not that of config.json beside it"
    (run.folder / "config.json").write_text("{")
    assert [path.name for path, _ in verify.examine(store).corrupt] == ["config.json"]


def test_a_record_set_aside_is_corrupt_until_the_run_was_done_again(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    run.record_path.write_text("{")
    assert run.record() is None
    [(path, reason)] = verify.examine(store).corrupt
    assert path == run.corrupt()[0] and "set aside: it is not whole JSON" in reason
    forget(run.attempts()[0])
    finish(run)
    found = verify.examine(store)
    assert not found.corrupt and "the run was done again" in found.notes[0][1]


def test_other_versions_and_missing_hashes_are_notes(store: Store) -> None:
    old, bare, _ = store.runs()
    for run in (old, bare):
        finish(run)
    change(old, schema_version=99)
    record = json.loads(bare.record_path.read_text())
    del record["content_hash"]
    bare.record_path.write_text(json.dumps(record))
    found = verify.examine(store)
    assert not found.corrupt
    assert sorted(reason[:17] for _, reason in found.notes) == ["no hash: only the", "schema version 99"]


def test_without_its_list_of_runs_the_records_are_still_checked(store: Store) -> None:
    finish(store.runs()[0])
    (store.folder / "plan.json").write_text("[")
    found = verify.examine(store)
    assert found.good == 1 and [path.name for path, _ in found.corrupt] == ["plan.json"]
    with pytest.raises(RecordError, match="holds no results"):
        verify.show(store.folder / "nowhere")


def kinds(store: Store) -> list[tuple[str, str]]:
    return [(item.what, str(item.path.relative_to(store.folder)).partition("/")[2] or item.path.name)
            for item in clean.leftovers(store)]


def test_clean_lists_first_and_removes_only_with_yes(store: Store, capsys: Printed) -> None:
    done, _, lost = store.runs()
    finish(done, attempts=2)
    assert (attempt := lost.claim()) is not None
    forget(attempt)
    orphan = done.folder / ".record.json.123.abcdef"
    orphan.write_text("half")
    os.utime(orphan, (0, 0))
    before = files(store.folder)
    assert cli.main(["clean", str(store.folder)]) == EXIT_OK
    printed = capsys.readouterr().out
    assert files(store.folder) == before and "3 leftovers" in printed and "--yes" in printed
    assert sorted(kinds(store)) == [("old attempt", "attempt-01"), ("orphan temporary file", ".record.json.123.abcdef"),
                                    ("stale claim", "attempt-01")]
    assert cli.main(["clean", str(store.folder), "--yes"]) == EXIT_OK
    assert "3 removed" in capsys.readouterr().out
    after = files(store.folder)
    assert after.items() < before.items() and done.status() == "completed" and lost.status() == "pending"
    assert clean.show(store.folder, remove=True) == EXIT_OK
    assert "nothing to clean" in capsys.readouterr().out and files(store.folder) == after


def test_what_lives_or_says_why_it_failed_is_kept(store: Store) -> None:
    live, failed, young = store.runs()
    assert live.claim() is not None
    assert (attempt := failed.claim()) is not None
    failed.fail(attempt, "failed", 0, "broken")
    forget(attempt)
    (young.folder / ".config.json.1.abcdef").write_text("being written")
    assert kinds(store) == []


def test_set_aside_records_may_go_and_a_doubtful_one_keeps_its_attempts(store: Store) -> None:
    run = store.runs()[0]
    finish(run, attempts=2)
    text = run.record_path.read_text()
    run.record_path.write_text("{")
    assert kinds(store) == []
    assert run.record() is None
    run.record_path.write_text(text)
    assert sorted(kinds(store)) == [("old attempt", "attempt-01"), ("set-aside record", "record.corrupt-1.json"),
                                    ("set-aside record", "record.corrupt-1.txt")]


def test_links_are_neither_followed_nor_emptied(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "attempt-01"
    outside.mkdir(parents=True)
    (outside / "claim.json").write_text("{}")
    (outside.parent / "config.json").write_text("{}")
    os.symlink(outside.parent, store.folder / "linked")
    os.symlink(outside, store.runs()[0].folder / "attempt-01")
    clean.show(store.folder, remove=True)
    assert (outside / "claim.json").exists()
    assert not [path for path, _ in verify.examine(store).corrupt if "linked" in str(path)]
