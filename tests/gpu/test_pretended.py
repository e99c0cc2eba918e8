"""Beside pretended GPUs: what TensorFlow sees, where things are placed, what is copied, and how failures are told.

Kernels do nothing there, so nothing here is about values or speed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.pretended import answer_of, pretended_environment, run_beside

from batchscale.benchmarks.errors import EXIT_ENVIRONMENT

pytestmark = [pytest.mark.gpu, pytest.mark.launched]

COPIED = re.compile(r"^to GPU (\d+):", re.MULTILINE)
EXAMPLE_BYTES = 64 * 4 + 8  # of digits: 64 floats and a label, which is 64 bits wide beside GPUs
PLACE_BYTES = 8  # where a step finds it in the piece that was sent, once a call
ADAM_COUNT = {"to_device": 1, "to_device_bytes": 4}
PLAN = """
[plan]
name = "pretended"
drift_guard = false
[defaults]
dataset = "digits"
model = "mlp_128"
optimizer = "adam"
[[experiment]]
name = "accuracy"
global_batches = [128]
seeds = 1
epochs = 1
noise_batches = [8]
reference_batch = 128
[[experiment]]
name = "throughput"
kind = "throughput"
replica_batches = [32]
scaling = "weak"
strategies = {strategies}
replicas = {replicas}
launches = 1
windows = 2
window_seconds = 0.05
[[experiment]]
name = "memory"
kind = "memory"
global_batches = [256]
"""
RANKS = """
[[experiment]]
name = "ranks"
kind = "throughput"
replica_batches = [32]
strategies = ["multiworker", "horovod-gloo"]
exchange = ["one", "groups"]
replicas = [2]
launches = 1
windows = 2
window_seconds = 0.05
"""


def of_steps(gpus: int, folder: Path, **settings: Any) -> dict[str, Any]:
    return dict(answer_of(gpus, "copies_of_steps", folder, json.dumps(settings)))


@pytest.mark.parametrize("optimizer, copies", [("sgd", {"to_device": 0, "to_device_bytes": 0}), ("adam", ADAM_COUNT)])
def test_a_step_copies_nothing_from_the_host_but_adams_count(tmp_path: Path, optimizer: str,
                                                             copies: dict[str, int]) -> None:
    """Beside GPUs TensorFlow keeps int32 on the host: an order or labels of that type would be sent in every step."""
    found = of_steps(1, tmp_path, optimizer=optimizer, global_batch=64)
    assert (found["devices"], found["feed"]) == (["GPU:0"], "resident")
    assert {name: found["step"][name] for name in copies} == copies
    assert found["step"]["to_host"] == 0
    assert found["step"]["kernels"] > 10 and found["step"]["products"] >= 5, "the steps were not the GPU's"


@pytest.mark.parametrize("replicas", [1, 8])
def test_streamed_examples_are_sent_once_each_to_the_replica_that_trains_on_them(tmp_path: Path, replicas: int) -> None:
    settings = {"strategy": "mirrored", "replicas": replicas} if replicas > 1 else {}
    batch = 64 * replicas
    found = of_steps(replicas, tmp_path, optimizer="sgd", global_batch=batch, input="stream", **settings)
    assert found["feed"] == "stream" and len(found["devices"]) == replicas
    assert found["step"]["collectives"] == (replicas if replicas > 1 else 0), "one exchange a replica and step"
    assert found["chunk"]["to_device_bytes"] == found["chunk_steps"] * batch * (EXAMPLE_BYTES + PLACE_BYTES)


def test_doctor_counts_the_gpus_that_tensorflow_sees(tmp_path: Path) -> None:
    done = run_beside(8, ["-m", "batchscale.launchers.cli", "doctor", "--deep"], tmp_path)
    assert "8 x Pretended H100" in done.stdout and "imports; 1 CPU, 8 GPU" in done.stdout, done.stdout + done.stderr


def test_the_doctor_tells_a_gpu_that_computes_wrongly(tmp_path: Path) -> None:
    """Kernels of pretended GPUs do nothing: what they should compute is a problem, what is only copied is none."""
    done = run_beside(2, ["-m", "batchscale.launchers.cli", "doctor", "--gpu"], tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    states = {line[8:].split("  ")[0].strip(): line.split()[0] for line in done.stdout.splitlines()}
    assert {states[name] for name in ("TensorFlow", "GPU 0", "GPU 1", "copy CPU:0 to GPU:0", "copy GPU:0 to CPU:0",
                                      "copy GPU:0 to GPU:1")} == {"ok"}, done.stdout
    assert states["products, TF32"] == states["products, float32"] == states["convolution"] == "PROBLEM"
    written = json.loads((tmp_path / "batchscale-gpu.json").read_text())
    assert [gpu["name"] for gpu in written["gpus"]] == ["Pretended H100"] * 2
    assert {row["name"] for row in written["tried"]} >= {"products, TF32", "all-reduce over 2 GPUs"}


def test_gpus_that_tensorflow_cannot_use_are_an_error(tmp_path: Path) -> None:
    """A library that TensorFlow needs is not there: it would train on the CPU, and say so below any level that shows.
    """
    whole = Path(pretended_environment(2)["LD_LIBRARY_PATH"])
    lacking = Path(shutil.copytree(whole, tmp_path / "driver", symlinks=True))
    (lacking / "libcufft.so.11").unlink()
    doctor = run_beside(2, ["-m", "batchscale.launchers.cli", "doctor", "--deep"], tmp_path, libraries=lacking)
    assert doctor.returncode == 3
    assert "of 2 GPUs that the driver shows" in doctor.stdout and "libcufft" in doctor.stdout, doctor.stdout
    (tmp_path / "plan.toml").write_text(PLAN.format(strategies='["single"]', replicas=[1]))
    run = run_beside(2, ["-m", "batchscale.launchers.cli", "run", "plan.toml", "--only", "experiment=memory"], tmp_path,
                     libraries=lacking)
    assert run.returncode != 0
    assert "GPUs were asked for and TensorFlow sees none here" in run.stdout + run.stderr, run.stdout + run.stderr


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "results" / "pretended").glob("*/record.json"))]


@pytest.mark.slow
def test_a_plan_of_all_strategies_goes_through(tmp_path: Path) -> None:
    plan = PLAN.format(strategies='["single", "mirrored"]', replicas=[1, 2, 8]) + RANKS
    (tmp_path / "plan.toml").write_text(plan)
    words = ["-m", "batchscale.launchers.cli", "run", "plan.toml", "--results", "results"]
    done = run_beside(8, words, tmp_path, {"PRETENDED_SHOW": "1"}, timeout=3000)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = {(record["config"]["strategy"], record["config"]["replicas"], record["config"]["kind"]): record
             for record in records_of(tmp_path)}
    assert {key[:2] for key in found if key[2] == "throughput"} == {
        ("single", 1), ("mirrored", 1), ("mirrored", 2), ("mirrored", 8), ("multiworker", 2), ("horovod", 2)}
    for (_, replicas, _), record in found.items():
        seen = record["environment"]["ranks"]
        assert sum(len(rank["devices"]) for rank in seen) == replicas
        assert all(device.startswith("GPU:") for rank in seen for device in rank["devices"])
    assert found["multiworker", 2, "throughput"]["environment"]["library"] == {"communication": "NCCL"}
    pieces = {(record["config"]["strategy"], record["config"]["exchange"]): len(record["derived"]["exchanged_bytes"])
              for record in records_of(tmp_path) if record["config"]["experiment"] == "ranks"}
    assert set(pieces) == {(name, way) for name in ("multiworker", "horovod") for way in ("one", "groups")}
    assert all((number > 1) == (way == "groups") for (_, way), number in pieces.items()), pieces
    logs = [path.read_text(errors="replace") for path in (tmp_path / "results").glob(
        "pretended/logs/multiworker-2r*/**/*") if path.is_file()]
    for rank in range(2):
        assert any(f"NCCL rank {rank} of 2 on GPU {rank}" in log for log in logs), "a rank has the GPU of its number"


@pytest.mark.slow
def test_accuracy_runs_go_on_all_gpus_at_once_each_on_its_own(tmp_path: Path) -> None:
    """Eight at a time, however few cores feed them."""
    (tmp_path / "plan.toml").write_text(PLAN.format(strategies='["single"]', replicas=[1]).replace(
        "seeds = 1\nepochs = 1\n", "seeds = 16\nepochs = 20\n"))
    words = ["-m", "batchscale.launchers.cli", "run", "plan.toml", "--results", "results", "--only",
             "experiment=accuracy"]
    done = run_beside(8, words, tmp_path, {"PRETENDED_SHOW": "1"}, timeout=3000)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [record["status"] for record in records_of(tmp_path)] == ["completed"] * 16
    logs = [path.read_text(errors="replace") for path in (tmp_path / "results").glob("pretended/logs/*/worker.log")]
    gpus = sorted(sorted({int(gpu) for gpu in COPIED.findall(log)}) for log in logs)
    assert gpus == [[gpu] for gpu in range(8)], "a worker a GPU"


@pytest.mark.slow
def test_accuracy_runs_share_a_gpu_that_holds_several(tmp_path: Path) -> None:
    """A second worker joins the first where memory and cores have room for it; each has copied to the one GPU."""
    (tmp_path / "plan.toml").write_text(PLAN.format(strategies='["single"]', replicas=[1]).replace(
        "seeds = 1\nepochs = 1\n", "seeds = 24\nepochs = 20\n").replace(
        "drift_guard", "runs_per_gpu = 8\ndrift_guard"))
    words = ["-m", "batchscale.launchers.cli", "run", "plan.toml", "--results", "results", "--only",
             "experiment=accuracy"]
    done = run_beside(1, words, tmp_path, {"PRETENDED_SHOW": "1"}, timeout=3000)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "1 run on a GPU at a time; 2 are tried" in done.stdout, done.stdout
    assert [record["status"] for record in records_of(tmp_path)] == ["completed"] * 24
    logs = [path.read_text(errors="replace") for path in (tmp_path / "results").glob("pretended/logs/*/worker.log")]
    assert [sorted({int(gpu) for gpu in COPIED.findall(log)}) for log in logs] == [[0]] * 2


def failing_run(folder: Path, **how: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """A memory run beside a GPU that fails; what the run ended as, and why."""
    (folder / "plan.toml").write_text(PLAN.format(strategies='["single"]', replicas=[1]))
    large = ["--set", "dataset=glyphs", "--set", "model=mlp_512_256_128"]
    words = ["-m", "batchscale.launchers.cli", "run", "plan.toml", "--only", "experiment=memory", *large]
    done = run_beside(1, words, folder, how)
    failures = [json.loads(path.read_text()) for path in folder.glob("results/*/*/attempt-*/failure.json")]
    return done, failures[-1]["status"] if failures else "completed"


@pytest.mark.slow
@pytest.mark.parametrize("number, expected", [(2, "out_of_memory"), (3, "out_of_memory"), (4, "completed")])
def test_no_memory_from_any_allocation_on_is_told_as_such(tmp_path: Path, number: int, expected: str) -> None:
    """The rank makes the first, the run two more."""
    done, status = failing_run(tmp_path, PRETENDED_FAIL_ALLOCATION=str(number))
    assert status == expected, (status, done.stdout, done.stderr)


def test_a_gpu_that_is_full_before_a_run_begins_is_no_result_of_the_run(tmp_path: Path) -> None:
    """TensorFlow would ask without end for the first piece that is small."""
    done, status = failing_run(tmp_path, PRETENDED_FAIL_ALLOCATION="1")
    assert done.returncode == EXIT_ENVIRONMENT and status == "completed", (status, done.stdout, done.stderr)
    assert "GPU:0 has not a MiB of memory left: other processes hold it" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_lost_gpu_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    done, status = failing_run(tmp_path, PRETENDED_LOSE_AT_KERNEL="40")
    assert status in ("failed", "lost"), (status, done.stdout, done.stderr)
    assert done.returncode != 0
