"""Plans on a real Slurm cluster of two nodes, g9 and g10, that is started here on this one machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from batchscale.benchmarks.store import Run, Store, read_json
from batchscale.slurm import local_cluster
from conftest import batchscale, require_strategy

pytestmark = pytest.mark.slurm
HEADER = """
[plan]
name = "cluster"
drift_guard = false
[defaults]
dataset = "digits"
model = "mlp_128"
seeds = 1
global_batches = [64]
"""
SHAPES = HEADER + """
[[experiment]]
name = "shapes"
epochs = 1
strategies = ["horovod-gloo", "horovod-mpi", "mirrored"]
replicas = [2]
nodes = [1, 2]
"""
TWO_SHAPES = 'strategies = ["single", "mirrored"]'  # with one replica they need the same: one array of two tasks
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
SITE = 'partition = "debug"\ntime = "00:20:00"\nsignal_seconds = 60\nconcurrency = 1\nlauncher = "auto"\n'


def plan(experiment: str) -> str:
    return f'{HEADER}[[experiment]]\nname = "runs"\n{experiment}\n'


@pytest.fixture(scope="session", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cluster, once for all tests; Slurm's commands find it by SLURM_CONF."""
    if reason := local_cluster.missing():
        pytest.skip(f"no Slurm here: {reason}")
    for strategy in ("horovod-gloo", "horovod-mpi"):
        require_strategy(strategy)
    folder = tmp_path_factory.mktemp("slurm")
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(local_cluster.start(folder / "cluster"))
    yield folder
    local_cluster.stop(folder / "cluster")
    os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)


