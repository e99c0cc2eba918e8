"""What the machine itself may do to a study: no space, no memory, no writing, stuck processes, two commands at once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.launching import batchscale, environment
from support.faulty_study import Study
from support.programs.faulty import fill
from soak.reliability_sweep import role, wait

from batchscale.benchmarks.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_RUNS_FAILED, EXIT_USAGE
from batchscale.benchmarks.records.failures import ending
from batchscale.launchers.commands.results import verify

pytestmark = [pytest.mark.faults, pytest.mark.launched]

MEMORY_BYTES = 3 * 2**30
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; root alone can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True,
                             text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group that may use MEMORY_BYTES; root alone can make one."""
    old = CGROUPS / "memory"
    group = (old if old.is_dir() else CGROUPS) / f"batchscale-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if old.is_dir() else "memory.max")).write_text(str(MEMORY_BYTES))
    except OSError as error:
        shutil.rmtree(group, ignore_errors=True)
        pytest.skip(f"no memory control group can be made here: {error}")
    yield group
    wait(lambda: not (group / "cgroup.procs").read_text(), 30)
    group.rmdir()


def ended_well(study: Study) -> None:
    """The same command finishes the plan, and everything can be believed."""
    done = study.run("--retry")
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert {run.status() for run in study.store.runs()} == {"completed"}
    assert not verify.examine(study.store).corrupt and study.nobody_left()


def test_a_full_disk_ends_in_one_sentence_and_with_space_the_same_command_goes_on(small_disk: Path) -> None:
    study = Study(small_disk, {}, seeds=3)
    (small_disk / "faults.json").write_text("{}")
    assert study.run("--only", "seed=0").returncode == EXIT_OK
    fill(small_disk / "filler")
    done = study.run()
    assert done.returncode in (EXIT_USAGE, EXIT_INCOMPLETE)
    assert "No space left on device" in done.stdout + done.stderr
    assert study.of_seed(0).status() == "completed" and not verify.examine(study.store).corrupt
    (small_disk / "filler").unlink()
    ended_well(study)


def test_a_disk_that_fills_up_amid_a_run_loses_no_finished_one(small_disk: Path) -> None:
    study = Study(small_disk, {1: ("evaluation", 0, "fill")}, seeds=3)
    done = study.run()
    assert study.struck(1) and done.returncode in (EXIT_RUNS_FAILED, EXIT_INCOMPLETE, EXIT_USAGE)
    assert "No space left on device" in done.stdout + done.stderr + study.status().stdout
    assert not verify.examine(study.store).corrupt and study.nobody_left()
    (small_disk / "filler").unlink()
    ended_well(study)


def test_results_that_cannot_be_written_can_still_be_read(small_disk: Path, tmp_path: Path) -> None:
    study = Study(small_disk, {}, seeds=1, epochs=1)
    assert study.run().returncode == EXIT_OK
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert study.status().returncode == EXIT_OK
    assert batchscale("verify", "results", cwd=small_disk).returncode == EXIT_OK
    report = batchscale("report", "results", "--output", str(tmp_path / "report"), cwd=small_disk)
    assert report.returncode == EXIT_OK, report.stderr
    for words in (["run", "sweep.toml"], ["report", "results"], ["run", "sweep.toml", "--results", "new"]):
        done = batchscale(*words, cwd=small_disk)
        assert done.returncode == EXIT_USAGE and done.stderr.count("\n") == 1, done.stderr
        assert "Read-only file system" in done.stderr


def test_a_rank_that_takes_more_memory_than_it_may_is_a_result_and_the_others_are_done(
        tmp_path: Path, memory_group: Path) -> None:
    study = Study(tmp_path, {1: ("build", 0, "hog")}, seeds=3)
    join = f"echo $$ > {memory_group}/cgroup.procs && exec batchscale run sweep.toml"
    # One worker: with two, either could have taken the memory.
    done = subprocess.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), "sh", "-c", join], cwd=tmp_path,
                          env=environment(), capture_output=True, text=True, timeout=600)
    assert study.struck(1) and done.returncode == EXIT_OK, done.stdout + done.stderr
    assert [study.of_seed(seed).status() for seed in range(3)] == ["completed", "out_of_memory", "completed"]
    found = ending(study.of_seed(1).attempts()[0])
    assert found.where.startswith("rank 0 on ") and "killed for want of memory" in found.message
    assert len(study.of_seed(1).attempts()) == 1 and study.nobody_left()


