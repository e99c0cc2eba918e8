"""The formats that `fuzz` reads: good files of each, and what the suite does with a file of that kind."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_mutations import JSON, NPZ, TOML, Mutation
from synthetic_records import record_for

from batchscale.analysis import imported, pytest_benchmark, table
from batchscale.benchmarks import data, plan
from batchscale.benchmarks.config import RunConfig
from batchscale.benchmarks.data import npz
from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.store import Run, Store, sealed
from batchscale.launchers import clean, verify

TABLE_EVERY = 20  # records; making data frames takes longer than all the rest
Seeds = Sequence[bytes]


@dataclass(frozen=True)
class Target:
    """One format. `prepare` makes what is there before an input and returns good files; `write` puts an input in its
    place; `read` is what is tested."""

    name: str
    mutations: Sequence[Mutation]
    prepare: Callable[[Path], Seeds]
    write: Callable[[Path, bytes], Path]
    read: Callable[[Path], None]


def _plans(folder: Path) -> Seeds:
    more = """
[plan]
name = "mine"
margin = 0.01
leaves_out = ["much"]
[defaults]
dataset = "synthetic:28x28x1,classes=10,examples=4096"
model = "mlp_128"
[[experiment]]
name = "adam"
optimizer = "adam"
global_batches = [32, 64, "all"]
rules = ["constant", "linear", "sqrt"]
noise_batches = [1, 8]
as_published = true
seeds = 2
epochs = 7
warmup_epochs = 1.5
[[experiment]]
name = "speed"
kind = "throughput"
dataset = "npz:mine.npz"
replica_batches = [1, 2]
strategies = ["single", "mirrored", "horovod-gloo"]
replicas = [1, 2]
launches = 2
"""
    (folder / "mine.npz").write_bytes(_archives(folder)[0])
    return [more.encode(), more.encode(), more.encode(), *(path.read_bytes() for path in plan.bundled().values())]


def _write_plan(folder: Path, content: bytes) -> Path:
    (folder / "mine.toml").write_bytes(content)
    return folder / "mine.toml"


def _read_plan(path: Path) -> None:
    made = plan.read(str(path))
    runs = plan.expand(made, _train_examples, {}).runs
    Store(path.parent / "results" / made.name).prepare(runs[:1], {"name": made.name, "settings": dict(made.settings)})
    shutil.rmtree(path.parent / "results")


def _train_examples(dataset: str, validation_fraction: float) -> int:
    """As for a real plan, but that a user's own function is not called."""
    scheme, colon, _ = dataset.partition(":")
    user = colon and scheme not in ("npz", "synthetic")
    size = 4096 if user else data.describe_size(dataset).train_examples
    return data.split_sizes(size, validation_fraction)[0]


CONFIGS = tuple(RunConfig(experiment="sgd", kind=kind, dataset="digits", model="mlp_128", optimizer="sgd", seed=0,
                          global_batch=64, train_examples=256, epochs=2, noise_batches=noise, earlier_batches=earlier)
                for kind, noise, earlier in (("accuracy", (1, 8), ()), ("accuracy", (), (32,)), ("throughput", (), ())))


def _store(folder: Path) -> Store:
    store = Store(folder / "results" / "mine")
    if not store.folder.exists():
        store.prepare(list(CONFIGS), {"name": "mine", "settings": {"margin": 0.01}, "skipped": [], "text": ""})
    return store


def _records(folder: Path) -> Seeds:
    _store(folder)
    return [json.dumps(sealed(record_for(config))).encode() for config in CONFIGS]


def _write_record(folder: Path, content: bytes) -> Path:
    """In the folder of the run it names; where it is a JSON object, mostly with a hash that fits."""
    run, count = _store(folder).runs()[0], len(content)
    try:
        value = json.loads(content)
        run = next((r for r in _store(folder).runs() if r.run_id == value.get("run_id")), run)
        content = json.dumps(sealed(value)).encode() if count % 4 else content
    except (ValueError, AttributeError, TypeError, RecursionError, OverflowError):
        pass
    run.record_path.write_bytes(content)
    return run.record_path


def _read_record(path: Path) -> None:
    run, store = Run(path.parent), Store(path.parents[1])
    size = path.stat().st_size
    verify.examine(store)
    clean.leftovers(store)
    if size % TABLE_EVERY == 0:
        table.read(store)
    believed = run.record()
    run.status()
    for left in (path, *run.corrupt(), *run.folder.glob("*.txt")):
        left.unlink(missing_ok=True)
    if believed is None:
        raise NotBelieved


class NotBelieved(BatchscaleError):
    """The record was set aside."""


