"""What is submitted to Slurm, line by line, and a job that runs to its end without Slurm."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from batchscale.benchmarks import plan as plans
from batchscale.benchmarks.errors import EnvironmentUnusable, PlanError
from batchscale.benchmarks.store import Store, write_json
from batchscale.launchers import allocation, local, site, slurm, slurm_jobs, slurm_layout, slurm_queue, slurm_rank
from batchscale.launchers import status, slurm_step
from conftest import PROGRAMS, batchscale, require_strategy

PLAN = """
[plan]
name = "golden"
drift_guard = false
[defaults]
dataset = "digits"
model = "mlp_128"
global_batches = [64]
seeds = 3
epochs = 1
[[experiment]]
name = "spread"
strategies = ["horovod", "mirrored"]
replicas = [4]
nodes = [1, 2]
cores_per_replica = 2
[[experiment]]
name = "timing"
kind = "throughput"
strategies = ["horovod"]
replicas = [4]
nodes = [2]
launches = 3
"""
GPU_SITE = """
partition = "gpu"
account = "us"
constraint = "a100"
gpus = "gpus-per-node"
gpu_type = "a100"
time = "02:00:00"
concurrency = 2
setup = ["module load cuda"]
sbatch_options = ["--mem=0"]
"""
COMMANDS = ("sbatch", "srun", "scontrol", "squeue", "scancel", "sacct")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with stand-ins for Slurm's commands, first on PATH; the working directory is beside it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in COMMANDS:
        script = programs / name
        script.write_text(f"#!{sys.executable}\n" + (PROGRAMS / "fake_slurm.py").read_text())
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of TensorFlow."""
    monkeypatch.setattr(local, "describe", lambda configs, store: {})
    monkeypatch.setattr(slurm, "unavailable", lambda profile: {})


def calls(folder: Path, program: str) -> list[list[str]]:
    if not (folder / "calls").exists():
        return []
    lines = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    return [line[1:] for line in lines if line[0] == program]


def submit(text: str = PLAN, profile: str = GPU_SITE, dry_run: bool = False, **options: Any) -> int:
    Path("site.toml").write_text(profile)
    return slurm.run(plans.parse(text, "plan.toml"), local.Options(**options), "site.toml", dry_run)


