"""The formats of other tools that `fuzz` imports: good files of each, changed, imported and read back."""

from __future__ import annotations

import gzip
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from support.foreign_files import (GOOD, dawn_entry, horovod_text, mllog_text, of_round_0_5, of_round_0_6,
                                   reference_points, study, timings)
from soak import fuzz_trainings
from soak.fuzz_mutations import BYTES, JSON, TOML, Mutation
from soak.fuzz_target import TABLE_EVERY, Seeds, Target

from batchscale.analysis.importers import imported_store
from batchscale.analysis.importers.benchmarks import pytest_benchmark
from batchscale.analysis.importers.detection import detect
from batchscale.analysis.tables import reading
from batchscale.benchmarks.errors import BatchscaleError, RecordError
from batchscale.benchmarks.records.store import Store

TEXT: tuple[Mutation, ...] = TOML  # numbers, quoted texts, lines and bytes


def _references(folder: Path) -> Seeds:
    return [reference_points().encode()]


def _logs(folder: Path) -> Seeds:
    samples = mllog_text(8, [512, 1024], benchmark="llama2_70b_lora", counted="samples_count")
    return [mllog_text(256, [4, 8, 12]).encode(), samples.encode(), mllog_text(64, [4, 8], "aborted").encode(),
            (of_round_0_5("ssd", [0.5, 0.8], success="true") + mllog_text(256, [4])).encode(),
            of_round_0_6({"submission_benchmark": "resnet", "global_batch_size": 256}, {60: 4, 120: 8}).encode()]


def _horovod(folder: Path) -> Seeds:
    texts = [horovod_text(4, [100.0, 110.0, 90.5]), horovod_text(2, [10.0, 100.0, 90.0], warmup=False, device="CPU")]
    return [text.encode() for text in (*texts, "\n".join(texts))]


def _entries(folder: Path) -> Seeds:
    """Tables, and the JSON beside them."""
    path = dawn_entry(folder / "CIFAR10", "x", [(1, 0.1, 50.0), (2, 0.2, 94.5)])
    dawn_entry(folder / "ImageNet", "x", [(1, 0.1, 50.0, 80.0), (2, 0.2, 75.5, 93.1)])
    return [path.read_bytes(), (folder / "ImageNet" / "x.tsv").read_bytes(), path.with_suffix(".json").read_bytes()]


def _write_entry(folder: Path, content: bytes) -> Path:
    dawn_entry(folder / "CIFAR10", "x", [(1, 0.1, 50.0), (2, 0.2, 94.5)])
    path = folder / "CIFAR10" / ("x.json" if content.lstrip()[:1] == b"{" else "x.tsv")
    path.write_bytes(content)
    return path


def _studies(folder: Path) -> Seeds:
    rows = [(0, 0.9, 0.9, 0.9), (10, 0.5, 0.5, 0.5), (20, 0.2, 0.25, 0.26)]
    place = study(folder / "data", 16, {1: ("COMPLETE", rows), 2: ("INFEASIBLE", rows)})
    return [(place / name).read_bytes() for name in ("study.json", "1/metadata.json", "1/measurements.csv")]


def _write_study(folder: Path, content: bytes) -> Path:
    """In the place of the file it looks like; the others are made anew where an input spoilt them."""
    place = folder / "data" / "cifar_10" / "resnet_8" / "sgd" / "16"
    names = {b"parameter_configs": "study.json", b"trial_id": "1/metadata.json", b"step,": "1/measurements.csv"}
    name = next((name for key, name in names.items() if key in content), "1/measurements.csv")
    shutil.rmtree(folder / "data")
    _studies(folder)
    (place / name).write_bytes(content)
    return place / name


def _timings(folder: Path) -> Seeds:
    rounds = {"test_step": [1e-5, 2e-5, 1.4e-5, 1.5e-5], "test_read": [0.5]}
    return [timings(rounds).encode(), timings(rounds, keep=False).encode()]


def _tables(folder: Path) -> Seeds:
    return [b"experiment,replicas,replica_batch,global_batch,examples_per_second,scaling,launch,flags\n"
            b"a,1,32,32,1000.5,weak,0,\na,2,32,64,1900,weak,0,\"x, y\"\n",
            b"run_id,status,global_batch,reference_batch,rule,seed,epochs,train_examples,test_accuracy,kind\n"
            b"r1,completed,32,32,constant,0,2,640,0.9,accuracy\nr2,diverged,64,32,linear,1,2,640,,accuracy\n",
            b"global_batch,steps_to_target,weather\n8,100,rain\n16,60,sun\n32,,sun\n"]