class Study:
    """A plan that was submitted from `folder`."""

    def __init__(self, folder: Path, text: str, site: str = SITE, report: bool = False) -> None:
        self.folder = folder
        self.store.folder.mkdir(parents=True, exist_ok=True)
        for described in folder.parent.glob("*/results/cluster/workloads.json"):  # once is enough for all
            shutil.copy(described, self.store.folder) if described.parent != self.store.folder else None
        (folder / "plan.toml").write_text(text)
        (folder / "site.toml").write_text(site)
        self.submitted = self.run()
        if not report and list(self.store.folder.glob("slurm/*/jobs.json")):
            slurm("scancel", self.jobs[-1])

    def run(self) -> subprocess.CompletedProcess[str]:
        return batchscale("run", "plan.toml", "--on", "slurm", "--site", "site.toml", cwd=self.folder)

    @property
    def store(self) -> Store:
        return Store(self.folder / "results" / "cluster")

    @property
    def jobs(self) -> list[str]:
        """Job ids of the last submission; the report's is the last."""
        last = sorted(self.store.folder.glob("slurm/submission-*/jobs.json"))[-1]
        return [job["id"] for job in read_json(last)["jobs"]]

    def statuses(self) -> list[str]:
        return [run.status() for run in self.store.runs()]

    def until(self, what: Callable[[], object], seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"{self.statuses()}\n{self.said()}\n{slurm('squeue', '--states=all')}"
            time.sleep(0.4)

    def until_ended(self, seconds: float = 240.0) -> None:
        """All jobs, the report too, have come to an end."""
        def ended() -> bool:
            states = slurm("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={','.join(self.jobs)}")
            return bool(states) and set(states.split()) <= set(ENDED)
        self.until(ended, seconds)

    def said(self) -> str:
        return "".join(path.read_text() for path in sorted(self.store.folder.glob("slurm/*/logs/*.out")))

    def status(self) -> str:
        return batchscale("status", "results/cluster", cwd=self.folder).stdout


def slurm(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.strip()


def first_failure(run: Run) -> dict[str, Any]:
    return dict(read_json(run.folder / "attempt-01" / "failure.json"))


@pytest.fixture(scope="module")
def cut_off(cluster: Path) -> Study:
    """A run far longer than its job's one minute, submitted first because Slurm takes its time to notice.

    The warning signal is replaced by one that does nothing, so that the limit itself ends the job; the other tests'
    ranks come first on this machine's cores.
    """
    site = SITE.replace("00:20:00", "1").replace("60\n", "10\n") + """
setup = ["renice 19 $$ > /dev/null"]
sbatch_options = ["--signal=CONT@10"]
"""
    return Study(cluster / "limit", plan("epochs = 200000"), site)


def test_a_plan_runs_to_a_report_through_arrays_by_gloo_and_by_pmix(cluster: Path, cut_off: Study) -> None:
    study = Study(cluster / "shapes", SHAPES, report=True)
    assert study.submitted.returncode == 0, study.submitted.stderr
    study.until_ended()
    assert study.statuses() == ["completed"] * 5, study.said()
    records = list(study.store.records())
    started = {(r["config"]["strategy"], r["config"]["nodes"], r["environment"]["launcher"],
                r["environment"]["library"].get("controller")) for r in records}
    assert started == {("horovod", 1, "srun-gloo", "gloo"), ("horovod", 2, "srun-gloo", "gloo"),
                       ("horovod", 1, "srun-mpi", "mpi"), ("horovod", 2, "srun-mpi", "mpi"),
                       ("mirrored", 1, "srun", None)}
    lists = {r["environment"]["slurm"]["SLURM_JOB_NODELIST"] for r in records if r["config"]["nodes"] == 2}
    assert lists == {"g[9-10]"}
    assert (study.store.folder / "report" / "index.html").exists(), study.said()
    again = study.run()
    assert again.returncode == 0 and "all runs are done" in again.stdout


def test_two_nodes_that_sort_badly_get_their_own_place_and_address(tmp_path: Path) -> None:
    program = tmp_path / "place.py"
    program.write_text("""
import os
from batchscale.benchmarks.config import RunConfig
from batchscale.launchers import slurm_layout, slurm_rank
config = RunConfig(experiment="x", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd", seed=0,
                   global_batch=64, train_examples=1000, strategy="horovod", transport="gloo", replicas=4, nodes=2)
layout = slurm_layout.of_job(config, os.environ)
found = slurm_rank.prepare(layout, os.environ)
print(*(found["HOROVOD_" + name] for name in ("RANK", "HOSTNAME", "LOCAL_RANK", "CROSS_RANK", "GLOO_IFACE")),
      found["HOROVOD_GLOO_RENDEZVOUS_ADDR"], os.environ["SLURMD_NODENAME"], os.environ["CUDA_VISIBLE_DEVICES"])
""")
    done = subprocess.run(["srun", "--nodes=2", "--ntasks-per-node=2", "--gpus-per-node=2", sys.executable,
                           str(program)], capture_output=True, text=True, timeout=60)
    assert sorted(done.stdout.splitlines()) == [
        "0 g9 0 0 lo 127.0.0.1 g9 0,1", "1 g9 1 0 lo 127.0.0.1 g9 0,1",
        "2 g10 0 1 lo 127.0.0.1 g10 0,1", "3 g10 1 1 lo 127.0.0.1 g10 0,1"], done.stderr


def test_a_partition_that_does_not_exist_fails_before_anything_is_queued(cluster: Path) -> None:
    study = Study(cluster / "partition", plan("epochs = 1"), SITE.replace("debug", "nope"))
    assert study.submitted.returncode == 3
    assert "invalid partition specified: nope" in study.submitted.stderr
    assert "nope" not in slurm("squeue", "--states=all", "--format=%P")
    assert not list(study.store.folder.glob("slurm/*/jobs.json"))


def test_a_killed_rank_ends_the_step_and_the_run_is_done_again(cluster: Path) -> None:
    study = Study(cluster / "kill", plan('epochs = 60\nstrategies = ["horovod-gloo"]\nreplicas = [2]\nnodes = [2]'))
    run = study.store.runs()[0]
    study.until(lambda: list(run.folder.glob("attempt-01/steps.jsonl")))
    rank_process(run, rank=1).send_signal(signal.SIGKILL)
    study.until_ended()
    assert first_failure(run)["status"] == "lost"
    assert study.statuses() == ["completed"] and len(run.attempts()) == 2, study.said()
    assert "srun: error: g10: task 1: Killed" in study.said()


def rank_process(run: Run, rank: int) -> psutil.Process:
    """The process of one rank of the step that does this run."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "batchscale.launchers.slurm_rank" in words and str(run.folder.parent) in words:
            if "srun" not in words[0] and process.environ().get("SLURM_PROCID") == str(rank):
                return process
    raise AssertionError(f"no rank {rank}")


def test_a_preempted_job_keeps_what_is_done_requeues_and_goes_on(cluster: Path) -> None:
    study = Study(cluster / "preempted", plan(f"epochs = 600\nseeds = 2\n{TWO_SHAPES}"))
    task = f"{study.jobs[0]}_0"
    first, second = [run for run in study.store.runs() if run.config.shape.startswith(first_shape(study))]
    study.until(lambda: list(second.folder.glob("attempt-01/steps.jsonl")))
    slurm("scancel", "--signal=USR2", task)
    study.until((second.folder / "attempt-01" / "failure.json").exists)
    assert "preempted" in study.status() and "go on by themselves" in study.status()
    study.until(lambda: "Restarts=1" in slurm("scontrol", "--oneliner", "show", "job", task))
    slurm("scontrol", "update", f"JobId={task}", "StartTime=now")
    study.until_ended()
    assert set(study.statuses()) == {"completed"}, study.said()
    assert first_failure(second)["status"] == "preempted"
    assert [len(run.attempts()) for run in (first, second)] == [1, 2]
    assert sum(len(run.attempts()) for run in study.store.runs()) == 5  # the array's other task was left alone


def first_shape(study: Study) -> str:
    """What task 0 of the study's first array works on."""
    return str(next(study.store.folder.glob("slurm/submission-01/01-*.shapes")).read_text().split()[0])


def test_a_cancelled_array_task_leaves_the_others_and_a_repeat_does_what_is_missing(cluster: Path) -> None:
    study = Study(cluster / "cancelled", plan(f"epochs = 600\n{TWO_SHAPES}"))
    run = next(r for r in study.store.runs() if r.config.shape == first_shape(study))
    study.until(run.attempts)
    slurm("scancel", f"{study.jobs[0]}_0")
    study.until_ended()
    statuses = {r.run_id: r.status() for r in study.store.runs()}
    assert statuses.pop(run.run_id) in ("preempted", "lost") and set(statuses.values()) == {"completed"}, study.said()
    assert "to go on: batchscale run plan.toml --on slurm --results results --site site.toml" in study.status()
    assert study.run().returncode == 0
    study.until_ended()
    assert set(study.statuses()) == {"completed"}
    assert [len(r.attempts()) for r in study.store.runs() if r != run] == [1] * len(statuses)


def test_an_mpi_that_srun_does_not_start_ends_in_one_error_with_the_fix(cluster: Path) -> None:
    site = SITE.replace('"auto"', '"srun-mpi"') + 'mpi = "none"\n'
    study = Study(cluster / "singletons", plan('epochs = 1\nstrategies = ["horovod"]\nreplicas = [2]'), site)
    study.until_ended()
    said = study.said()
    assert said.count('Fix: in the site profile set launcher = "srun-gloo"') == 1, said
    assert study.statuses() in (["pending"], ["invalid"])


def test_gpus_that_tensorflow_does_not_see_are_an_error_not_a_run_on_the_cpu(cluster: Path) -> None:
    study = Study(cluster / "gpus", plan("epochs = 1"), SITE + 'gpus = "gpus-per-node"\n')
    study.until_ended()
    assert "GPUs were asked for and TensorFlow sees none here (CUDA_VISIBLE_DEVICES='0')" in study.said()
    assert study.statuses() == ["pending"]


def test_a_job_at_its_time_limit_says_so_and_is_requeued(cut_off: Study) -> None:
    run = cut_off.store.runs()[0]
    cut_off.until(lambda: (run.folder / "attempt-01" / "failure.json").exists())
    status = first_failure(run)["status"]  # preempted, where the ranks had the time to stop by themselves
    assert status in ("timed_out", "preempted"), cut_off.said()
    cut_off.until(lambda: "Restarts=1" in slurm("scontrol", "--oneliner", "show", "job", cut_off.jobs[0]))
    assert "the job is requeued" in cut_off.said() and f"1 {status}" in cut_off.status()
    slurm("scancel", *cut_off.jobs)
