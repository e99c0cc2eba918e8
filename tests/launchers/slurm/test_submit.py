"""What is submitted to Slurm, line by line, and what is said of it afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from support import slurm_stand_ins
from batchscale.benchmarks.errors import EnvironmentUnusable, PlanError
from batchscale.benchmarks.planning import plan
from batchscale.benchmarks.records.store import Store
from batchscale.launchers.commands.results import status
from batchscale.launchers.local import study
from batchscale.launchers.local.describe import Describer
from batchscale.launchers.slurm import jobs as slurm_jobs, queue, site, submit as slurm
from support.launching import batchscale, require_strategy
from support.slurm_stand_ins import calls

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


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose Slurm is a stand-in; it is the working directory."""
    return slurm_stand_ins.install(tmp_path, monkeypatch)


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of TensorFlow."""
    monkeypatch.setattr(Describer, "describe", lambda asked, configs, store: {
        config.workload_key: {"train_examples": config.train_examples, "fingerprint": {}} for config in configs})
    monkeypatch.setattr(slurm, "unavailable", lambda profile: {})


def submit(text: str = PLAN, profile: str = GPU_SITE, dry_run: bool = False, **options: Any) -> int:
    Path("site.toml").write_text(profile)
    return slurm.run(plan.parse(text, "plan.toml"), study.Options(**options), "site.toml", dry_run)


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
    assert {"horovod.sbatch", "mirrored.sbatch", "multiworker.sbatch", "report.sbatch", "site.toml", "setup.sh",
            "commands.sh"} <= {path.name for path in sub.iterdir()}
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
    (cluster / "calls").unlink()
    (cluster / "scontrol").write_text("".join(f"JobId={job} ArrayJobId={job} ArrayTaskId=0-3%2 JobState=PENDING\n"
                                              for job in range(100, 105)))
    polls = iter(range(3))

    def wait(seconds: float) -> None:
        assert seconds >= 30
        if next(polls) == 2:
            (cluster / "scontrol").write_text("JobId=1 JobState=RUNNING\n")  # ours are over and forgotten
    assert status.watch(cluster / "results" / "golden", wait) == 75
    assert [len(calls(cluster, name)) for name in ("sacct", "scontrol", "squeue")] == [4, 4, 0]


def test_options_reach_the_workers(cluster: Path, described: None) -> None:
    submit(only="experiment=spread,nodes=2", retry=True)
    asked = [c for c in calls(cluster, "sbatch") if c[0] == "--parsable"]
    assert len(asked) == 2  # one array and the report
    assert asked[0][-4:-1] == ["--only", "experiment=spread,nodes=2", "--retry-before"]


def test_mpi_is_left_out_with_the_reason_where_nothing_starts_it() -> None:
    assert "launcher is srun-gloo" in slurm.unavailable(site.Site(python="python3"))["horovod-mpi"]
    assert slurm.unavailable(site.Site(python="python3", launcher="mpirun")) == {}


@pytest.mark.parametrize(("gpus", "option"), [
    ("none", []), ("gpus-per-node", ["--gpus-per-node=4"]), ("gpus-per-task", ["--gpus-per-task=2", "--gpu-bind=none"]),
    ("gres", ["--gres=gpu:4"])])
def test_gpus_are_asked_for_as_the_site_says(gpus: site.GpuRequest, option: list[str]) -> None:
    need = slurm_jobs.Resources("horovod", 1, 2, 1, 4, False)
    assert slurm_jobs.gpu_options(need, site.Site(gpus=gpus)) == option


def test_the_queue_is_asked_once_and_silence_is_unknown(cluster: Path) -> None:
    jobs = [{"id": "100", "name": "a"}, {"id": "200", "name": "b"}]
    (cluster / "squeue").write_text("100_[2-5%2]|PENDING|Resources|\n100_0|RUNNING|None|n1\n100_1|COMPLETED|None|n1\n")
    found = queue.tasks(jobs)
    assert queue.summary(jobs[0], found["100"]) == "job 100 a: 4 pending, 1 running, 1 completed " \
        "(waiting: Resources)"
    assert queue.summary(jobs[1], found["200"]).startswith("job 200 b: unknown")
    assert [len(calls(cluster, name)) for name in ("sacct", "scontrol", "squeue")] == [1, 1, 1]  # two were silent


def test_accounting_that_answers_is_enough(cluster: Path) -> None:
    (cluster / "sacct").write_text("100_0|COMPLETED|None|n1\n100_1|CANCELLED by 0|None|n1\n100_[2-5]|PENDING|None|\n")
    jobs = [{"id": "100", "name": "a"}]
    assert queue.summary(jobs[0], queue.tasks(jobs)["100"]) == \
        "job 100 a: 1 completed, 1 cancelled, 4 pending"
    assert [len(calls(cluster, name)) for name in ("sacct", "scontrol", "squeue")] == [1, 0, 0]


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
@pytest.mark.slow  # what a real Slurm runs is shown on one
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
