"""Plans on a real Slurm cluster of two nodes, g9 and g10, that is started here on this one machine."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.slurm_study import (HEADER, SITE, Study, begun, first_failure, plan, rank_process, restart_now,
                                 running_cluster, slurm)

pytestmark = pytest.mark.slurm
SHAPES = HEADER + """
[[experiment]]
name = "shapes"
epochs = 1
strategies = ["horovod-gloo", "horovod-mpi", "mirrored", "multiworker"]
replicas = [2]
nodes = [1, 2]
[[experiment]]
name = "pace"
kind = "throughput"
strategies = ["horovod-gloo"]
replicas = [2]
nodes = [2]
windows = 2
launches = 1
"""
TWO_NODES = 'strategies = ["horovod-gloo"]\nreplicas = [2]\nnodes = [2]'
TWO_SHAPES = 'strategies = ["single", "mirrored"]'  # with one replica they need the same: one array of two tasks


@pytest.fixture(scope="session", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cluster, once for all tests; Slurm's commands find it by SLURM_CONF."""
    with running_cluster(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


@pytest.fixture(scope="module")
def cut_off(cluster: Path) -> Study:
    """Two runs in a job of one minute, of which Slurm looks only now and then whether its time is over.

    The second run's process is halted, so that the limit comes in its midst; any warning would wake it up. A partition
    of its own that is taken down keeps the requeued job from starting before a test has looked.
    """
    site = (SITE.replace("debug", "urgent").replace("00:20:00", "1").replace("60\n", "10\n")
            + 'sbatch_options = ["--signal=URG@0"]\n')
    study = Study(cluster / "limit", plan("epochs = 600\nseeds = 2"), site)
    second = study.store.runs()[1]
    study.until(lambda: begun(second))
    rank_process(second).send_signal(signal.SIGSTOP)
    slurm("scontrol", "update", "PartitionName=urgent", "State=DOWN")
    return study


def test_a_plan_runs_to_a_report_through_arrays_by_gloo_and_by_pmix(cluster: Path) -> None:
    study = Study(cluster / "shapes", SHAPES, SITE + 'exclusive = "never"\n', report=True)
    assert study.submitted.returncode == 0, study.submitted.stderr
    study.until_ended()
    assert study.statuses() == ["completed"] * 8, study.said()
    records = list(study.store.records())
    started = {(r["config"]["strategy"], r["config"]["nodes"], r["environment"]["launcher"],
                r["environment"]["library"].get("controller")) for r in records}
    assert started == {("horovod", 1, "srun-gloo", "gloo"), ("horovod", 2, "srun-gloo", "gloo"),
                       ("horovod", 1, "srun-mpi", "mpi"), ("horovod", 2, "srun-mpi", "mpi"),
                       ("mirrored", 1, "srun", None), ("multiworker", 1, "srun", None),
                       ("multiworker", 2, "srun", None)}
    lists = {r["environment"]["slurm"]["SLURM_JOB_NODELIST"] for r in records if r["config"]["nodes"] == 2}
    assert lists == {"g[9-10]"}
    assert {(w["rank"], w["host"]) for r in records for w in r["own_windows"]} == {(0, "g9"), (1, "g10")}
    assert "Slow nodes and ranks" in (study.store.folder / "report" / "index.html").read_text(), study.said()
    again = study.run()
    assert again.returncode == 0 and "all runs are done" in again.stdout


def test_two_nodes_that_sort_badly_get_their_own_place_and_address(tmp_path: Path) -> None:
    program = tmp_path / "place.py"
    program.write_text("""
import os
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.slurm import layout as places, rank
config = RunConfig(experiment="x", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd", seed=0,
                   global_batch=64, train_examples=1000, strategy="horovod", transport="gloo", replicas=4, nodes=2)
layout = places.of_job(config, os.environ)
found = rank.prepare(layout, os.environ)
print(*(found["HOROVOD_" + name] for name in ("RANK", "HOSTNAME", "LOCAL_RANK", "CROSS_RANK", "GLOO_IFACE")),
      found["HOROVOD_GLOO_RENDEZVOUS_ADDR"], os.environ["SLURMD_NODENAME"], os.environ["CUDA_VISIBLE_DEVICES"],
      layout.addresses[int(found["HOROVOD_CROSS_RANK"])])
""")
    done = subprocess.run(["srun", "--nodes=2", "--ntasks-per-node=2", "--gpus-per-node=2", sys.executable,
                           str(program)], capture_output=True, text=True, timeout=60)
    assert sorted(done.stdout.splitlines()) == [
        "0 g9 0 0 lo 127.0.0.9 g9 0,1 127.0.0.9", "1 g9 1 0 lo 127.0.0.9 g9 0,1 127.0.0.9",
        "2 g10 0 1 lo 127.0.0.9 g10 0,1 127.0.0.10", "3 g10 1 1 lo 127.0.0.9 g10 0,1 127.0.0.10"], done.stderr


def test_a_partition_that_does_not_exist_fails_before_anything_is_queued(cluster: Path) -> None:
    study = Study(cluster / "partition", plan("epochs = 1"), SITE.replace("debug", "nope"))
    assert study.submitted.returncode == 3
    assert "invalid partition specified: nope" in study.submitted.stderr
    assert "nope" not in slurm("squeue", "--states=all", "--format=%P")
    assert not list(study.store.folder.glob("slurm/*/jobs.json"))


def test_a_killed_rank_ends_the_step_and_only_its_run_is_done_again(cluster: Path) -> None:
    study = Study(cluster / "kill", plan("epochs = 60\nseeds = 2\n" + TWO_NODES))
    first, second = study.store.runs()
    study.until(lambda: begun(second))
    rank_process(second, rank=1).send_signal(signal.SIGKILL)
    study.until_ended()
    assert first_failure(second)["status"] == "lost"
    assert study.statuses() == ["completed"] * 2, study.said()
    assert [len(run.attempts()) for run in (first, second)] == [1, 2]
    error = "srun: error: g10: task 1: Killed"
    assert error in study.said()
    assert f"begun again: {second.run_id} after attempt-01: lost, rank 1 on g10: {error}" in study.status()
    assert "all runs are done" in study.run().stdout


@pytest.mark.slow
def test_a_halted_rank_ends_the_step_within_the_watchdogs_time_and_its_run_is_done_again(cluster: Path) -> None:
    text = plan("epochs = 60\nseeds = 2\n" + TWO_NODES).replace("drift_guard", "watchdog_seconds = 20\ndrift_guard")
    study = Study(cluster / "hang", text)
    first, second = study.store.runs()
    study.until(lambda: begun(second))
    rank_process(second, rank=1).send_signal(signal.SIGSTOP)
    study.until_ended()
    failure = first_failure(second)
    assert (failure["status"], failure["rank"], failure["host"]) == ("timed_out", 1, "g10"), study.said()
    assert "no progress for 20 s (watchdog_seconds): rank 1 does not answer, and rank 0 waits" in failure["message"]
    assert (second.folder / "attempt-01" / "logs" / "rank-0.stacks").exists()
    woken = "".join(path.read_text() for path in study.store.folder.glob("logs/*/rank-1.log"))
    assert "most recent call first" in woken
    assert study.statuses() == ["completed"] * 2, study.said()
    assert [len(run.attempts()) for run in (first, second)] == [1, 2]


@pytest.mark.slow
def test_a_time_limit_cuts_off_one_run_that_the_requeued_job_does_again(cut_off: Study) -> None:
    first, second = cut_off.store.runs()
    task = f"{cut_off.jobs[0]}_0"
    cut_off.until(lambda: first_failure(second))
    status = first_failure(second)["status"]  # preempted, where the ranks had the time to stop by themselves
    assert status in ("timed_out", "preempted"), cut_off.said()
    said = cut_off.status()
    assert f"2 runs: 1 completed, 1 {status}" in said and "go on by themselves" in said
    slurm("scontrol", "update", "PartitionName=urgent", "State=UP")
    restart_now(task)
    assert "stopped (time limit) with 1 run left to do; the job is requeued" in cut_off.said()
    cut_off.until_ended()
    assert cut_off.statuses() == ["completed"] * 2, cut_off.said()
    assert [len(run.attempts()) for run in (first, second)] == [1, 2]


@pytest.mark.slow
def test_preempted_and_warned_jobs_keep_what_is_done_requeue_and_go_on(cluster: Path) -> None:
    study = Study(cluster / "preempted", plan(f"epochs = 600\nseeds = 2\n{TWO_SHAPES}"))
    tasks = [f"{study.jobs[0]}_{task}" for task in range(2)]
    shapes = [[r for r in study.store.runs() if r.config.shape == shape] for shape in task_shapes(study)]
    study.until(lambda: begun(shapes[0][1]))
    slurm("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true")
    study.until(lambda: first_failure(shapes[0][1]))
    said = study.status()
    assert "1 completed" in said and "1 preempted" in said and "go on by themselves" in said
    study.until(lambda: begun(shapes[1][1]))
    slurm("scancel", "--signal=USR2", tasks[1])  # what --signal=USR2@N sends before the time limit
    for task in tasks:
        restart_now(task)
    study.until_ended()
    assert study.statuses() == ["completed"] * 4, study.said()
    assert [first_failure(runs[1])["status"] for runs in shapes] == ["preempted"] * 2
    assert [len(run.attempts()) for runs in shapes for run in runs] == [1, 2, 1, 2]
    assert "stopped (preempted or requeued) with 1 run left to do; Slurm starts the job again" in study.said()
    assert "stopped (signal) with 1 run left to do; the job is requeued" in study.said()


def task_shapes(study: Study) -> list[str]:
    """What each task of the study's first array works on."""
    return next(study.store.folder.glob("slurm/submission-01/01-*.shapes")).read_text().split()


@pytest.mark.slow
def test_a_cancelled_array_task_leaves_the_others_and_a_repeat_does_what_is_missing(cluster: Path) -> None:
    study = Study(cluster / "cancelled", plan(f"epochs = 600\n{TWO_SHAPES}"))
    run, other = (r for shape in task_shapes(study) for r in study.store.runs() if r.config.shape == shape)
    study.until(run.attempts)
    slurm("scancel", f"{study.jobs[0]}_0")
    study.until_ended()
    assert run.status() in ("preempted", "lost") and other.status() == "completed", study.said()
    said = study.status()
    assert f"1 completed, 1 {run.status()}" in said and "1 cancelled, 1 completed" in said
    assert "said: cancelled with 1 run left to do" in said
    assert "to go on: batchscale run plan.toml --on slurm --results results --site site.toml" in said
    assert study.run().returncode == 0
    study.until_ended()
    assert study.statuses() == ["completed"] * 2 and len(other.attempts()) == 1


def test_an_mpi_that_srun_does_not_start_ends_in_one_error_with_the_fix(cluster: Path) -> None:
    site = SITE.replace('"auto"', '"srun-mpi"') + 'mpi = "none"\n'
    study = Study(cluster / "singletons", plan('epochs = 1\nstrategies = ["horovod"]\nreplicas = [2]'), site)
    study.until_ended(seconds=60)
    said = study.said()
    assert said.count('Fix: in the site profile set launcher = "srun-gloo"') == 1, said
    assert study.statuses() in (["pending"], ["invalid"])


@pytest.mark.slow
def test_gpus_that_tensorflow_does_not_see_are_an_error_not_a_run_on_the_cpu(cluster: Path) -> None:
    study = Study(cluster / "gpus", plan("epochs = 1"), SITE + 'gpus = "gpus-per-node"\n')
    study.until_ended()
    assert "GPUs were asked for and TensorFlow sees none here (CUDA_VISIBLE_DEVICES='0')" in study.said()
    assert study.statuses() == ["pending"]
