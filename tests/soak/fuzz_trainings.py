"""The formats of trainings that are folders or binary: good files of each, and the place of a changed one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from soak.fuzz_mutations import BYTES, JSON, TOML
from soak.fuzz_target import Seeds, Target
from support.training_files import (HPARAMS, keras_events, LIGHTNING, mlflow_database, mlflow_run, OUTPUT, plain_events,
                                    scalar_tensor, wandb_run)

from batchscale.benchmarks.data.disk.tfrecord_format import framed

Import = Callable[..., None]


def _events(folder: Path) -> Seeds:
    """Whole files, and single messages, which are framed anew after they were changed."""
    return [keras_events([{"loss": 1.0, "accuracy": 0.5}, {"loss": 0.5}]), plain_events({5: {"Loss/val": 2.0}}),
            scalar_tensor("epoch_loss", 0.5, 1, 1e9)]


def _write_events(folder: Path, content: bytes) -> Path:
    place = folder / "logs" / ("validation" if len(content) % 2 else "train")
    shutil.rmtree(folder / "logs", ignore_errors=True)
    place.mkdir(parents=True)
    path = place / "events.out.tfevents.1.box.v2"
    whole = content[:8] in {seed[:8] for seed in _events(folder)[:2]} or len(content) > 10_000
    path.write_bytes(content if whole else framed(content) + keras_events([{"loss": 1.0}]))
    return path


def _tables(folder: Path) -> Seeds:
    return [LIGHTNING.encode(), HPARAMS.encode()]


def _write_table(folder: Path, content: bytes) -> Path:
    place = folder / "version_0"
    place.mkdir(exist_ok=True)
    (place / "metrics.csv").write_text(LIGHTNING)
    path = place / ("metrics.csv" if b"step" in content else "hparams.yaml")
    path.write_bytes(content)
    return path


def _databases(folder: Path) -> Seeds:
    return [mlflow_database(folder / "mlflow.db", {"one": 64, "two": 128}).read_bytes()]


def _write_database(folder: Path, content: bytes) -> Path:
    (folder / "mlflow.db").write_bytes(content)
    return folder / "mlflow.db"


def _tracked(folder: Path) -> Seeds:
    place = mlflow_run(folder, "one", 32, [1.0, 0.5]) / "0" / "one"
    return [(place / name).read_bytes() for name in ("meta.yaml", "metrics/val_loss", "params/batch_size")]


def _write_tracked(folder: Path, content: bytes) -> Path:
    place = mlflow_run(folder, "one", 32, [1.0, 0.5]) / "0" / "one"
    name = "meta.yaml" if b"lifecycle" in content else "metrics/val_loss" if b"1700" in content else "params/batch_size"
    (place / name).write_bytes(content)
    return place / name


def _summaries(folder: Path) -> Seeds:
    place = wandb_run(folder).parent
    return [(place / name).read_bytes() for name in ("wandb-summary.json", "config.yaml", "output.log")]


def _write_summary(folder: Path, content: bytes) -> Path:
    place = wandb_run(folder, OUTPUT if len(content) % 2 else "").parent
    name = "config.yaml" if b"wandb_version" in content else "output.log" if b"Epoch" in content else place.name
    name = "wandb-summary.json" if name == place.name else name
    (place / name).write_bytes(content)
    return place / name


def targets(imports: Import) -> tuple[Target, ...]:
    """The targets; `imports` takes the format, the changed file and the name of the folder that is imported."""
    both = (*JSON, *TOML)
    return (Target("tensorboard", BYTES, _events, _write_events, partial(imports, "tensorboard", root="logs")),
            Target("lightning", TOML, _tables, _write_table, partial(imports, "lightning", root="version_0")),
            Target("mlflow", BYTES, _databases, _write_database, partial(imports, "mlflow")),
            Target("mlflow-folder", TOML, _tracked, _write_tracked, partial(imports, "mlflow", root="mlruns")),
            Target("wandb", both, _summaries, _write_summary, partial(imports, "wandb", root="wandb")))
