"""Inside a Slurm job: its place, its steps, its ranks, and what becomes of attempts when it is ended."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support import slurm_stand_ins
from batchscale.benchmarks.errors import EnvironmentUnusable
from batchscale.benchmarks.records import failures
from batchscale.benchmarks.records.json_files import write_json
from batchscale.benchmarks.records.store import Store
from batchscale.launchers.slurm import allocation, jobs as slurm_jobs, layout as slurm_layout, rank as slurm_rank
from batchscale.launchers.slurm import site, step
from support.slurm_stand_ins import calls


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose Slurm is a stand-in; it is the working directory."""
    return slurm_stand_ins.install(tmp_path, monkeypatch)


def test_an_array_task_takes_its_line_of_the_shapes(tmp_path: Path) -> None:
    path = tmp_path / "x.shapes"
    path.write_text("# two\nfirst\nsecond\n")
    found = [allocation.shape_of(str(path), {"SLURM_ARRAY_TASK_ID": str(task)}) for task in range(3)]
    assert found == ["first", "second", "first"]
    assert allocation.shape_of("single-1r-1n-1c", {}) == "single-1r-1n-1c"


def test_the_step_by_gloo_by_mpi_and_by_mpirun(cluster: Path, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = slurm_layout.Layout(("g9", "g10"), ("10.0.0.9", "10.0.0.10"), 2, "gloo")
    hvd = config(strategy="horovod", transport="gloo", replicas=4, nodes=2, cores_per_replica=3)
    mpi = config(strategy="horovod", transport="mpi", replicas=4, nodes=2)
    rank = [sys.executable, "-P", "-m", "batchscale.launchers.slurm.rank", "--shape", "s"]

    def words(run: Any, **profile: Any) -> list[str]:
        return step.command(run, site.Site(**profile), layout, Path("logs"), ["--shape", "s"])
    assert words(hvd) == ["srun", "--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--cpus-per-task=3",
                          "--distribution=block", "--mpi=none", "--kill-on-bad-exit=1", "--export=ALL",
                          "--output=logs/rank-%t.log", *rank]
    assert "--mpi=pmix" in words(mpi, launcher="auto") and "--mpi=pmi2" in words(mpi, launcher="srun-mpi", mpi="pmi2")
    by_mpirun = words(mpi, launcher="mpirun", container="apptainer exec x.sif", python="python3")
    assert by_mpirun[0] == "mpirun" and "ppr:2:node" in by_mpirun
    assert by_mpirun[-9:-3] == ["apptainer", "exec", "x.sif", "python3", "-P", "-m"]
    inside = words(hvd, container="apptainer exec x.sif")
    assert inside[-9:-3] == ["apptainer", "exec", "x.sif", "python3", "-P", "-m"], "this Python's path is the host's"
    monkeypatch.setenv("IMAGES", "/shared/images of all")
    assert words(hvd, container='apptainer exec "$IMAGES/x.sif"')[-7] == "/shared/images of all/x.sif"


@pytest.mark.parametrize(("gpus", "strategy", "cores"), [
    ("gpus-per-node", "horovod", 14), ("gpus-per-node", "mirrored", 56), ("none", "horovod", 2)])
def test_a_task_has_the_site_s_cores_for_each_of_its_gpus(cluster: Path, config: Any, gpus: str, strategy: str,
                                                          cores: int) -> None:
    """A plan's cores_per_replica, 1 unless it says more, is too few to feed a GPU; without GPUs it is what is timed."""
    transport = "gloo" if strategy == "horovod" else ""
    run = config(strategy=strategy, transport=transport, replicas=4, cores_per_replica=2)
    own = site.Site(gpus=gpus, cpus_per_gpu=14)  # type: ignore[arg-type]
    layout = slurm_layout.Layout(("g9",), ("10.0.0.9",), slurm_layout.tasks_per_node(run), "gloo")
    asked = cores if strategy == "horovod" or gpus != "none" else 8
    assert f"--cpus-per-task={asked}" in step.command(run, own, layout, Path("logs"), [])
    assert slurm_jobs.resources(run, own).cpus_per_task == asked


def test_each_rank_gets_its_own_place_in_slurms_order_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = slurm_layout.Layout(("g9", "g10"), ("10.0.0.9", "10.0.0.10"), 2, "gloo", 4000)
    asked: list[str] = []

    def interface(host: str) -> str:
        asked.append(host)
        return "ib0"
    monkeypatch.setattr(slurm_layout, "interface_towards", interface)
    found = [slurm_rank.prepare(layout, {
        "SLURM_PROCID": str(rank), "SLURM_NTASKS": "4", "SLURM_LOCALID": str(rank % 2), "SLURM_NODEID": str(rank // 2),
        "SLURMD_NODENAME": layout.nodes[rank // 2]}) for rank in range(4)]
    assert [v["HOROVOD_HOSTNAME"] for v in found] == ["g9", "g9", "g10", "g10"]
    assert [(v["HOROVOD_RANK"], v["HOROVOD_LOCAL_RANK"], v["HOROVOD_CROSS_RANK"]) for v in found] == [
        ("0", "0", "0"), ("1", "1", "0"), ("2", "0", "1"), ("3", "1", "1")]
    assert {v["HOROVOD_GLOO_RENDEZVOUS_ADDR"] for v in found} == {"10.0.0.9"}
    assert asked == ["10.0.0.10", "10.0.0.10", "10.0.0.9", "10.0.0.9"]  # by the way to another node


def test_multiworker_is_told_the_hosts_in_slurms_order_and_past_a_proxy(config: Any) -> None:
    spread = config(strategy="multiworker", replicas=4, nodes=2)
    layout = slurm_layout.Layout(("g9", "g10"), ("10.0.0.9", "10.0.0.10"), slurm_layout.tasks_per_node(spread),
                                 slurm_layout.transport(spread), 21000)
    found = slurm_rank.prepare(layout, {"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_NODEID": "1",
                                        "SLURMD_NODENAME": "g10", "no_proxy": "localhost"})
    assert json.loads(found["TF_CONFIG"]) == {
        "cluster": {"worker": ["10.0.0.9:21000", "10.0.0.9:21001", "10.0.0.10:21002", "10.0.0.10:21003"]},
        "task": {"type": "worker", "index": 2}}
    assert found["no_proxy"] == "localhost,10.0.0.9,10.0.0.10"
    with step.rendezvous(layout) as known:
        assert known.rendezvous_port > 0 and known.nodes == layout.nodes


@pytest.mark.parametrize("transport", [slurm_layout.COLLECTIVES, "mpi"])
def test_nccl_meets_by_the_sites_interface_whatever_starts_the_ranks(transport: str) -> None:
    layout = slurm_layout.Layout(("g9", "g10"), ("a", "b"), 1, transport, 21000, interface="ib0")
    here = {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_NODEID": "0", "SLURMD_NODENAME": "g9"}
    assert "NCCL_SOCKET_IFNAME" not in slurm_rank.prepare(layout, here)
    assert slurm_rank.prepare(layout, {**here, "BATCHSCALE_DEVICE": "gpu"})["NCCL_SOCKET_IFNAME"] == "ib0"


@pytest.mark.parametrize(("variables", "message"), [
    ({"SLURM_NTASKS": "1"}, "4 ranks were asked for and srun started 1"),
    ({"SLURMD_NODENAME": "g9"}, "rank 2 belongs on g10 and is on g9"),
    ({"SLURM_NODEID": "0"}, r"rank 2 belongs on g10 and is on g10 \(node 0"),
])
def test_a_rank_that_is_not_where_it_was_sent_says_so(variables: dict[str, str], message: str) -> None:
    layout = slurm_layout.Layout(("g9", "g10"), ("a", "b"), 2, "gloo")
    right = {"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_NODEID": "1", "SLURMD_NODENAME": "g10"}
    slurm_rank.check_place(layout, right)
    with pytest.raises(EnvironmentUnusable, match=message):
        slurm_rank.check_place(layout, {**right, **variables})


def test_a_job_of_another_size_than_the_shape_is_refused(cluster: Path, config: Any) -> None:
    mirrored = config(strategy="mirrored", replicas=2)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_TASKS_PER_NODE": "2"}
    with pytest.raises(EnvironmentUnusable, match="needs sbatch --nodes=1 --ntasks-per-node=1; this job has .*node=2"):
        slurm_layout.of_job(mirrored, job)
    assert slurm_layout.of_job(mirrored, {**job, "SLURM_TASKS_PER_NODE": "1"}).addresses == ("127.0.0.1",)
    with pytest.raises(EnvironmentUnusable, match="this is no Slurm job"):
        slurm_layout.of_job(mirrored, {})


def test_attempts_of_a_job_that_is_gone_are_ended_and_others_left(tmp_path: Path, config: Any) -> None:
    store = Store(tmp_path / "plan")
    store.prepare([config(seed=seed) for seed in range(3)], {"name": "plan"})
    for run, job in zip(store.runs(), ("7", "8", "7")):
        (run.folder / "attempt-01").mkdir()
        write_json(run.folder / "attempt-01" / "claim.json", {"slurm_job": job})
    store.runs()[2].fail(store.runs()[2].attempts()[0], "failed", 1, "before")
    allocation.settle(store.runs(), "7", "preempted", "the node was taken away")
    assert [run.status() for run in store.runs()] == ["preempted", "lost", "failed"]
    assert (store.runs()[0].failure() or {})["message"] == "the node was taken away"


@pytest.mark.parametrize(("answer", "cause"), [
    ("JobState=RUNNING Reason=None Restarts=1", "signal"),
    ("JobState=COMPLETING Reason=TimeLimit Restarts=1", "time limit"),
    ("JobState=COMPLETING Reason=None Restarts=1 PreemptTime=None", ""),
    ("JobState=COMPLETING Reason=None Restarts=2", "preempted or requeued"),
    ("JobState=CANCELLED Reason=None Restarts=1 PreemptTime=2026-01-01T00:00:00", "preemption"),
    ("", "")])
def test_a_cancelled_job_is_told_from_one_that_may_come_back(cluster: Path, answer: str, cause: str) -> None:
    (cluster / "scontrol").write_text(answer + "\n")
    assert allocation.why_stopped({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0",
                                   "SLURM_RESTART_COUNT": "1"}) == cause
    assert calls(cluster, "scontrol")[0][-1] == "7_0"  # 9 is refused, and 7 would be the whole array


def test_a_killed_rank_is_named_where_its_peers_only_say_that_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "step.log").write_text("srun: error: g9: task 0: Exited with exit code 1\n"
                                       "srun: error: g10: task 1: Killed\n")
    dead = step.dead_rank(tmp_path)
    assert dead == (1, "g10", "srun: error: g10: task 1: Killed")
    write_json(tmp_path / "failure.json", {"status": "lost", "rank": 0, "host": "g9", "error": "UnknownError",
                                           "message": "Horovod has been shut down"})
    assert failures.ending(tmp_path).where == "rank 0 on g9"
    failures.note(tmp_path, *dead, tmp_path / "logs")
    found = failures.ending(tmp_path)
    assert (found.status, found.where, found.message) == ("lost", "rank 1 on g10", dead[2])
    assert found.logs == str(tmp_path / "logs")


@pytest.mark.parametrize(("logs", "error"), [
    ({"rank-0.log": "x\nbatchscale-rank: no cores\n", "step.log": "srun: error: g9: task 0: Exited with exit code 3\n"},
     "no cores"),
    ({"rank-0.log": "UnknownError: shut down\n", "step.log": "srun: error: g10: task 1: Killed\n"},
     "srun: error: g10: task 1: Killed"),
    ({"rank-0.log": "ValueError: bad\n", "step.log": "srun: error: g9: task 0: Exited with exit code 1\n"},
     "ValueError: bad"),
])
def test_the_line_that_says_best_why_a_step_failed(tmp_path: Path, logs: dict[str, str], error: str) -> None:
    for name, text in logs.items():
        (tmp_path / name).write_text(text)
    assert step.first_error(tmp_path) == error