def _states(folder: Path) -> Seeds:
    store = _store(folder)
    run = store.runs()[0]
    attempt = run.claim()
    assert attempt is not None
    failure = {"status": "failed", "rank": 1, "host": "x", "error": "ValueError", "message": "m", "details": ""}
    files = [store.folder / "plan.json", run.folder / "config.json", attempt / "claim.json"]
    return [*(path.read_bytes() for path in files), json.dumps(failure).encode()]


def _write_state(folder: Path, content: bytes) -> Path:
    """In the place of the file it looks like, or of any; those that an earlier input spoilt are made anew."""
    shutil.rmtree(folder / "results")
    store = _store(folder)
    run = store.runs()[0]
    attempt = run.folder / "attempt-01"
    attempt.mkdir()
    places = {b'"runs"': store.folder / "plan.json", b'"config"': run.folder / "config.json",
              b'"pid"': attempt / "claim.json", b'"rank"': attempt / "failure.json"}
    path = next((path for key, path in places.items() if key in content),
                random.Random(content).choice(list(places.values())))
    path.write_bytes(content)
    return path


def _read_state(path: Path) -> None:
    store = Store(next(parent for parent in path.parents if parent.name == "mine"))
    verify.examine(store)
    clean.leftovers(store)
    for run in store.runs():
        run.status(), run.failure(), run.last_began(), run.config, run.claim()
    store.others()
    if path.stat().st_size % TABLE_EVERY == 0:
        table.read(store)


def _archives(folder: Path) -> Seeds:
    arrays: dict[str, Any] = {"x_train": np.zeros((8, 2), np.float32), "y_train": np.arange(8) % 2,
                              "x_test": np.ones((4, 2), np.float32), "y_test": np.arange(4) % 2}
    found = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **arrays)
        found.append(buffer.getvalue())
    return found


def _write_archive(folder: Path, content: bytes) -> Path:
    (folder / "mine.npz").write_bytes(content)
    return folder / "mine.npz"


def _read_archive(path: Path) -> None:
    npz.load_npz(f"npz:{path}")


def _references(folder: Path) -> Seeds:
    point = {"Benchmark": "resnet", "Creator": "NVIDIA", "When": "Prior to 1.0 submission", "Platform": "16xDGX-A100",
             "BS": 3264, "Hyperparams": {"opt_name": "lars", "opt_base_learning_rate": 8.68},
             "Epochs to converge": [34, 34, 35.5]}
    other = {**point, "BS": 4096, "Hyperparams": {"opt_momentum": 0.9}}
    return [json.dumps({"resnet_ref_3264": point, "resnet_ref_4096": other}).encode()]


def _write_reference(folder: Path, content: bytes) -> Path:
    (folder / "rcps_mine.json").write_bytes(content)
    return folder / "rcps_mine.json"


def _read_reference(path: Path) -> None:
    try:
        table.read(imported.write(path, path.parent / "results"))
    finally:
        shutil.rmtree(path.parent / "results", ignore_errors=True)


def _timings(folder: Path) -> Seeds:
    stats = {"min": 1e-5, "max": 2e-5, "mean": 1.5e-5, "stddev": 1e-6, "median": 1.4e-5, "iqr": 1e-6, "rounds": 4,
             "data": [1e-5, 2e-5, 1.4e-5, 1.5e-5], "iterations": 1}
    benchmark = {"group": None, "name": "test_step", "fullname": "micro/test_step.py::test_step", "params": None,
                 "options": {"disable_gc": False, "timer": "perf_counter", "min_rounds": 5}, "stats": stats}
    other = {**benchmark, "name": "test_read", "fullname": "micro/test_read.py::test_read"}
    machine = {"node": "x", "processor": "x86_64", "machine": "x86_64", "python_version": "3.12.0", "system": "Linux",
               "release": "6.1", "cpu": {"brand_raw": "made up", "count": 2}}
    return [json.dumps({"machine_info": machine, "commit_info": {"id": "abc", "dirty": False}, "version": "5.1.0",
                        "benchmarks": [benchmark, other], "datetime": "2030-01-01T00:00:00+00:00"}).encode()]


def _write_timings(folder: Path, content: bytes) -> Path:
    (folder / "timings.json").write_bytes(content)
    return folder / "timings.json"


def _read_timings(path: Path) -> None:
    pytest_benchmark.read_benchmarks(path)


TARGETS = (Target("plan", TOML, _plans, _write_plan, _read_plan),
           Target("record", JSON, _records, _write_record, _read_record),
           Target("state", JSON, _states, _write_state, _read_state),
           Target("npz", NPZ, _archives, _write_archive, _read_archive),
           Target("mlperf-rcp", JSON, _references, _write_reference, _read_reference),
           Target("pytest-benchmark", JSON, _timings, _write_timings, _read_timings))
