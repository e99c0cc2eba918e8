"""The store: one process gets a run, results stay, and a status is never better than the truth."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.claiming import claim_one
from support.synthetic_records import record_for

from batchscale.benchmarks.errors import BatchscaleError, RecordError
from batchscale.benchmarks.records import leases
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.run_folder import attempt_number, Run
from batchscale.benchmarks.records.seal import sealed
from batchscale.benchmarks.records.store import open_store, Store
from batchscale.benchmarks.runs.run_config import RunConfig

Make = Callable[..., RunConfig]


@pytest.fixture
def store(tmp_path: Path, config: Make) -> Store:
    made = Store(tmp_path / "plan")
    made.prepare([config(seed=seed) for seed in range(3)], {"name": "plan", "source": "plan.toml"})
    return made


def record_of(run: Run) -> dict[str, Any]:
    return record_for(run.config)


def finish(run: Run) -> None:
    attempt = run.claim()
    assert attempt is not None
    run.finish(attempt, record_of(run))


def lose(run: Run) -> None:
    """An attempt whose process ended without a word."""
    attempt = run.claim()
    assert attempt is not None
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim = json.loads((attempt / "claim.json").read_text())
    write_json(attempt / "claim.json", {**claim, "pid": dead.pid, "process_began": 0.0})


def test_runs_are_claimed_in_the_plans_order_and_each_once(store: Store) -> None:
    runs = store.runs()
    taken = [store.claim_next(runs) for _ in range(4)]
    assert [t[0].run_id for t in taken if t] == [run.run_id for run in runs]
    assert taken[3] is None
    assert {run.status() for run in runs} == {"running"}


def test_of_many_processes_at_once_exactly_one_gets_the_run(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(4), context.Value("i", 0)
    run_id = store.runs()[0].run_id
    processes = [context.Process(target=claim_one, args=(str(store.folder), run_id, barrier, wins)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert wins.value == 1


def test_a_finished_run_is_final_and_its_record_is_never_replaced(store: Store) -> None:
    run = store.runs()[0]
    attempt = run.claim()
    assert attempt is not None
    run.finish(attempt, record_of(run))
    before = (run.folder / "record.json").read_bytes()
    assert run.status() == "completed" and run.claim() is None
    with pytest.raises(RecordError, match="never replaced"):
        run.finish(attempt, {**record_of(run), "attempt": 9})
    assert (run.folder / "record.json").read_bytes() == before


def test_a_lost_run_is_tried_three_times_then_failed(store: Store) -> None:
    run = store.runs()[0]
    for attempt in range(3):
        lose(run)
        assert run.status() == ("lost" if attempt < 2 else "failed")
    assert run.claim() is None
    assert run.claim(retry_before=time.time() + 1) is not None
    assert run.status() == "running"


@pytest.mark.parametrize("status,again", [("invalid", False), ("failed", False), ("out_of_memory", False),
                                          ("preempted", True), ("timed_out", True)])
def test_what_a_failure_means_for_the_next_try(store: Store, status: str, again: bool) -> None:
    run = store.runs()[0]
    attempt = run.claim()
    assert attempt is not None
    run.fail(attempt, status, 1, ValueError("first line\nsecond line"), "trace")
    run.fail(attempt, "failed", 0, "later")
    assert run.status() == status
    failure = run.failure()
    assert failure and (failure["rank"], failure["message"], failure["error"]) == (1, "first line", "ValueError")
    assert (run.claim() is not None) is again


def test_the_hundredth_attempt_of_a_run_that_goes_forward_counts_like_any_other(store: Store) -> None:
    run = store.runs()[0]
    for _ in range(100):
        attempt = run.claim()
        assert attempt is not None
        (attempt / "checkpoint.json").write_text("{}")
        run.fail(attempt, "preempted", 0, "stopped")
    assert run.attempts()[-1].name == "attempt-100"
    last = run.claim()
    assert last is not None
    run.finish(last, {**record_of(run), "attempt": attempt_number(last)})
    record = run.record()
    assert record and record["attempt"] == 101


def test_an_attempt_that_was_taken_over_cannot_write_its_result(store: Store) -> None:
    run = store.runs()[0]
    old = run.claim()
    assert old is not None
    run.fail(old, "preempted", 0, "stopped")
    assert run.claim() is not None
    with pytest.raises(RecordError, match="taken over"):
        run.finish(old, record_of(run))
    assert run.record() is None


def test_a_record_cut_at_any_byte_is_set_aside_named_and_done_again(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    whole = (run.folder / "record.json").read_bytes()
    for cut in (0, 1, len(whole) // 3, len(whole) - 2):
        (run.folder / "record.json").write_bytes(whole[:cut])
        assert run.record() is None
        assert run.status() != "completed"
    assert len(run.corrupt()) == 4
    assert run.corrupt()[0].read_bytes() == b""
    assert run.claim() is None or run.status() == "running"


def test_a_record_that_breaks_the_schema_is_not_believed(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    record = json.loads((run.folder / "record.json").read_text())
    changes: list[dict[str, Any]] = [{"schema_version": None}, {"status": "great"},
                                     {"evaluations": [{"step": "one"}]}, {"run_id": "other"}]
    for change in changes:
        (run.folder / "record.json").write_text(json.dumps({**record, **change}))
        assert run.record() is None
    reason = run.corrupt()[-1].with_suffix(".txt").read_text()
    assert "belongs to run 'other'" in reason


def test_a_record_of_another_schema_version_is_left_alone(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    record = json.loads((run.folder / "record.json").read_text())
    (run.folder / "record.json").write_text(json.dumps({**record, "schema_version": 99}))
    assert run.status() == "unreadable" and run.record() is None and run.claim() is None
    assert run.corrupt() == [] and (run.folder / "record.json").exists()


def test_a_claim_is_alive_while_its_process_is_and_by_heartbeat_on_another_machine(store: Store) -> None:
    attempt = store.runs()[0].claim()
    assert attempt is not None and leases.alive(attempt / "claim.json")
    claim = json.loads((attempt / "claim.json").read_text())
    write_json(attempt / "claim.json", {**claim, "boot_id": "another machine"})
    assert leases.alive(attempt / "claim.json")
    old = time.time() - 2 * leases.STALE_SECONDS
    os.utime(attempt / "claim.json", (old, old))
    assert not leases.alive(attempt / "claim.json")
    assert store.runs()[0].status() == "lost"


def test_an_edited_plan_keeps_the_runs_of_the_old_one_apart(store: Store, config: Make) -> None:
    finish(store.runs()[0])
    store.prepare([config(seed=7)], {"name": "plan"})
    assert [run.config.seed for run in store.runs()] == [7]
    assert len(store.others()) == 3


def test_results_are_opened_by_plan_or_by_the_folder_above(store: Store) -> None:
    assert open_store(store.folder).folder == open_store(store.folder.parent).folder == store.folder
    write_json(store.folder.parent / "second" / "plan.json", {"runs": []})
    with pytest.raises(BatchscaleError, match="holds 2 plans; name one"):
        open_store(store.folder.parent)
    with pytest.raises(RecordError, match="holds no results"):
        open_store(store.folder / "nothing")


@pytest.mark.parametrize("name", ["../../elsewhere", "..", ".", "", "/etc", "a/b", "a\0b", "a" * 300, "-x\n"])
def test_a_path_in_a_plan_cannot_leave_the_folder(store: Store, name: str) -> None:
    with pytest.raises(RecordError, match="cannot name a folder"):
        store.run(name)


def test_a_record_that_was_changed_by_one_digit_is_not_believed(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    text = run.record_path.read_text()
    assert '"content_hash"' in text and run.record() == json.loads(text)
    run.record_path.write_text(text.replace('"examples": 128', '"examples": 129', 1))
    assert run.record() is None
    assert "changed after it was written" in run.corrupt()[0].with_suffix(".txt").read_text()


def test_the_hash_is_over_sorted_compact_json_without_itself(store: Store) -> None:
    record = sealed({"b": [1, 2.5, None], "a": {"x": float("nan")}, "content_hash": "old"})
    assert record["content_hash"] == hashlib.sha256(b'{"a":{"x":null},"b":[1,2.5,null]}').hexdigest()


def test_a_record_without_a_hash_is_still_read(store: Store) -> None:
    run = store.runs()[0]
    finish(run)
    record = json.loads(run.record_path.read_text())
    del record["content_hash"]
    run.record_path.write_text(json.dumps(record))
    assert run.record() == record


def test_a_failure_cannot_claim_to_be_a_result(store: Store) -> None:
    run = store.runs()[0]
    attempt = run.claim()
    assert attempt is not None
    write_json(attempt / "failure.json", {"status": "completed"})
    assert run.status() == "failed"


def test_a_removed_attempt_does_not_stop_the_next_one(store: Store) -> None:
    run = store.runs()[0]
    for _ in range(2):
        lose(run)
    shutil.rmtree(run.attempts()[0])
    attempt = run.claim()
    assert attempt is not None and attempt.name == "attempt-03"


def test_a_file_that_is_huge_or_deeply_nested_is_refused_in_bounded_memory(store: Store) -> None:
    run = store.runs()[0]
    for text, reason in (("[" * 100_000, "nested"), ("[" * 40 + "]" * 40, "nested more than 32 levels"),
                         ('{"a": "\\ud800"}', "surrogate"), ("9" * 5000, "not whole JSON")):
        run.record_path.write_text(text)
        assert reason in run.examine()[1][0]
    with open(run.record_path, "wb") as file:
        file.truncate(2**31)  # sparse
    assert run.examine()[1] == ["it is larger than 64 MiB"]
    assert run.status() == "unreadable" and not run.corrupt()


def test_a_record_that_cannot_be_opened_now_is_kept_and_not_done_again(
        store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.runs()[0]
    finish(run)

    def refuse(*given: object, **more: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")
    with monkeypatch.context() as patch:
        patch.setattr("batchscale.benchmarks.records.json_files.open", refuse, raising=False)
        assert run.record() is None and run.status() == "unreadable" and run.claim() is None
    assert run.status() == "completed" and not run.corrupt()


def test_a_full_or_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write .*--results"):
        write_json(tmp_path / "file" / "x.json", {})


def test_nan_becomes_null(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"loss": [float("nan"), float("inf"), 1.0]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"loss": [None, None, 1.0]}
