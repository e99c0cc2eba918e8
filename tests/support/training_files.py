"""Files that other tools leave of trainings, as tests write them: small, with numbers whose answers are known."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from batchscale.analysis.exporters.tensorboard import event, first_event
from batchscale.benchmarks.data.disk.tfrecord_format import field, framed, varint

KERAS_2 = "epoch,acc,loss,val_acc,val_loss\n0,0.85,0.4,0.83,0.46\n1,0.86,0.36,0.87,0.38\n2,0.87,0.34,0.86,0.35\n"
KERAS_3 = ("epoch,accuracy,learning_rate,loss,val_accuracy,val_loss\n0,0.9,0.001,0.3,0.91,0.28\n"
           "1,0.95,0.001,0.2,0.94,0.21\n2,0.97,0.0002,0.1,0.93,0.25\n")
HISTORY = {"accuracy": [0.5, 0.75], "loss": [1.5, 0.75], "val_accuracy": [0.4, 0.6], "val_loss": [1.6, 0.9]}
LIGHTNING = ("acc_step,epoch,step,test_acc,train_loss_epoch,train_loss_step,val_acc\n0.7,0,49,,,1.0,\n0.8,0,99,,,0.6,\n"
             ",0,99,,0.75,,0.85\n0.9,1,149,,,0.4,\n,1,199,,0.5,,0.875\n,2,200,0.88,,,\n")
HPARAMS = "batch_size: 64\nlr: 0.02\nlayers:\n  hidden: 128\nuser: somebody\ndata: /home/somebody/data\n"


def trainer_state(**more: Any) -> str:
    """100 steps of 64 examples in two epochs, evaluated after each; the last entry sums up."""
    history: list[dict[str, Any]] = [
        {"epoch": 1.0, "learning_rate": 5e-05, "loss": 1.25, "grad_norm": 2.0, "step": 50},
        {"epoch": 1.0, "eval_loss": 1.0, "eval_accuracy": 0.6, "eval_runtime": 2.5, "eval_samples_per_second": 80.0,
         "eval_steps_per_second": 10.0, "step": 50},
        {"epoch": 2.0, "learning_rate": 0.0, "loss": 0.75, "grad_norm": 1.0, "step": 100},
        {"epoch": 2.0, "eval_loss": 0.875, "eval_accuracy": 0.7, "eval_runtime": 2.5, "step": 100},
        {"epoch": 2.0, "step": 100, "total_flos": 1e15, "train_loss": 1.0, "train_runtime": 320.0,
         "train_samples_per_second": 20.0, "train_steps_per_second": 0.3125}]
    return json.dumps({"best_metric": None, "epoch": 2.0, "global_step": 100, "log_history": history, "max_steps": 100,
                       "num_train_epochs": 2, "train_batch_size": 8, **more})


def scalar_tensor(tag: str, value: float, step: int, wall: float) -> bytes:
    """An Event as Keras writes it: the scalar as a tensor of one float, with the shape of none."""
    content = field(4, struct.pack("<f", value))
    tensor = b"\x08\x01" + field(2, b"") + content
    metadata = field(1, field(1, b"scalars"))
    summary = field(1, field(1, tag.encode()) + field(9, metadata) + field(8, tensor))
    return b"\x09" + struct.pack("<d", wall) + b"\x10" + varint(step) + field(5, summary)


def keras_events(rows: Sequence[Mapping[str, float]], begin: float = 1e9) -> bytes:
    """The bytes of an event file of Keras' callback: a row of scalars an epoch, ten seconds apart."""
    events = [first_event(begin)]
    for epoch, row in enumerate(rows):
        events += [scalar_tensor(f"epoch_{name}", value, epoch, begin + 10 * (epoch + 1))
                   for name, value in row.items()]
    return b"".join(map(framed, events))


def plain_events(rows: Mapping[int, Mapping[str, float]]) -> bytes:
    """The bytes of an event file with simple values, by training step."""
    return b"".join(map(framed, [first_event(1e9), *(event(1e9 + step, step, row) for step, row in rows.items())]))


TRAIN, VALIDATION = ({"loss": 0.5, "accuracy": 0.75}, {"loss": 0.25, "accuracy": 0.875}), (
    {"loss": 0.625, "accuracy": 0.7}, {"loss": 0.375, "accuracy": 0.8})


def tensorboard_run(folder: Path) -> Path:
    """A run's folder as Keras leaves it: train and validation beside each other."""
    for name, rows in (("train", TRAIN), ("validation", VALIDATION)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "events.out.tfevents.1000000000.box.1.0.v2").write_bytes(keras_events(rows))
    return folder


def mlflow_run(folder: Path, run: str, batch: int, losses: Sequence[float], **meta: Any) -> Path:
    """A run of the file store in mlruns/0, evaluated at every step."""
    place = folder / "mlruns" / "0" / run
    for name in ("params", "metrics", "tags"):
        (place / name).mkdir(parents=True, exist_ok=True)
    about = {"artifact_uri": "file:///home/somebody/mlruns/0/x", "end_time": 1_700_000_060_000, "lifecycle_stage":
             "active", "run_name": run, "start_time": 1_700_000_000_000, "status": 3, "user_id": "somebody", **meta}
    (place / "meta.yaml").write_text("".join(f"{key}: {value}\n" for key, value in about.items()))
    (place / "params" / "batch_size").write_text(str(batch))
    (place / "params" / "lr").write_text("0.1")
    (place / "metrics" / "val_loss").write_text("".join(
        f"{1_700_000_000_000 + 1000 * step} {loss} {step}\n" for step, loss in enumerate(losses, 1)))
    (place / "tags" / "mlflow.user").write_text("somebody")
    return folder / "mlruns"


