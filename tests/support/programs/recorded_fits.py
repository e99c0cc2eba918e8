"""Trains small models beside a recorder, some of whose places cannot be written: python recorded_fits.py FOLDER.

Prints JSON: the warnings of each way, how many steps were trained, and how the recording ends.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import batchscale
import keras
import numpy as np

EXAMPLES, EPOCHS, BATCH = 640, 2, 32


def trained(folder: Path, recorder: Any) -> dict[str, Any]:
    """One fit with the recorder; the steps done and what was warned of."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(EXAMPLES, 8)).astype("float32")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)], name="small")
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "mse")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        history = model.fit(x, x[:, :3], batch_size=BATCH, epochs=EPOCHS, verbose=0, validation_split=0.1,
                            callbacks=[recorder])
    return {"steps": int(model.optimizer.iterations), "epochs": len(history.epoch), "loss": history.history["loss"][-1],
            "warnings": [str(one.message) for one in said if "Recorder" in str(one.message)]}


class FullDisk:
    """A file on which nothing more can be written."""

    def write(self, text: str) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        raise OSError(28, "No space left on device")


def full_disk(folder: Path) -> Any:
    """A recorder whose disk is full once the training has begun."""
    recorder = batchscale.Recorder("full", results=folder, window_seconds=0.01)
    begin = recorder.on_epoch_begin

    def fill(epoch: int, logs: Any = None) -> None:
        recorder._file = FullDisk()
        begin(epoch, logs)
    recorder.on_epoch_begin = fill
    return recorder


def main(folder: Path) -> None:
    """Train in each way and print what became of it."""
    (folder / "file").write_text("no folder")
    ways = {"good": batchscale.Recorder("good", results=folder, window_seconds=0.01, rule="constant", seed=3),
            "no_folder": batchscale.Recorder("x", results=folder / "file"), "full_disk": full_disk(folder)}
    found = {name: trained(folder, recorder) for name, recorder in ways.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
