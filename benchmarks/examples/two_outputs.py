"""Several outputs from several inputs: where a ball lands, and whether that is within the field.

    cd benchmarks/examples && ../../.venv/bin/batchscale study two_outputs.toml

Inputs and targets are mappings from names to arrays. The model's function gets mappings as well: `input_shape` from the
inputs' names to shapes, `classes` from the outputs' names to numbers of classes, 0 for a regression. The loss is the
user's own, since no built-in one can know how much each output counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

TRAIN, TEST, FIELD, GRAVITY = 3000, 600, 1.0, 9.81
SIZE_COUNTS = 4.0
Part = tuple[dict[str, Any], dict[str, Any]]


def throws() -> tuple[Part, Part]:
    """x: throw float32[N, 2], speed in m/s and angle in radians; wind int32[N, 1], one of 5.
    y: distance float32[N], in units of 10 m; inside, 0 or 1."""
    rng = np.random.default_rng(4)
    speed, angle, wind = rng.uniform(5, 12, TRAIN + TEST), rng.uniform(0.2, 1.3, TRAIN + TEST), rng.integers(
        0, 5, TRAIN + TEST)
    distance = speed**2 * np.sin(2 * angle) / GRAVITY / 10 * (0.8 + 0.1 * wind)
    x: dict[str, Any] = {"throw": np.stack([speed / 10, angle], axis=1), "wind": wind[:, None].astype(np.int32)}
    y: dict[str, Any] = {"distance": distance + 0.02 * rng.standard_normal(len(speed)),
                         "inside": (distance < FIELD).astype(np.int32)}

    def part(rows: slice) -> Part:
        return {name: array[rows] for name, array in x.items()}, {name: array[rows] for name, array in y.items()}
    return part(slice(TRAIN)), part(slice(TRAIN, None))


def two_heads(input_shape: dict[str, tuple[int, ...]], classes: dict[str, int]) -> Any:
    """The wind embedded beside the throw, two hidden layers, and a head named after each output."""
    import keras
    from keras import layers
    throw = keras.Input(input_shape["throw"], name="throw")
    wind = keras.Input(input_shape["wind"], dtype="int32", name="wind")
    x = layers.Concatenate()([throw, layers.Flatten()(layers.Embedding(5, 4)(wind))])
    for _ in range(2):
        x = layers.Dense(32, activation="relu")(x)
    return keras.Model({"throw": throw, "wind": wind},
                       {name: layers.Dense(count or 1, name=name)(x) for name, count in classes.items()})


def both(targets: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """Cross-entropy of `inside` plus four times the squared error of `distance`; one number per example, (n,)."""
    import tensorflow as tf
    inside = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets["inside"], logits=outputs["inside"])
    return inside + SIZE_COUNTS * tf.square(targets["distance"] - outputs["distance"][:, 0])


def accuracy(targets: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """A metric of this name is what the report judges the batches by; without it, the loss is."""
    import tensorflow as tf
    return tf.equal(tf.argmax(outputs["inside"], axis=1, output_type=tf.int32), targets["inside"])


def distance_error(targets: dict[str, Any], outputs: dict[str, Any]) -> Any:
    import tensorflow as tf
    return tf.abs(targets["distance"] - outputs["distance"][:, 0])
