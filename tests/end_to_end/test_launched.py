"""Real ranks: a plan runs to records on every strategy, and ranks that do not train together give no figure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import known_workloads, starts
from support.launching import PROGRAMS, batchscale, environment, rank_words, require_strategy

from batchscale.benchmarks.errors import EXIT_ENVIRONMENT, EXIT_OK, EXIT_RUNS_FAILED
from batchscale.benchmarks.records.store import open_store, Store
from batchscale.launchers.machine import checks

pytestmark = pytest.mark.launched

PLAN = """
[plan]
name = "every"
drift_guard = false
[defaults]
dataset = "digits"
model = "mlp_128"
seeds = 1
epochs = 2
launches = 1
windows = 3
window_seconds = 0.02
[[experiment]]
name = "accuracy"
optimizer = "adam"
global_batches = [32, 128]
rules = ["constant", "linear"]
as_published = true
noise_batches = [1, 8, 32]
[[experiment]]
name = "replicas"
optimizer = "adam"
global_batches = [128]
strategies = ["horovod-mpi"]
replicas = [2]
[[experiment]]
name = "scaling"
kind = "throughput"
scaling = "weak"
replica_batches = [64]
strategies = ["mirrored"]
replicas = [2]
[[experiment]]
name = "memory"
kind = "memory"
global_batches = [256]
[[experiment]]
name = "hopeless"
learning_rate = 1e15
global_batches = [32]
"""


EVERY_STRATEGY = PLAN.replace('["horovod-mpi"]', '["multiworker", "mirrored", "horovod-gloo", "horovod-mpi"]')


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The plan above, run once with its report."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "every.toml").write_text(PLAN)
    done = batchscale("study", "every.toml", cwd=folder, timeout=400)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    return open_store(folder / "results")


def records(store: Store, **wanted: Any) -> list[dict[str, Any]]:
    found = [r for r in store.records() if all(r["config"][key] == value for key, value in wanted.items())]
    assert found
    return found


def test_every_run_of_the_plan_ends_in_a_result(study: Store) -> None:
    assert Counter(run.status() for run in study.runs()) == {"completed": len(study.runs()) - 1, "diverged": 1}
    assert records(study, experiment="hopeless")[0]["status"] == "diverged"


def test_training_learns_and_every_phase_of_the_published_arm_is_recorded(study: Store) -> None:
    assert records(study, experiment="accuracy", global_batch=32)[0]["evaluations"][-1]["test_accuracy"] > 0.8
    published = records(study, rule="as_published")[0]["evaluations"]
    assert {row["global_batch"] for row in published} == {32, 128}
    last_of_first = [row for row in published if row["phase"] == 0][-1]
    first_of_second = [row for row in published if row["phase"] == 1][0]
    assert first_of_second["train_loss"] < 1.5 * last_of_first["train_loss"], "weights are carried over"


@pytest.mark.slow
def test_batches_one_after_another_go_on_from_the_first_ones_run_bit_for_bit(study: Store, tmp_path: Path) -> None:
    """Once without that run, once with it."""
    from_the_start = published_arm(tmp_path / "without")
    first = records(study, experiment="accuracy", global_batch=32, rule="constant")[0]["run_id"]
    shutil.copytree(study.folder / first, tmp_path / "with" / "results" / "every" / first)
    continued = published_arm(tmp_path / "with")
    assert (from_the_start["continues"], continued["continues"]) == ("", first)
    assert trained(continued) == trained(from_the_start)


def published_arm(folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    (folder / "every.toml").write_text(PLAN)
    known_workloads.describe(folder / "results" / "every")
    done = batchscale("run", "every.toml", "--only", "rule=as_published", cwd=folder)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    return records(open_store(folder / "results"), rule="as_published")[0]


def trained(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "train_seconds": None} for row in record["evaluations"]]


def test_replicas_proved_that_they_train_together(study: Store) -> None:
    """test_equal_weights.py starts the others too, and all of them run in the slow one below."""
    require_strategy("horovod-mpi")
    assert_together(study, {"horovod-mpi"})


@pytest.mark.slow
def test_replicas_of_every_strategy_prove_that_they_train_together(tmp_path: Path) -> None:
    (tmp_path / "every.toml").write_text(EVERY_STRATEGY)
    done = batchscale("run", "every.toml", "--only", "experiment=replicas", cwd=tmp_path, timeout=400)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert_together(open_store(tmp_path / "results"), {"mirrored", "multiworker", "horovod-gloo", "horovod-mpi"})


def assert_together(store: Store, strategies: set[str]) -> None:
    found = records(store, experiment="replicas")
    reasons = checks.strategies_available()
    assert len(found) == sum(not reasons[name] for name in strategies)
    for record in found:
        agreement = record["agreement"]
        assert agreement["replicas"] == 2
        assert agreement["equal_at_evaluations"] == len(record["evaluations"]) > 0
        assert agreement["shards_disjoint_and_complete"]
    accuracies = [r["evaluations"][-1]["test_accuracy"] for r in found]
    assert max(accuracies) - min(accuracies) < 0.02


def test_the_first_run_of_a_process_tells_what_its_start_took(study: Store) -> None:
    by_process: dict[int, list[float]] = {}
    for record in study.records():
        starts = by_process.setdefault(record["environment"]["ranks"][0]["pid"], [])
        starts.append(record["timing"]["import_seconds"])
    assert all(sum(seconds > 0 for seconds in starts) == 1 for starts in by_process.values())
    assert any(len(starts) > 1 for starts in by_process.values())


def test_horovod_records_name_their_library_hosts_and_cores(study: Store) -> None:
    require_strategy("horovod-mpi")
    record = records(study, experiment="replicas", transport="mpi")[0]
    environment = record["environment"]
    assert environment["library"]["controller"] == "mpi" and "Open MPI" in environment["library"]["mpi_library"]
    assert [rank["rank"] for rank in environment["ranks"]] == [0, 1]
    assert not set(environment["ranks"][0]["affinity"]) & set(environment["ranks"][1]["affinity"])
    assert {row["rank"] for row in record["windows"]} == {0, 1}


def test_timing_windows_have_one_length_and_warm_up_is_apart(study: Store) -> None:
    for record in records(study, experiment="scaling"):
        steady = [row for row in record["windows"] if row["steady"]]
        assert len({row["steps"] for row in steady}) == 1
        assert len(steady) == 3 * record["agreement"]["size"]
        assert [row for row in record["windows"] if not row["steady"]]


def test_gradient_norms_are_raw_and_in_the_right_order(study: Store) -> None:
    rows = records(study, experiment="accuracy", global_batch=32)[0]["gradient_norms"]
    assert {row["batch"] for row in rows} == {1, 8, 32}
    for step in {row["step"] for row in rows}:
        norms = [row["mean_norm_squared"] for row in rows if row["step"] == step]
        assert norms[0] > norms[-1] > 0, "a gradient over more examples has less noise"
    assert all(row["mean_norm_squared"] >= row["norm_squared_of_mean"] for row in rows)


def test_memory_is_read_in_a_process_of_its_own(study: Store) -> None:
    memory = records(study, kind="memory")[0]["memory"]
    assert memory["peak_bytes"] >= memory["baseline_bytes"] > 100e6
    assert memory["device_peak_bytes"] is None


def test_the_same_command_again_has_nothing_to_do_and_a_run_can_be_done_again_alone(study: Store) -> None:
    folder = study.folder.parent.parent
    before = {run.run_id: (run.folder / "record.json").read_bytes() for run in study.runs()}
    done = batchscale("run", "every.toml", cwd=folder)
    assert done.returncode == EXIT_OK and "were done before" in done.stdout
    assert before == {run.run_id: (run.folder / "record.json").read_bytes() for run in study.runs()}
    run = next(r for r in study.runs() if r.config.rule == "linear")
    known = folder / "again" / f"again-{run.config.digest}"
    known.mkdir(parents=True)
    shutil.copy(study.folder / "workloads.json", known)  # the study has shown already that they can be described
    done = batchscale("run", str(run.folder / "record.json"), "--results", "again", cwd=folder)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    repeated = next(open_store(folder / "again").records())
    first = json.loads(before[run.run_id])
    assert [row["test_loss"] for row in repeated["evaluations"]] == [row["test_loss"] for row in first["evaluations"]]


def prepared(folder: Path) -> Store:
    """The plan's folder with all runs written and none done."""
    (folder / "every.toml").write_text(EVERY_STRATEGY)
    known_workloads.invent(folder / "every.toml", folder / "results" / "every")
    before = starts.count()
    batchscale("run", "every.toml", "--budget", "0s", cwd=folder)
    assert starts.count() == before
    return open_store(folder / "results")


