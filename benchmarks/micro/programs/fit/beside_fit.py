"""What a recorder costs the `fit` that it is given to: seconds of a step with and without it, in turn in one process.

Request: cores, step_seconds, steps, repeats. The batch is chosen so that a step takes about step_seconds. An epoch is
timed from its beginning to its end by a callback that has nothing to do at a step.
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any

import numpy as np

from .....launchers.python.recording import Recorder
from ..answer import prepare, Request, serve

FEATURES, CLASSES, HIDDEN = 784, 10, (512, 256, 128)
FIRST_BATCH, ROUGH_STEPS = 256, 40


def measure(request: Request) -> dict[str, Any]:
    """Return wall and processor seconds of a step for each way and repeat, and the batch."""
    prepare(request["cores"], len(request["cores"]))
    import keras
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((FEATURES,)), *(keras.layers.Dense(width, "relu") for width in HIDDEN),
                              keras.layers.Dense(CLASSES)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    rough = _batch_for(model, request["step_seconds"])
    rows: dict[str, list[tuple[float, float]]] = {"without": [], "recorder": []}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(-1, request["repeats"]):  # the first round of both warms up
            for way, found in rows.items():
                given = [Recorder("cost", results=folder)] if way == "recorder" else []
                timed = _epoch(model, rough, request["steps"], given)
                if repeat >= 0:
                    found.append(timed)
    return {"batch": rough, "steps": request["steps"],
            "seconds": {way: [wall for wall, _ in found] for way, found in rows.items()},
            "processor_seconds": {way: [used for _, used in found] for way, found in rows.items()}}


def _batch_for(model: Any, step_seconds: float) -> int:
    _epoch(model, FIRST_BATCH, ROUGH_STEPS, [])
    wall, _ = _epoch(model, FIRST_BATCH, ROUGH_STEPS, [])
    return max(1, round(FIRST_BATCH * step_seconds / wall))


def _epoch(model: Any, batch: int, steps: int, callbacks: list[Any]) -> tuple[float, float]:
    """Wall and processor seconds of one step, the mean over an epoch."""
    import keras
    clock: list[tuple[float, float]] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            clock.append((time.perf_counter(), time.process_time()))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            clock.append((time.perf_counter(), time.process_time()))
    chance = np.random.default_rng(0)
    x = chance.normal(size=(batch * 8, FEATURES)).astype("float32")
    y = chance.integers(0, CLASSES, len(x))

    def endless() -> Any:
        while True:
            for first in range(0, len(x), batch):
                yield x[first:first + batch], y[first:first + batch]
    model.fit(endless(), epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[Clock(), *callbacks])
    (wall, used), (wall_end, used_end) = clock
    return (wall_end - wall) / steps, (used_end - used) / steps


if __name__ == "__main__":
    sys.exit(serve(measure))