def _write(name: str, folder: Path, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _import(form: str, path: Path, root: str = "") -> None:
    """root: the folder that is imported_store, of a format that is one."""
    size, source = path.stat().st_size, next(p for p in (path, *path.parents) if p.name == (root or path.name))
    results = source.parent / "results"
    try:
        store = imported_store.write(source, results, form)
        for run in imported_store.runs(store):
            imported_store.row_of(run)
        if size % TABLE_EVERY == 0:
            reading.read(store)
    finally:
        shutil.rmtree(results, ignore_errors=True)


def _brought(folder: Path) -> Seeds:
    """The two files that an import leaves."""
    source = _write("mine.txt", folder, horovod_text(2, [10.0, 11.0]).encode())
    found = imported_store.write(source, folder / "results", "horovod")
    entry = _write_entry(folder, _entries(folder)[0]).with_suffix(".tsv")
    curve = imported_store.write(entry, folder / "curve", "dawnbench")
    return [(found.folder / imported_store.FILE).read_bytes(), (curve.folder / imported_store.FILE).read_bytes(),
            (found.folder / "plan.json").read_bytes()]


def _write_brought(folder: Path, content: bytes) -> Path:
    store = folder / "results" / "mine"
    shutil.rmtree(folder / "results", ignore_errors=True)
    _brought(folder)
    path = store / ("plan.json" if b'"settings"' in content else imported_store.FILE)
    path.write_bytes(content)
    return path


def _read_brought(path: Path) -> None:
    store = Store(path.parent)
    list(imported_store.runs(store))
    if path.stat().st_size % TABLE_EVERY == 0:
        reading.read(store)


def _read_timings(path: Path) -> None:
    pytest_benchmark.read_benchmarks(path)
    _import("pytest-benchmark", path)


def _of_any(folder: Path) -> Seeds:
    """One file of each format, as it lies on disk."""
    found = []
    for form, made in GOOD.items():
        (folder / form).mkdir()
        path = made(folder / form)
        files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
        found += [each.read_bytes() for each in files]
    return found


def _write_any(folder: Path, content: bytes) -> Path:
    """Alone or in a folder beside a good file, by a name that some formats go by, or by none, plain or packed."""
    shutil.rmtree(folder / "any", ignore_errors=True)
    chance = random.Random(content)
    place = folder / "any" / chance.choice(("mlruns", "0/metrics", "events"))
    place.mkdir(parents=True)
    name = chance.choice(("a.log", "study.json", "wandb-summary.json", "meta.yaml", "metrics.csv", "trainer_state.json",
                          "events.out.tfevents.1.box", "mlflow.db", "x.tsv"))
    packed = chance.random() < 0.1
    path = place / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(content) if packed and chance.random() < 0.5 else content)
    if chance.random() < 0.3:
        (place / "b.txt").write_text(horovod_text(2, [10.0, 11.0]))
    return path


def _detect(path: Path) -> None:
    """The file, and the folder in which it lies; what is named must be known, and reads it or says why not. A refusal
    is no news here: a part of a format, and a name that belies the content, have none."""
    for source in (path, next(each for each in path.parents if each.name == "any")):
        try:
            form, _ = detect(source)
        except RecordError:
            continue
        if path.stat().st_size % TABLE_EVERY == 0:
            with suppress(BatchscaleError):
                _import(form, source)


def _target(form: str, mutations: tuple[Mutation, ...], prepare: Callable[[Path], Seeds], name: str) -> Target:
    return Target(form, mutations, prepare, partial(_write, name), partial(_import, form))


def _plain(form: str) -> Target:
    """Return the target of a format of which one good file is all that is needed."""
    with tempfile.TemporaryDirectory() as folder:
        name = GOOD[form](Path(folder)).name
    return _target(form, (*JSON, *TEXT), lambda folder: [GOOD[form](folder).read_bytes()], name)


OWN = (
    _target("mlperf-rcp", JSON, _references, "rcps_mine.json"), _target("mllog", TEXT, _logs, "result_0.txt"),
    _target("horovod", TEXT, _horovod, "mine.txt"), _target("csv", TEXT, _tables, "mine.csv"),
    Target("dawnbench", (*JSON, *TEXT), _entries, _write_entry, partial(_import, "dawnbench", root="CIFAR10")),
    Target("batch-science", (*JSON, *TEXT), _studies, _write_study, partial(_import, "batch-science", root="data")),
    Target("pytest-benchmark", JSON, _timings, partial(_write, "timings.json"), _read_timings),
    Target("detect", (*JSON, *TEXT, *BYTES), _of_any, _write_any, _detect),
    Target("imported", JSON, _brought, _write_brought, _read_brought), *fuzz_trainings.targets(_import))
IMPORTS = (*OWN, *(_plain(form) for form in GOOD if form not in {target.name for target in OWN}))