def test_a_process_that_is_halted_or_stuck_in_c_is_ended_without_another_rank_to_say_so(tmp_path: Path) -> None:
    study = Study(tmp_path, {0: ("evaluation", 0, "halt"), 1: ("evaluation", 0, "stick")}, seeds=3,
                  watchdog_seconds=20)
    done = study.run()
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert [len(study.of_seed(seed).attempts()) for seed in range(3)] == [2, 2, 1]
    for seed, said in ((0, "is halted"), (1, "Python itself was stuck")):
        found = ending(study.of_seed(seed).attempts()[0])
        assert found.status == "timed_out" and found.where.startswith("rank 0 on ") and said in found.message
        assert "in strike" in (tmp_path / found.logs / "worker.log").read_text()
    assert study.nobody_left()


def test_a_data_set_that_hangs_is_given_up_before_any_rank_starts(tmp_path: Path) -> None:
    study = Study(tmp_path, {}, watchdog_seconds=60)
    (tmp_path / "slow.py").write_text("import time\n\ndef build(shape, classes):\n    time.sleep(3600)\n")
    plan = tmp_path / "sweep.toml"
    plan.write_text(plan.read_text().replace("faulty:make", "digits").replace("mlp_128", "slow:build"))
    done = study.run()
    assert done.returncode == EXIT_USAGE and done.stderr.count("\n") == 1
    assert "not described within 60 s (watchdog_seconds)" in done.stderr and "in build" in done.stderr


def test_everything_killed_at_once_is_told_as_lost_and_the_same_command_goes_on(tmp_path: Path) -> None:
    study = Study(tmp_path, {}, seeds=3, epochs=40)
    process = study.start()
    assert wait(study.working, 300)
    for victim in study.processes():
        victim.kill()
    process.wait(30)
    assert study.nobody_left()
    status = study.status()
    assert status.returncode == EXIT_INCOMPLETE and "lost" in status.stdout, status.stdout
    assert "lost, rank 0 on " in status.stdout and "so is its launcher" in status.stdout
    assert "to go on: batchscale run sweep.toml --results results" in status.stdout
    ended_well(study)


def test_two_commands_at_once_share_the_runs_and_do_none_twice(tmp_path: Path) -> None:
    """Each with a lock folder of its own, as on two nodes."""
    study = Study(tmp_path, {}, seeds=6, epochs=3)
    processes = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with open(tmp_path / f"{name}.log", "w") as log:
            processes.append(subprocess.Popen(["batchscale", "run", "sweep.toml"], cwd=tmp_path, stdout=log, stderr=log,
                                              env=environment(BATCHSCALE_LOCK=str(tmp_path / name / "lock"))))
    codes = [process.wait(600) for process in processes]
    said = "".join((tmp_path / f"{name}.log").read_text() for name in ("one", "other"))
    assert codes == [EXIT_OK, EXIT_OK] and "Traceback" not in said, said
    assert [(run.status(), len(run.attempts())) for run in study.store.runs()] == [("completed", 1)] * 6
    assert not verify.examine(study.store).corrupt and study.nobody_left()


def test_a_halted_orphan_does_not_hold_its_run_for_ever(tmp_path: Path) -> None:
    study = Study(tmp_path, {}, seeds=1, epochs=60)
    launcher = study.start()
    assert wait(study.working, 300)
    [rank] = [p for p in study.processes() if role(p, launcher.pid) == "rank"]
    rank.send_signal(signal.SIGSTOP)
    launcher.kill()
    launcher.wait()
    [run] = study.store.runs()
    claim = run.attempts()[0] / "claim.json"
    assert run.status() == "running"
    old = time.time() - 1000
    os.utime(claim, (old, old))
    assert run.status() == "lost"
    ended_well(study)
    assert not psutil.pid_exists(rank.pid) or rank.status() == psutil.STATUS_ZOMBIE
