"""What `describe` says of a user's module before and after edits, as JSON: {edit: {part: [before, after]} that differ}.

Also what a rank finds beside the description, what it says of what differs, and of data that is random at each call.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from batchscale.benchmarks.data import Dataset
from batchscale.benchmarks.data.fingerprint import digests
from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.rank import agreement, models
from batchscale.benchmarks.rank.session import Session
from batchscale.benchmarks.rank.strategies.base import Strategy
from batchscale.benchmarks.rank.workload import describe, fingerprint, first_weights, source
from batchscale.benchmarks.runs.run_config import RunConfig

MODULE = '''
import numpy as np

WIDTH, SEED, SMOOTHING = 16, 0, 0.1
MOMENTUM = 0.9


class Scaled(__import__("keras").layers.Layer):
    def call(self, x):
        return x * 2.0


def build(input_shape, classes):
    import keras
    layers = keras.layers
    model = keras.Sequential([keras.Input(input_shape), layers.Dense(WIDTH, activation="relu"), Scaled(),
                              layers.Dropout(0.5), layers.Dense(classes)])
    model.layers[0].bias.assign(np.load("first.npy")[:1].repeat(WIDTH))
    return model


def drawn(input_shape, classes):
    import keras
    layers = keras.layers
    return keras.Sequential([keras.Input(input_shape), layers.Dense(8, kernel_initializer="he_normal"), Scaled(),
                             layers.BatchNormalization(), layers.Dropout(0.5), layers.Dropout(0.5, seed=3),
                             layers.Dense(8, kernel_initializer=keras.initializers.GlorotUniform(seed=5)),
                             layers.Reshape((4, 2)), layers.GRU(4, recurrent_dropout=0.1),
                             layers.Dense(classes, bias_initializer=keras.initializers.Constant(0.25))])


def load():
    rng = np.random.default_rng(SEED)
    y = rng.integers(0, 3, 80)
    x = np.load("points.npy")[y] + rng.normal(size=(80, 8))
    return (x[:60], y[:60]), (x[60:], y[60:])


def random_each():
    (x, y), test = load()
    return (x, np.random.permutation(y)), test


def loss(targets, outputs):
    import keras
    import tensorflow as tf
    return keras.losses.categorical_crossentropy(tf.one_hot(targets, 3), outputs, from_logits=True,
                                                 label_smoothing=SMOOTHING)


def optimizer():
    import keras
    return keras.optimizers.SGD(0.01, momentum=MOMENTUM)


def right(targets, outputs):
    import tensorflow as tf
    return tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), targets)
'''
EDITS = {
    "nothing": ("", ""), "a comment": ("def build", "# mine\ndef build"),
    "layer width": ("= 16, 0, 0.1", "= 24, 0, 0.1"), "data seed": ("= 16, 0, 0.1", "= 16, 1, 0.1"),
    "loss body": ("return keras.losses.categorical", "return 2 * keras.losses.categorical"),
    "constant of the optimizer": ("MOMENTUM = 0.9", "MOMENTUM = 0.8"),
    "constant of the loss": ("= 16, 0, 0.1", "= 16, 0, 0.2"), "a layer's body": ("x * 2.0", "x * 3.0"),
    "dropout": ("Dropout(0.5)", "Dropout(0.4)"), "metric": ("def right", "# nothing\ndef right"),
    "type of a layer": ("Dense(classes)", "Dense(classes, dtype='float64')"), "metric's body": ("axis=1", "axis=-1"),
}


def config(**changed: Any) -> RunConfig:
    return RunConfig(**{"experiment": "own", "kind": "accuracy", "dataset": "edited:load", "model": "edited:build",
                        "loss": "edited:loss", "metrics": ("edited:right",), "optimizer": "edited:optimizer",
                        "global_batch": 8, "train_examples": 60, "seed": 0, "validation_fraction": 0.0, **changed})


def write(text: str = MODULE, points: int = 0, first: float = 0.5) -> None:
    """The module and the files that it reads, in place, to be read as in a fresh process."""
    Path("edited.py").write_text(text)
    np.save("points.npy", np.random.default_rng(points).normal(size=(3, 8)))
    np.save("first.npy", np.full(1, first))
    sys.modules.pop("edited", None)
    source._module.cache_clear()
    describe.loaded.cache_clear()
    describe.timed.cache_clear()


def described() -> dict[str, Any]:
    return describe.workload(config())


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    old, new = before["fingerprint"], after["fingerprint"]
    return {name: [old[name], new[name]] for name in old if old[name] != new[name]}


def said_by_ranks(workload: dict[str, Any], run: RunConfig) -> str:
    """What the check before the first step says to a rank of this process."""
    session = Session(Strategy(), ["CPU:0"], [0], 1, lambda: "", workloads={run.workload_key: workload})
    try:
        agreement.check_described(session.strategy, run, session.trained(run), workload)
    except BatchscaleError as error:
        return str(error)
    return ""


def unwanted() -> keras.Model:
    raise AssertionError("what Keras' initializers drew is told without another model")


def builds() -> dict[str, Any]:
    """From which seeds a user's model is built, what of it is told to be fixed, and what a second one shows to be."""
    seeds: list[int] = []
    build = models.build

    def noted(*given: Any, **named: Any) -> keras.Model:
        seeds.append(named["seed"])
        return build(*given, **named)

    setattr(models, "build", noted)
    try:
        found: dict[str, Any] = {}
        for name in ("build", "drawn"):
            describe.workload(config(model=f"edited:{name}"))
            found[name], seeds[:] = list(seeds), []
    finally:
        setattr(models, "build", build)
    for precision in ("float32", "mixed_bfloat16", "float64"):
        with first_weights.noted() as origins:
            one = build("edited:drawn", (8,), 3, 0, precision)
        two = build("edited:drawn", (8,), 3, 1, precision)
        told, shown = (first_weights.fixed(one, origins, unwanted), first_weights.fixed(one, {}, lambda: two))
        found[precision] = [[values.ravel()[:9].tolist() for values in fixed] for fixed in (told, shown)]
    return found


