"""Files of other tools' trainings and timings whose names are markup, as tests of hostile input write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from support.foreign_files import saved
from support.reference_points import HOSTILE
from support.timing_files import osu_text, tf_cnn_text
from support.training_files import (dllogger_lines, HISTORY, KERAS_3, keras_events, LIGHTNING, mlflow_database,
                                    trainer_state, wandb_run)

OSU = osu_text({8: 1e-5, 2**20: 1e-3, 2**24: 1e-2}).replace("Allreduce", HOSTILE)


def _state(folder: Path) -> Path:
    state = json.loads(trainer_state())
    state["log_history"][0][HOSTILE] = 1.0
    return saved(folder, json.dumps(state), "trainer_state.json")


def _events(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.out.tfevents.1.box"
    path.write_bytes(keras_events([{"loss": 1.0, HOSTILE: 2.0}, {"loss": 0.5}]))
    return path


def _summary(folder: Path) -> Path:
    path = wandb_run(folder, "")
    path.write_text(json.dumps({**json.loads(path.read_text()), HOSTILE: 1.0}))
    return path


MADE: dict[str, Callable[[Path], Path]] = {
    "tf-cnn-benchmarks": lambda folder: saved(folder, tf_cnn_text(2, 8, 50.0, model=HOSTILE), "x.log"),
    "collectives": lambda folder: saved(folder, OSU, "x.txt"),
    "trainer-state": _state,
    "lightning": lambda folder: saved(folder, LIGHTNING.replace("acc_step", HOSTILE), "metrics.csv"),
    "keras-log": lambda folder: saved(folder, KERAS_3.replace("accuracy,", f"{HOSTILE},", 1), "training.log"),
    "keras-history": lambda folder: saved(folder, json.dumps({**HISTORY, HOSTILE: [1, 2]}), "history.json"),
    "tensorboard": _events,
    "mlflow": lambda folder: mlflow_database(folder / "mlflow.db", {HOSTILE: 64}),
    "wandb": _summary,
    "dllogger": lambda folder: saved(folder, dllogger_lines().replace('"val.top1"', json.dumps(HOSTILE)), "x.log")}