def test_one_array_for_each_number_of_nodes_and_tasks(cluster: Path, described: None,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    assert submit() == 0
    sub = cluster / "results" / "golden" / "slurm" / "submission-01"
    where = ["--partition=gpu", "--account=us", "--constraint=a100"]
    workers = ["--time=02:00:00", "--signal=USR2@120", *where, f"--output={sub}/logs/%x-%A_%a.out", "--mem=0"]

    def given(script: str, shapes: str) -> list[str]:
        return [f"{sub}/{script}.sbatch", f"{cluster}/results/golden", f"{sub}/{shapes}.shapes", str(sub)]
    expected = [
        ["--job-name=golden-01-horovod-2n-2t-alone", "--array=0-2%1", "--nodes=2", "--ntasks-per-node=2",
         "--cpus-per-task=1", "--gpus-per-node=a100:2", "--exclusive", *workers,
         *given("horovod", "01-horovod-2n-2t-alone")],
        ["--job-name=golden-02-horovod-1n-4t", "--array=0-1%2", "--nodes=1", "--ntasks-per-node=4",
         "--cpus-per-task=2", "--gpus-per-node=a100:4", *workers, *given("horovod", "02-horovod-1n-4t")],
        ["--job-name=golden-03-horovod-2n-2t", "--array=0-1%2", "--nodes=2", "--ntasks-per-node=2",
         "--cpus-per-task=2", "--gpus-per-node=a100:2", *workers, *given("horovod", "03-horovod-2n-2t")],
        ["--job-name=golden-04-mirrored-1n-1t", "--array=0-1%2", "--nodes=1", "--ntasks-per-node=1",
         "--cpus-per-task=8", "--gpus-per-node=a100:4", *workers, *given("mirrored", "04-mirrored-1n-1t")],
    ]
    report = ["--job-name=golden-report", "--dependency=afterany:100:101:102:103", *where,
              f"--output={sub}/logs/%x-%j.out", "--mem=0", f"{sub}/report.sbatch", f"{cluster}/results/golden",
              str(sub)]
    asked = calls(cluster, "sbatch")
    assert [c[1:] for c in asked if c[0] == "--parsable"] == [*expected, report]
    assert [c[1:] for c in asked[:4]] == expected and all(c[0] == "--test-only" for c in asked[:5])
    assert (sub / "01-horovod-2n-2t-alone.shapes").read_text().splitlines() == [
        f"horovod-gloo-4r-2n-1c-timing-timing-{launch}" for launch in range(3)]
    assert "job 104: report" in capsys.readouterr().out


def test_a_dry_run_writes_everything_and_asks_slurm_nothing(cluster: Path, described: None,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(dry_run=True) == 0
    said = capsys.readouterr().out
    assert "12 runs to do by 4 arrays" in said and "at most 28 (" in said  # 2 h x (3 x 2 + 2 x 1 + 2 x 2 + 2 x 1)
    assert not (cluster / "calls").exists()
    sub = cluster / "results" / "golden" / "slurm" / "submission-01"
    assert {"horovod.sbatch", "mirrored.sbatch", "report.sbatch", "site.toml", "setup.sh", "commands.sh"} <= {
        path.name for path in sub.iterdir()}
    assert "module load cuda" in (sub / "setup.sh").read_text() and "node-hours" in said
    assert len(list((cluster / "results" / "golden").glob("*/config.json"))) == 12


def test_the_written_commands_can_be_run_by_hand(cluster: Path, described: None) -> None:
    submit(dry_run=True)
    assert os.system("bash results/golden/slurm/submission-01/commands.sh > said") == 0
    assert calls(cluster, "sbatch")[-1][2].startswith("--dependency=afterany:100")


def test_what_slurm_refuses_is_said_in_its_own_words_and_nothing_is_queued(cluster: Path, described: None) -> None:
    with pytest.raises(EnvironmentUnusable, match="refuses golden-01-.*invalid partition specified: nope"):
        submit(profile='partition = "nope"\n')
    assert [c[0] for c in calls(cluster, "sbatch")] == ["--test-only"]
    assert not list(cluster.glob("job-*"))


def test_an_enclosing_job_does_not_shine_through(cluster: Path, described: None,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "other")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert submit() == 0


def test_a_plan_is_not_submitted_twice_while_its_jobs_wait(cluster: Path, described: None) -> None:
    submit()
    (cluster / "squeue").write_text("100_[0-2%1]|PENDING|Priority|\n")
    with pytest.raises(PlanError, match="jobs 100 of this plan are still queued or running"):
        submit()


def test_five_hundred_runs_are_a_handful_of_calls(cluster: Path, described: None) -> None:
    text = PLAN.replace("seeds = 3", "seeds = 160").replace("launches = 3", "launches = 20")
    submit(text)
    assert len(list((cluster / "results" / "golden").glob("*/config.json"))) == 500
    assert len(calls(cluster, "sbatch")) == 10
    status.show(cluster / "results" / "golden")
    assert len(calls(cluster, "squeue")) + len(calls(cluster, "sacct")) + len(calls(cluster, "scontrol")) <= 3


def test_options_reach_the_workers(cluster: Path, described: None) -> None:
    submit(only="experiment=spread,nodes=2", retry=True)
    asked = [c for c in calls(cluster, "sbatch") if c[0] == "--parsable"]
    assert len(asked) == 2  # one array and the report
    assert asked[0][-4:-1] == ["--only", "experiment=spread,nodes=2", "--retry-before"]


def test_mpi_is_left_out_with_the_reason_where_nothing_starts_it() -> None:
    assert "launcher is srun-gloo" in slurm.unavailable(site.Site(python="python3"))["horovod-mpi"]
    assert slurm.unavailable(site.Site(python="python3", launcher="mpirun")) == {}


@pytest.mark.parametrize(("gpus", "option"), [
    ("none", []), ("gpus-per-node", ["--gpus-per-node=4"]), ("gpus-per-task", ["--gpus-per-task=2"]),
    ("gres", ["--gres=gpu:4"])])
def test_gpus_are_asked_for_as_the_site_says(gpus: str, option: list[str]) -> None:
    need = slurm_jobs.Resources("horovod", 1, 2, 1, 4, False)
    assert slurm_jobs.gpu_options(need, site.Site(gpus=gpus)) == option


def test_an_array_task_takes_its_line_of_the_shapes(tmp_path: Path) -> None:
    path = tmp_path / "x.shapes"
    path.write_text("# two\nfirst\nsecond\n")
    found = [allocation.shape_of(str(path), {"SLURM_ARRAY_TASK_ID": str(task)}) for task in range(3)]
    assert found == ["first", "second", "first"]
    assert allocation.shape_of("single-1r-1n-1c", {}) == "single-1r-1n-1c"


def test_the_step_by_gloo_by_mpi_and_by_mpirun(cluster: Path, config: Any) -> None:
    layout = slurm_layout.Layout(("g9", "g10"), ("10.0.0.9", "10.0.0.10"), 2, "gloo")
    hvd = config(strategy="horovod", transport="gloo", replicas=4, nodes=2, cores_per_replica=3)
    mpi = config(strategy="horovod", transport="mpi", replicas=4, nodes=2)
    rank = [sys.executable, "-P", "-m", "batchscale.launchers.slurm_rank", "--shape", "s"]

    def words(run: Any, **profile: Any) -> list[str]:
        return slurm_step.command(run, site.Site(**profile), layout, Path("logs"), ["--shape", "s"])
    assert words(hvd) == ["srun", "--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--cpus-per-task=3",
                          "--distribution=block", "--mpi=none", "--kill-on-bad-exit=1", "--export=ALL",
                          "--output=logs/rank-%t.log", *rank]
    assert "--mpi=pmix" in words(mpi, launcher="auto") and "--mpi=pmi2" in words(mpi, launcher="srun-mpi", mpi="pmi2")
    by_mpirun = words(mpi, launcher="mpirun", container="apptainer exec x.sif", python="python3")
    assert by_mpirun[0] == "mpirun" and "ppr:2:node" in by_mpirun
    assert by_mpirun[-9:-3] == ["apptainer", "exec", "x.sif", "python3", "-P", "-m"]


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


def test_the_queue_is_asked_once_and_silence_is_unknown(cluster: Path) -> None:
    jobs = [{"id": "100", "name": "a"}, {"id": "200", "name": "b"}]
    (cluster / "squeue").write_text("100_[2-5%2]|PENDING|Resources|\n100_0|RUNNING|None|n1\n100_1|COMPLETED|None|n1\n")
    found = slurm_queue.tasks(jobs)
    assert slurm_queue.summary(jobs[0], found["100"]) == "job 100 a: 4 pending, 1 running, 1 completed " \
        "(waiting: Resources)"
    assert slurm_queue.summary(jobs[1], found["200"]).startswith("job 200 b: unknown")
    assert [len(calls(cluster, name)) for name in ("sacct", "scontrol", "squeue")] == [1, 1, 1]


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
    ("RUNNING|None", "signal"), ("COMPLETING|TimeLimit", "time limit"), ("COMPLETING|None", ""), ("", ""),
    ("CANCELLED|None", ""), ("PREEMPTED|None", "preemption")])