def mlflow_database(path: Path, batches: Mapping[str, int] = {"one": 64}) -> Path:
    """A store of SQLite with a run for each name; its val_loss is 1.0 and 0.5 at steps 10 and 20."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript("""
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
            CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time BIGINT, end_time BIGINT,
                               experiment_id INTEGER, user_id TEXT, lifecycle_stage TEXT);
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            CREATE TABLE metrics (key TEXT, value REAL, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
            CREATE TABLE latest_metrics (key TEXT);
            INSERT INTO experiments VALUES (0, 'Default');""")
        for name, batch in batches.items():
            database.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', 1000, 61000, 0, 'somebody', 'active')",
                             (f"id-{name}", name))
            database.execute("INSERT INTO params VALUES ('batch_size', ?, ?)", (str(batch), f"id-{name}"))
            database.executemany("INSERT INTO metrics VALUES ('val_loss', ?, ?, ?, ?, 0)", [
                (1.0, 11000, f"id-{name}", 10), (0.5, 21000, f"id-{name}", 20)])
        database.commit()
    return path


OUTPUT = ("Epoch 1/2\n\x1b[1m10/10\x1b[0m - 1s - 100ms/step - accuracy: 0.5000 - loss: 1.2500 - val_loss: 1.5000\n"
          "Epoch 2/2\n\r 5/10 - accuracy: 0.6 - loss: 1.1\r10/10 - 1s - accuracy: 0.6250 - loss: 0.7500 - val_loss: 1.0"
          "\n")


def wandb_run(folder: Path, output: str = OUTPUT) -> Path:
    """A run's files below wandb/run-.../files; config and summary as that tool writes them."""
    place = folder / "wandb" / "run-20240101_000000-abc" / "files"
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.yaml").write_text("wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n    cli_version: 0.16\n"
                                       "batch_size:\n  desc: null\n  value: 128\nlr:\n  desc: null\n  value: 0.01\n")
    (place / "wandb-summary.json").write_text(json.dumps({
        "epoch": 1, "loss": 0.75, "val_loss": 1.0, "_step": 19, "_runtime": 12.5, "_timestamp": 1.7e9,
        "_wandb": {"runtime": 12}}))
    (place / "wandb-metadata.json").write_text('{"host": "box", "username": "somebody", "email": "me@example.org"}')
    (place / "output.log").write_text(output)
    return place / "wandb-summary.json"


def dllogger_lines(rates: Sequence[float] = (100.0, 400.0, 410.0)) -> str:
    """Both forms: an epoch printed, an epoch and the whole run as JSON."""
    lines = ["DLL 2020-11-06 11:23:26.100000 - PARAMETER batch_size : 256  epochs : 2 ",
             *(f"DLL 2020-11-06 11:23:27.{index}00000 - Epoch: 0 Iteration: {index}  train.loss : {7 - index}.0  "
               f"train.total_ips : {rate} img/s" for index, rate in enumerate(rates)),
             "DLL 2020-11-06 11:24:00.000000 - Epoch: 0  train.loss : 6.0  val.loss : 5.5  val.top1 : 12.5 %"]
    lines += ["DLLL " + json.dumps({"timestamp": "1604661867.1", "elapsedtime": "70.0", "type": "LOG", "step": [1],
                                    "data": {"train.loss": 4.0, "val.loss": 3.5, "val.top1": 25.0}})]
    return "\n".join(lines) + "\n"


def recording(batch: int = 32, losses: Sequence[float] = (1.5, 0.9, 0.6), ended: bool = True, **columns: Any) -> str:
    """What batchscale.Recorder writes of a training of 320 examples: a window of 8 steps in 0.4 s each epoch."""
    steps = 320 // batch
    known = {"model": "mine", "strategy": "single", "replicas": 1, "placement": "single-1r", "optimizer": "Adam",
             "global_batch": batch, "replica_batch": batch, "train_examples": 320, "epochs": len(losses),
             "base_learning_rate": 0.001, "experiment": "training", **columns}
    lines: list[dict[str, Any]] = [{"batchscale_recording": 1, "run": f"b{batch}", "columns": known,
                                    "environment": {"keras": "3.15.1", "devices": "CPU:0"}}]
    for epoch, loss in enumerate(losses):
        lines.append({"window": {"start_step": epoch * steps + 1, "steps": 8, "seconds": 0.4}})
        lines.append({"epoch": {"epoch": epoch + 1, "step": (epoch + 1) * steps, "train_seconds": 0.5 * (epoch + 1),
                                "elapsed_seconds": 0.7 * (epoch + 1), "learning_rate": 0.001,
                                "metrics": {"loss": loss, "accuracy": 1 - loss / 2, "val_loss": loss + 0.1,
                                            "val_accuracy": 0.9 - loss / 2}},
                      "memory": {"baseline_bytes": 10**9, "peak_bytes": 10**9 + 10**8, "device_peak_bytes": None}})
    return "".join(json.dumps(line) + "\n" for line in [*lines, *[{"end": True}] * ended])
