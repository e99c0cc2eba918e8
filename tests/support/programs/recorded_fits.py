"""Trains small models beside a recorder, some of whose places cannot be written: python recorded_fits.py FOLDER.

Prints JSON: the warnings of each way, how many steps were trained, and how the recording ends. Folders `full` and
`read_only` in FOLDER, where they are there, are file systems of that kind. With `endless` behind FOLDER it trains until
it is killed.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import batchscale
import numpy as np

from batchscale.benchmarks.rank import imports

imports.tensorflow_and_keras()  # without what Keras imports only because it is there

import keras  # noqa: E402

from batchscale.benchmarks.rank.own_fit import recorder  # noqa: E402

EXAMPLES, EPOCHS, BATCH = 640, 2, 32


def trained(own: Any, epochs: int = EPOCHS) -> dict[str, Any]:
    """One fit with a recorder; the steps done and what was warned of."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(EXAMPLES, 8)).astype("float32")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)], name="small")
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "mse")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        history = model.fit(x, x[:, :3], batch_size=BATCH, epochs=epochs, verbose=0, validation_split=0.1,
                            callbacks=[own])
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
    own = batchscale.Recorder("fills_up", results=folder, window_seconds=0.01)
    begin = own.on_epoch_begin

    def fill(epoch: int, logs: Any = None) -> None:
        own._file = FullDisk()
        begin(epoch, logs)
    own.on_epoch_begin = fill
    return own


def publications(folder: Path) -> tuple[list[float], float]:
    """When others were let read what is recorded, each time for 5 seconds, of a training of 3 hours that is pretended:
    epochs of 30 seconds by a clock that is set. And when it ended."""
    now, found = [0.0], []

    def publish(recordings: Path) -> None:
        found.append(now[0])
        now[0] += 5.0
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    own = recorder.Recorder(folder / "published", {}, 1.0, publish)
    own.set_model(model)
    with mock.patch("time.monotonic", lambda: now[0]):
        own.on_train_begin()
        while now[0] < 3 * 3600:
            own.on_epoch_begin(0)
            now[0] += 30.0
            own.on_epoch_end(0)
    return ([] if own.failed else found), now[0]


def main(folder: Path) -> None:
    """Train in each way and print what became of it."""
    (folder / "file").write_text("no folder")
    ways = {"good": batchscale.Recorder("good", results=folder, window_seconds=0.01, rule="constant", seed=3),
            "no_folder": batchscale.Recorder("x", results=folder / "file"), "fills_up": full_disk(folder)}
    ways |= {name: batchscale.Recorder("x", results=folder / name) for name in ("full", "read_only")
             if (folder / name).is_dir()}
    found = {name: trained(own) for name, own in ways.items()}
    print(json.dumps({**found, "publications": publications(folder)}))


if __name__ == "__main__":
    if sys.argv[2:] == ["endless"]:
        trained(batchscale.Recorder("killed", results=Path(sys.argv[1]), window_seconds=0.01), epochs=10**6)
    main(Path(sys.argv[1]))