def test_a_cancelled_job_is_told_from_one_that_may_come_back(cluster: Path, monkeypatch: pytest.MonkeyPatch,
                                                             answer: str, cause: str) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    (cluster / "squeue").write_text(answer + "\n")
    assert allocation.why_stopped() == cause
    assert "--jobs=7_0" in calls(cluster, "squeue")[0]  # 9 is refused, and 7 would be the whole array


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
    assert slurm_step.first_error(tmp_path) == error


def test_status_tells_what_a_job_said_that_ended_before_any_run(cluster: Path, described: None,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    submit()
    logs = cluster / "results" / "golden" / "slurm" / "submission-01" / "logs"
    (logs / "golden-01-100_0.out").write_text("step 1\nbatchscale: TensorFlow sees no GPU\n")
    (cluster / "squeue").write_text("100_0|FAILED|NonZeroExitCode|n1\n")
    assert status.show(cluster / "results" / "golden") == 75
    said = capsys.readouterr().out
    assert "job 100 01-horovod-2n-2t-alone: 1 failed" in said and "    said: TensorFlow sees no GPU" in said
    assert "job 101 02-horovod-1n-4t: unknown" in said and "job 100 01-horovod-2n-2t-alone: 1 completed" not in said
    assert "to go on: batchscale run plan.toml --on slurm --results results --site site.toml" in said


@pytest.mark.launched
def test_a_submitted_plan_runs_to_records_without_slurm(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_strategy("horovod-gloo")
    monkeypatch.setenv("FAKE_SLURM_RUNS", "1")
    Path("plan.toml").write_text(PLAN.split("[[experiment]]")[0].replace("seeds = 3", "seeds = 1") + """
[[experiment]]
name = "ranks"
strategies = ["horovod", "single"]
replicas = [1, 2]
""")
    done = batchscale("run", "plan.toml", "--on", "slurm", cwd=cluster)
    assert done.returncode == 0, done.stderr
    records = list(Store(cluster / "results" / "golden").records())
    logs = "".join(path.read_text() for path in cluster.glob("results/golden/slurm/*/logs/*"))
    assert sorted(r["environment"]["launcher"] for r in records) == ["srun", "srun-gloo", "srun-gloo"], logs
    assert {r["agreement"]["size"] for r in records} == {1, 2}
