"""Claims and records where file systems, clocks and containers are not what one would like them to be."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.claiming import finish_all
from support.synthetic_records import record_for

from batchscale.benchmarks.errors import RecordError
from batchscale.benchmarks.records import leases
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig

Make = Callable[..., RunConfig]


@pytest.fixture
def run(tmp_path: Path, config: Make) -> Run:
    store = Store(tmp_path / "plan")
    store.prepare([config()], {"name": "plan"})
    return store.runs()[0]


def claimed(run: Run) -> Path:
    attempt = run.claim()
    assert attempt is not None
    return attempt


def change(attempt: Path, **values: object) -> None:
    write_json(attempt / "claim.json", {**json.loads((attempt / "claim.json").read_text()), **values})


def failing(number: int, first: Callable[..., Any] | None = None) -> Callable[..., None]:
    """A system call that ends in this error; `first`: after it was done all the same."""
    def call(*given: Any, **more: Any) -> None:
        if first:
            first(*given, **more)
        raise OSError(number, os.strerror(number))
    return call


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOSPC, errno.EROFS])
def test_a_folder_that_cannot_be_renamed_is_an_error_not_somebody_elses_claim(
        run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing(number))
        with pytest.raises(RecordError, match="cannot write .*attempt-01"):
            run.claim()
    assert run.status() == "pending" and not list(run.folder.glob(".claim-*"))


def test_a_rename_whose_answer_was_lost_is_still_ones_own_claim(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "rename", failing(errno.ENOENT, first=os.rename))
    assert claimed(run).name == "attempt-01" and run.status() == "running"


def test_a_rename_that_loses_to_another_is_not_ones_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rename replaces a folder that is not empty, the claim inside tells whose it is."""
    def replaced(source: Any, target: Any) -> None:
        target.mkdir()
        write_json(target / "claim.json", {"token": "another's"})
    monkeypatch.setattr(os, "rename", replaced)
    assert run.claim() is None


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_without_hard_links_records_and_failures_are_written_once_all_the_same(
        run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    attempt = claimed(run)
    run.fail(attempt, "preempted", 0, "stopped")
    run.fail(attempt, "failed", 1, "later")
    assert run.status() == "preempted"
    second = claimed(run)
    run.finish(second, record_for(run.config))
    before = run.record_path.read_bytes()
    with pytest.raises(RecordError, match="never replaced"):
        run.finish(second, record_for(run.config))
    assert run.record_path.read_bytes() == before and run.status() == "completed"


def test_a_link_whose_answer_was_lost_has_put_the_record_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = claimed(run)
    link = os.link

    def repeated(*given: Any) -> None:
        link(*given)
        raise FileExistsError(errno.EEXIST, "exists")
    monkeypatch.setattr(os, "link", repeated)
    run.finish(attempt, record_for(run.config))
    assert run.status() == "completed" and not (attempt / "record.json").exists()


def test_an_attempt_that_was_ended_by_others_cannot_become_a_result(run: Run) -> None:
    attempt = claimed(run)
    run.fail(attempt, "timed_out", 1, "no progress")
    with pytest.raises(RecordError, match="was ended .no progress.; its result is not used"):
        run.finish(attempt, record_for(run.config))
    assert run.status() == "timed_out" and not run.has_record


def test_a_clock_that_is_set_does_not_make_a_living_process_look_gone(
        run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed(run)
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 3600)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert run.status() == "running" and run.claim() is None


def test_another_process_with_the_same_id_is_not_the_claims(run: Run) -> None:
    attempt = claimed(run)
    change(attempt, process_began=leases.start_ticks(os.getpid()) - 1)
    assert run.status() == "lost"


def test_the_same_process_id_in_another_container_is_judged_by_its_heartbeat(run: Run) -> None:
    """A container shares the machine's boot, but not its process ids."""
    attempt = claimed(run)
    there = subprocess.run(["unshare", "--user", "--map-root-user", "--pid", "--fork", sys.executable, "-c",
                            "from batchscale.benchmarks.records.leases import boot_id; print(boot_id())"],
                           capture_output=True, text=True)
    if there.returncode:
        pytest.skip(f"no container can be made here: {there.stderr.strip()}")
    assert there.stdout.strip().split()[0] == leases.boot_id().split()[0]
    assert there.stdout.strip() != leases.boot_id()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    change(attempt, boot_id=there.stdout.strip(), pid=gone.pid)
    assert run.status() == "running" and run.claim() is None
    old = time.time() - 2 * leases.STALE_SECONDS
    os.utime(attempt / "claim.json", (old, old))
    assert run.status() == "lost"


def test_a_retry_is_made_once_even_by_a_node_whose_clock_is_behind(run: Run) -> None:
    asked = time.time() + 1
    run.fail(claimed(run), "failed", 0, "broken")
    again = run.claim(retry_before=asked)
    assert again is not None
    change(again, began=time.time() - 3600)
    run.fail(again, "failed", 0, "broken again")
    assert run.claim(retry_before=asked) is None
    assert run.claim(retry_before=asked + 10) is not None


def test_many_processes_do_many_runs_each_once(tmp_path: Path, config: Make) -> None:
    store = Store(tmp_path / "plan")
    store.prepare([config(seed=seed) for seed in range(24)], {"name": "plan"})
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(4), context.Value("i", 0)
    processes = [context.Process(target=finish_all, args=(str(store.folder), barrier, wins)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4 and wins.value == 24
    assert {(run.status(), len(run.attempts())) for run in store.runs()} == {("completed", 1)}
    assert not [path for path in store.folder.rglob(".*")]
