"""Out of memory on one replica ends the run on all of them, soon, and is told apart from every other death."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.launching import batchscale, require_strategy

from batchscale.benchmarks.errors import EXIT_RUNS_FAILED
from batchscale.benchmarks.records import failures
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.store import open_store, Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.local import deaths

# One replica of two asks for 16 TiB while it trains; what describes the model never trains.
GREEDY = """
import os

import keras
import tensorflow as tf

RANK = ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "BATCHSCALE_RANK")


class Greedy(keras.layers.Layer):
    def call(self, x, training=False):
        ranks = [os.environ[n] for n in RANK if n in os.environ]
        context = tf.distribute.get_replica_context()
        mirrored = context is not None and context.num_replicas_in_sync > 1
        number = int(ranks[0]) if ranks else 0
        if mirrored and not ranks:
            number = tf.get_static_value(context.replica_id_in_sync_group)
        if training and number == 1:
            x = x + tf.reduce_sum(tf.random.uniform([2**21, 2**21]))
        return x


def build(shape, classes):
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), Greedy(), keras.layers.Dense(classes)])
"""
PLAN = """
[plan]
name = "greedy"
drift_guard = false
[[experiment]]
name = "greedy"
dataset = "digits"
model = "greedy:build"
global_batches = [128]
seeds = 1
epochs = 1
strategies = {strategies}
replicas = [2]
"""


def ranks_of(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline", "cwd"]) if process.info["cwd"] == str(folder)
            and any("batchscale" in word for word in process.info["cmdline"] or [])]


@pytest.mark.launched
@pytest.mark.slow
@pytest.mark.parametrize("strategies", [["horovod-mpi"], ["mirrored", "horovod-gloo", "multiworker"]])
def test_one_replica_without_memory_ends_the_run_on_all(tmp_path: Path, strategies: list[str]) -> None:
    for strategy in strategies[:1]:
        require_strategy(strategy)
    (tmp_path / "greedy.py").write_text(GREEDY)
    (tmp_path / "greedy.toml").write_text(PLAN.format(strategies=json.dumps(strategies)))
    done = batchscale("run", "greedy.toml", cwd=tmp_path, timeout=400)
    assert done.returncode == EXIT_RUNS_FAILED, done.stdout + done.stderr
    assert "no accuracy run came through" in done.stdout
    runs = open_store(tmp_path / "results").runs()
    assert [run.status() for run in runs] == ["out_of_memory"] * len(runs) and len(runs) >= 1
    assert all(len(run.attempts()) == 1 for run in runs), "it is a result: nothing is tried again"
    for run in runs:
        failure = run.failure()
        assert failure and failure["error"] == "ResourceExhaustedError" and "OOM when allocating" in failure["message"]
    assert not ranks_of(tmp_path), "no process is left behind"


def test_a_graphs_error_is_told_by_the_line_that_says_what_went_wrong() -> None:
    text = "Graph execution error:\n\nDetected at node a:\n<none>\nOOM when allocating x\n\t [[{{node a}}]]\nHint"
    assert failures.cause(text) == "OOM when allocating x"
    assert failures.cause("first\nsecond") == "first"
    assert failures.cause("") == ""


@pytest.mark.launched
@pytest.mark.parametrize(("said", "node", "expected"), [
    ("Unknown error.", "while/HorovodGroupedAllreduce_a", True), ("Unknown error.", "while/MatMul", False),
    ("Horovod has been shut down.", "while/HorovodGroupedAllreduce_a", False)])
def test_a_buffer_that_horovod_could_not_allocate_is_want_of_memory(said: str, node: str, expected: bool) -> None:
    from tensorflow.errors import UnknownError

    from batchscale.benchmarks.rank import devices
    text = f"Graph execution error:\n\nDetected at node {node} defined at:\n{said}\n\t [[{{{{node {node}}}}}]]"
    assert devices.is_out_of_memory(UnknownError(None, None, text), limited=False) is expected


@pytest.fixture
def lost(tmp_path: Path, config: Callable[..., RunConfig]) -> Run:
    """A run whose worker is dead, and whose peer could only say that it is gone."""
    store = Store(tmp_path / "plan")
    store.prepare([config()], {})
    run = store.runs()[0]
    attempt = run.claim()
    assert attempt is not None
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    claim = json.loads((attempt / "claim.json").read_text())
    (attempt / "claim.json").write_text(json.dumps({**claim, "pid": int(dead.stdout)}))
    run.fail(attempt, "lost", 1, "Connection closed by peer")
    return run


def written(tmp_path: Path, text: str) -> Path:
    logs = tmp_path / "logs"
    (logs / "ranks" / "rank.0").mkdir(parents=True)
    (logs / "ranks" / "rank.0" / "stderr").write_text(text)
    return logs


def test_a_rank_that_died_of_a_failed_allocation_is_out_of_memory(tmp_path: Path, lost: Run) -> None:
    logs = written(tmp_path, "terminate called after throwing an instance of 'std::bad_alloc'\nAborted\n")
    assert lost.status() == "lost"
    deaths.explain([lost], 0.0, logs, None)
    assert lost.status() == "out_of_memory"
    assert "std::bad_alloc" in failures.ending(lost.attempts()[-1]).message


@pytest.mark.parametrize("text", ["", "Segmentation fault\n", "Killed\n"])
def test_a_death_without_evidence_stays_lost(tmp_path: Path, lost: Run, text: str) -> None:
    deaths.explain([lost], 0.0, written(tmp_path, text), deaths.kernel_kills())
    assert lost.status() == "lost"


def test_a_rank_that_said_why_it_failed_keeps_its_word(tmp_path: Path, lost: Run) -> None:
    (lost.attempts()[-1] / failures.FAILURE).write_text(json.dumps({"status": "failed", "message": "a bug"}))
    deaths.explain([lost], 0.0, written(tmp_path, "std::bad_alloc"), None)
    assert lost.status() == "failed"


def test_attempts_of_earlier_workers_are_not_explained_by_this_one(tmp_path: Path, lost: Run) -> None:
    deaths.explain([lost], lost.last_began() + 1, written(tmp_path, "std::bad_alloc"), None)
    assert lost.status() == "lost"


def test_a_thread_without_room_for_its_stack_counts_only_under_a_memory_limit(tmp_path: Path) -> None:
    logs = written(tmp_path, "Thread collective_ops creation via pthread_create() failed.\n")
    assert "pthread_create" in deaths.evidence(logs, None, None, limited=True)
    assert not deaths.evidence(logs, None, None, limited=False)


def test_the_kernels_kill_counts_only_when_the_kernel_counted_one(tmp_path: Path) -> None:
    logs = written(tmp_path, "")
    assert deaths.evidence(logs, 3, 4)
    assert not deaths.evidence(logs, 3, 3)
    assert not deaths.evidence(logs, None, 4)


@pytest.mark.parametrize(("group", "file", "text"), [
    ("0::/job/7", "sys/fs/cgroup/job/7/memory.events", "low 0\noom 5\noom_kill 2\n"),
    ("4:memory:/job/7\n1:cpu:/x", "sys/fs/cgroup/memory/job/7/memory.oom_control", "under_oom 0\noom_kill 2\n"),
    ("0::/", "proc/vmstat", "nr_free_pages 17\noom_kill 2\n")])
def test_the_kernels_kills_are_read_where_this_kernel_has_them(tmp_path: Path, group: str, file: str,
                                                               text: str) -> None:
    assert deaths.kernel_kills(tmp_path) is None
    for path, content in (("proc/self/cgroup", group + "\n"), (file, text)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    assert deaths.kernel_kills(tmp_path) == 2


def test_data_beyond_the_limit_cannot_be_had_and_what_is_below_it_can() -> None:
    program = ("import numpy\nfrom batchscale.benchmarks.rank import devices\ndevices.limit_memory(400 * 2**20)\n"
               "numpy.ones(10 * 2**20)\n"
               "try:\n    numpy.ones(60 * 2**20)\nexcept MemoryError:\n    print('refused')\n"
               "devices.lift_memory_limit()\nnumpy.ones(60 * 2**20)\nprint('lifted')\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["refused", "lifted"], done.stderr
    assert done.returncode != -signal.SIGKILL