@pytest.mark.slow  # test_models_train.py finds replicas apart whose gradients are not averaged
@pytest.mark.parametrize("transport", ["gloo", "mpi"])
def test_a_broken_all_reduce_makes_the_run_invalid(tmp_path: Path, transport: str) -> None:
    require_strategy(f"horovod-{transport}")
    store = prepared(tmp_path)
    run = next(r for r in store.runs() if r.config.experiment == "replicas" and r.config.transport == transport)
    words = [sys.executable, str(PROGRAMS / "broken_rank.py"), "--results", str(store.folder), "--shape",
             run.config.shape]
    subprocess.run(rank_words(f"horovod-{transport}", 2, words), env=environment(), timeout=120, capture_output=True)
    assert run.status() == "invalid"
    failure = run.failure()
    assert failure and "do not train together" in failure["message"] and failure["error"] == "RanksDisagree"
    assert run.record() is None and not list(store.records())
    done = batchscale("status", "results", cwd=tmp_path)
    assert "1 invalid" in done.stdout and run.run_id in done.stdout


def test_a_wrong_size_makes_the_run_invalid_and_ends_the_worker(tmp_path: Path) -> None:
    require_strategy("horovod-gloo")
    store = prepared(tmp_path)
    run = next(r for r in store.runs() if r.config.experiment == "replicas" and r.config.strategy == "horovod")
    words = [sys.executable, "-m", "batchscale.benchmarks.rank.worker", "--results", str(store.folder),
             "--shape", run.config.shape]
    alone = subprocess.run(words, env=environment(), timeout=120, capture_output=True, text=True)
    assert alone.returncode == EXIT_ENVIRONMENT
    failure = run.failure()
    assert run.status() == "invalid" and failure
    assert "2 replicas were asked for and 1 answered" in failure["message"]


def test_a_shape_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    done = subprocess.run([sys.executable, "-m", "batchscale.benchmarks.rank.worker", "--results", str(store.folder),
                           "--shape", "single-9r"], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "shapes: " in done.stderr
    assert EXIT_RUNS_FAILED != done.returncode