def seconds_for_mnist() -> list[float]:
    """Seconds of the digest of 70,000 pictures as floats, and of a model's layers."""
    x = np.random.default_rng(0).random((70_000, 784), dtype=np.float32)
    y = np.zeros(70_000, np.int32)
    dataset = Dataset("big", x[:60_000], y[:60_000], x[60_000:], y[60_000:], 10, "made up")
    began = time.process_time()
    digests(dataset)
    middle = time.process_time()
    fingerprint.layers(models.build("cnn_small", (28, 28, 1), 10, 0))
    return [middle - began, time.process_time() - middle]


def main() -> dict[str, Any]:
    write()
    base = described()
    found: dict[str, Any] = {"edits": {}}
    for name, (old, new) in EDITS.items():
        assert old in MODULE
        write(MODULE.replace(old, new))
        found["edits"][name] = difference(base, described())
    for name, points, first in (("file replaced in place", 1, 0.5), ("first weights", 0, 0.75)):
        write(points=points, first=first)
        found["edits"][name] = difference(base, described())
    write()
    for run in (config(), config(precision="mixed_bfloat16"), config(precision="float64")):
        found[f"ranks {run.precision}"] = said_by_ranks(base, run)
    keras.backend.clear_session()
    write(MODULE.replace("= 16, 0, 0.1", "= 24, 1, 0.1"))
    found["ranks edited"] = said_by_ranks(base, config())
    write()
    found["old description"] = said_by_ranks({"parameters": 195}, config())
    try:
        found["random"] = str(describe.workload(config(dataset="edited:random_each")))
    except BatchscaleError as error:
        found["random"] = str(error)
    found["builds"] = builds()
    found["parts"] = base["fingerprint"]
    found["seconds"] = seconds_for_mnist()
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        # Bytecode is told from that of another text by its length and the second in which that was written.
        keeps, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            print(json.dumps(main()))
        finally:
            os.chdir(before)
            sys.dont_write_bytecode = keeps
            sys.modules.pop("edited", None)
