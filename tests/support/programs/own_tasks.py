"""A user's own data sets, models, losses and metrics: a regression, and two outputs from two kinds of input."""

from __future__ import annotations

from typing import Any

import numpy as np

TRAIN, TEST = 1400, 300
Part = tuple[Any, Any]


def regression() -> tuple[Part, Part]:
    """x float64[N, 10]; y float64[N], smooth and noisy."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((TRAIN + TEST, 10))
    y = x[:, 0] * x[:, 1] + np.sin(x[:, 2]) + 0.1 * rng.standard_normal(len(x))
    return (x[:TRAIN], y[:TRAIN]), (x[TRAIN:], y[TRAIN:])


def two_kinds() -> tuple[Part, Part]:
    """x: tokens int64[N, 6] below 20 and numbers float64[N, 4]; y: kind, one of 3, and amount float64[N, 1]."""
    rng = np.random.default_rng(6)
    tokens, numbers = rng.integers(0, 20, (TRAIN + TEST, 6)), rng.standard_normal((TRAIN + TEST, 4))
    kind, amount = tokens.max(axis=1) % 3, numbers.sum(axis=1, keepdims=True) + tokens[:, :1] / 10

    def part(rows: slice) -> Part:
        return {"tokens": tokens[rows], "numbers": numbers[rows]}, {"kind": kind[rows], "amount": amount[rows]}
    return part(slice(TRAIN)), part(slice(TRAIN, None))


def two_heads(input_shape: dict[str, tuple[int, ...]], classes: dict[str, int]) -> Any:
    """Embedded tokens and numbers into Dense 64, and from there one head for each output."""
    import keras
    from keras import layers
    tokens = keras.Input(input_shape["tokens"], dtype="int32", name="tokens")
    numbers = keras.Input(input_shape["numbers"], name="numbers")
    embedded = layers.Flatten()(layers.Embedding(20, 8)(tokens))
    hidden = layers.Dense(64, activation="tanh")(layers.Concatenate()([embedded, numbers]))
    heads = {name: layers.Dense(count or 1, name=name)(hidden) for name, count in classes.items()}
    return keras.Model({"tokens": tokens, "numbers": numbers}, heads)


def both(targets: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """Cross-entropy of the kind plus squared error of the amount, (n,)."""
    import tensorflow as tf
    kind = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets["kind"], logits=outputs["kind"])
    return kind + tf.square(targets["amount"] - outputs["amount"])[:, 0]


def accuracy(targets: dict[str, Any], outputs: dict[str, Any]) -> Any:
    import tensorflow as tf
    return tf.equal(tf.argmax(outputs["kind"], axis=1, output_type=tf.int32), targets["kind"])


def amount_error(targets: dict[str, Any], outputs: dict[str, Any]) -> Any:
    import tensorflow as tf
    return tf.abs(targets["amount"] - outputs["amount"])
