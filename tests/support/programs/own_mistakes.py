"""What users' functions get wrong, each tried as `describe` tries it; prints the sentence for each, "" where none."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.rank.workload import describe
from batchscale.benchmarks.runs.run_config import RunConfig

CONFIG = RunConfig(experiment="own", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd",
                   global_batch=32, train_examples=1146, seed=0)
SQUARED = {"dataset": "own_tasks:regression", "loss": "mean_squared_error", "metrics": ()}
TWO = {"dataset": "own_tasks:two_kinds", "model": "own_tasks:two_heads", "loss": "own_tasks:both",
       "metrics": ("own_tasks:accuracy", "own_tasks:amount_error")}


def _model(shape: Any, *outputs: layers.Layer, between: tuple[layers.Layer, ...] = ()) -> Any:
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *between, *outputs])


def raising_model(shape: Any, classes: Any) -> Any:
    return _model(shape, layers.Conv2D(3, 3))


def bare_model() -> Any:
    return 3


def number_model(shape: Any, classes: Any) -> Any:
    return 3


def eleven_logits(shape: Any, classes: Any) -> Any:
    return _model(shape, layers.Dense(classes + 1))


def not_flattened(shape: Any, classes: Any) -> Any:
    return keras.Sequential([keras.Input(shape), layers.Reshape((-1, 1)), layers.Dense(classes)])


def one_row(shape: Any, classes: Any) -> Any:
    return _model(shape, layers.Dense(classes), layers.Lambda(lambda x: x[:1], output_shape=(classes,)))


def detached_model(shape: Any, classes: Any) -> Any:
    stop = layers.Lambda(lambda x: tf.stop_gradient(x), output_shape=(16,))
    return _model(shape, layers.Dense(classes), between=(layers.Dense(16, name="lost"), stop))


class Unbuilt(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(10)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def unbuilt_model(shape: Any, classes: Any) -> Any:
    return Unbuilt()


def half_dict_model(shape: Any, classes: Any) -> Any:
    inputs = {name: keras.Input(side, name=name) for name, side in shape.items()}
    return keras.Model(inputs, {"kind": layers.Dense(3)(inputs["numbers"])})


def no_data() -> Any:
    raise OSError("the disk is gone")


def exits() -> Any:
    sys.exit(3)


def one_hot_floats() -> Any:
    return (np.ones((9, 4)), np.eye(3)[np.arange(9) % 3]), (np.ones((9, 4)), np.eye(3)[np.arange(9) % 3])


def uneven_data() -> Any:
    return (np.ones((9, 4)), np.arange(9) % 3), (np.ones((9, 4)), np.arange(8) % 3)


def two_examples() -> Any:
    return (np.ones((2, 4)), np.arange(2)), (np.ones((2, 4)), np.arange(2))


def huge_data() -> Any:
    x, y = np.full((9, 4), 1e30), np.full(9, 1e30)
    return (x, y), (x, y)


def raising(targets: Any, outputs: Any) -> Any:
    raise RuntimeError("no such\nhead")


def averaged(targets: Any, outputs: Any) -> Any:
    return tf.reduce_mean(tf.square(targets - outputs))


def broadcast(targets: Any, outputs: Any) -> Any:
    return tf.square(targets - outputs)


def centred(targets: Any, outputs: Any) -> Any:
    return tf.square(outputs[:, 0] - targets - tf.reduce_mean(outputs))


def nothing(targets: Any, outputs: Any) -> Any:
    return None


def whole(targets: Any, outputs: Any) -> Any:
    return tf.argmax(outputs, axis=1)


def rounded(targets: Any, outputs: Any) -> Any:
    return tf.round(outputs[:, 0])


def infinite(targets: Any, outputs: Any) -> Any:
    return tf.square(outputs[:, 0]) / 0.0


def steep(targets: Any, outputs: Any) -> Any:
    return tf.sqrt(outputs[:, 0] * 0.0)


def numpy_loss(targets: Any, outputs: Any) -> Any:
    return outputs.numpy()[:, 0]


def one_value(targets: Any, outputs: Any) -> Any:
    return outputs[:1, 0]


CASES: dict[str, dict[str, Any]] = {
    "good": {}, "good regression": SQUARED, "good two kinds": TWO,
    "data raises": {"dataset": "own_mistakes:no_data"}, "data exits": {"dataset": "own_mistakes:exits"},
    "data is one-hot floats": {"dataset": "own_mistakes:one_hot_floats"},
    "data is uneven": {"dataset": "own_mistakes:uneven_data"},
    "data is too small": {"dataset": "own_mistakes:two_examples"},
    "data is huge": {**SQUARED, "dataset": "own_mistakes:huge_data"},
    "no function": {"loss": "own_mistakes:absent"}, "no module": {"metrics": ("nowhere:metric",)},
    "float labels": {"dataset": "own_tasks:regression"}, "labels as numbers": {"loss": "mean_squared_error"},
    "accuracy of numbers": {**SQUARED, "metrics": ("accuracy",)},
    "yes and no of numbers": {**SQUARED, "loss": "binary_crossentropy"},
    "yes and no of classes": {"loss": "binary_crossentropy"},
    "built-in loss of several": {**TWO, "loss": "mean_squared_error"},
    "built-in model of several": {**TWO, "model": "mlp_128"}, "no built-in model": {"model": "mlp_129"},
    "an output is missing": {**TWO, "model": "own_mistakes:half_dict_model"},
    **{f"model {name}": {"model": f"own_mistakes:{name}"}
       for name in ("raising_model", "bare_model", "number_model", "eleven_logits", "not_flattened", "one_row",
                    "detached_model", "unbuilt_model")},
    **{f"loss {name}": {**SQUARED, "loss": f"own_mistakes:{name}"}
       for name in ("raising", "averaged", "broadcast", "centred", "nothing", "whole", "rounded", "infinite", "steep",
                    "numpy_loss", "one_value")},
    **{f"metric {name}": {**SQUARED, "metrics": (f"own_mistakes:{name}",)}
       for name in ("raising", "averaged", "broadcast", "whole", "infinite")},
}


def sentence(changes: dict[str, Any]) -> str:
    try:
        describe.workload(dataclasses.replace(CONFIG, **changes))
    except BatchscaleError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    print(json.dumps({name: sentence(changes) for name, changes in CASES.items()}))
