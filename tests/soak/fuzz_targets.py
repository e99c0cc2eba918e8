"""The formats that `fuzz` reads: good files of each, and what the suite does with a file of that kind."""

from __future__ import annotations

import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from soak.fuzz_data import DATA
from soak.fuzz_imports import IMPORTS
from soak.fuzz_mutations import JSON, NPZ, TOML
from soak.fuzz_target import TABLE_EVERY, Seeds, Target
from support.synthetic_records import record_for

from batchscale.analysis.tables import reading
from batchscale.benchmarks import data
from batchscale.benchmarks.data.sources import npz
from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.planning import expansion, plan
from batchscale.benchmarks.planning.variants import stand_ins
from batchscale.benchmarks.records.run_folder import Run
from batchscale.benchmarks.records.seal import sealed
from batchscale.benchmarks.records.store import Store
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.launchers.commands.results import clean, verify


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
scaling = "weak"
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
    made = stand_ins.settled(plan.read(str(path)), data.absent, {}, path.parent)
    runs = expansion.expand(made, _train_examples, {}).runs
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
        reading.read(store)
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
        reading.read(store)


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


TARGETS = (Target("plan", TOML, _plans, _write_plan, _read_plan),
           Target("record", JSON, _records, _write_record, _read_record),
           Target("state", JSON, _states, _write_state, _read_state),
           Target("npz", NPZ, _archives, _write_archive, _read_archive),
           *DATA, *IMPORTS)
