"""A user's module of data, models with all kinds of endings, and losses; CASES says which of them go together."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

N, FEATURES, CLASSES = 40, 8, 3
X = np.random.default_rng(7).standard_normal((2 * N, FEATURES)).astype("float32")
SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"


def _halves(y: Any, x: Any = X) -> Any:
    return (x[:N], y[:N]), (x[N:], y[N:])


def classes() -> Any:
    return _halves(np.arange(2 * N) % CLASSES)


def yes() -> Any:
    return _halves((np.arange(2 * N) % 2).astype("float32"))


def two_classes() -> Any:
    return _halves(np.arange(2 * N) % 2)


def many_yes() -> Any:
    return _halves(np.random.default_rng(1).integers(0, 2, (2 * N, 4)).astype("float32"))


def numbers() -> Any:
    return _halves(X.sum(axis=1))


def positive() -> Any:
    return _halves(np.abs(X[:, :1]) + 0.1)


def signs() -> Any:
    return _halves(np.where(np.arange(2 * N) % 2, 1, -1).astype("float32"))


def columns() -> Any:
    return _halves(np.random.default_rng(2).standard_normal((2 * N, CLASSES)).astype("float32"))


def one_hot() -> Any:
    return _halves(np.eye(CLASSES)[np.arange(2 * N) % CLASSES].astype("float32"))


def two_kinds() -> Any:
    return _halves_of({"kind": np.arange(2 * N) % CLASSES, "amount": X.sum(axis=1)})


def weighed() -> Any:
    return _halves_of({"label": np.arange(2 * N) % CLASSES,
                       "weight": np.random.default_rng(4).uniform(0.5, 2, 2 * N).astype("float32")})


def _halves_of(y: Any) -> Any:
    return (X[:N], {k: v[:N] for k, v in y.items()}), (X[N:], {k: v[N:] for k, v in y.items()})


def byte_tokens() -> Any:
    return _halves(np.arange(2 * N) % 2, np.random.default_rng(3).integers(0, 200, (2 * N, 6)).astype("uint8"))


def whole_tokens() -> Any:
    return _halves(np.arange(2 * N) % 2, np.random.default_rng(3).integers(0, 200, (2 * N, 6)).astype("float32"))


def _dense(*endings: Any, hidden: str = "relu") -> Any:
    return keras.Sequential([keras.Input((FEATURES,)), layers.Dense(16, activation=hidden), *endings])


class Handmade(layers.Layer):  # type: ignore[misc]
    """A sigmoid, or a softmax, in other operations."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def call(self, z: Any) -> Any:
        if self.kind == "sigmoid":
            return 1 / (1 + tf.exp(-z))
        return tf.exp(z) / tf.reduce_sum(tf.exp(z), axis=-1, keepdims=True)


class OwnStep(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> Any:
        raise RuntimeError("never called")


class OwnLoss(keras.Model):  # type: ignore[misc]
    def compute_loss(self, *given: Any, **named: Any) -> Any:
        raise RuntimeError("never called")


def _functional(kind: Any) -> Any:
    inputs = keras.Input((FEATURES,))
    return kind(inputs, layers.Dense(CLASSES)(inputs))


def _compiled() -> Any:
    model = _dense(layers.Dense(CLASSES))
    model.compile(keras.optimizers.RMSprop(), keras.losses.CategoricalCrossentropy(label_smoothing=0.1))
    return model


def _heads(*kind: Any) -> Any:
    inputs = keras.Input((FEATURES,))
    hidden = layers.Dense(16, activation="relu")(inputs)
    return keras.Model(inputs, {"kind": keras.Sequential(kind)(hidden),
                                "amount": layers.Dense(1, name="amount")(hidden)})


def _embedded() -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Embedding(256, 4), layers.Flatten(), layers.Dense(2)])


MODELS: dict[str, Any] = {
    "linear": lambda: _dense(layers.Dense(CLASSES)), "logit": lambda: _dense(layers.Dense(1)),
    "softmax": lambda: _dense(layers.Dense(CLASSES, activation="softmax")),
    "softmax_layer": lambda: _dense(layers.Dense(CLASSES), layers.Softmax()),
    "softmax_operation": lambda: _functional(lambda i, o: keras.Model(i, keras.ops.softmax(o))),
    "softmax_float32": lambda: _dense(layers.Dense(CLASSES), layers.Activation("softmax", dtype="float32")),
    "softmax_handmade": lambda: _dense(layers.Dense(CLASSES), Handmade("softmax")),
    "log_softmax": lambda: _dense(layers.Dense(CLASSES, activation="log_softmax")),
    "sigmoid": lambda: _dense(layers.Dense(1, activation="sigmoid")),
    "sigmoids": lambda: _dense(layers.Dense(4, activation="sigmoid")),
    "class_sigmoids": lambda: _dense(layers.Dense(CLASSES, activation="sigmoid")),
    "sigmoid_handmade": lambda: _dense(layers.Dense(1), Handmade("sigmoid")),
    "hard_sigmoid": lambda: _dense(layers.Dense(1, activation="hard_sigmoid")),
    "log_sigmoid": lambda: _dense(layers.Dense(1, activation="log_sigmoid")),
    "logits4": lambda: _dense(layers.Dense(4)), "two_softmax": lambda: _dense(layers.Dense(2, activation="softmax")),
    "one_softmax": lambda: _dense(layers.Dense(1, activation="softmax")),
    "tanh": lambda: _dense(layers.Dense(1, activation="tanh")), "softplus": lambda: _dense(layers.Dense(1, "softplus")),
    "softmax_within": lambda: _dense(layers.Dense(CLASSES), hidden="softmax"),
    "zeros": lambda: _dense(layers.Dense(1, kernel_initializer="zeros")),
    "heads": lambda: _heads(layers.Dense(CLASSES, activation="softmax")),
    "heads_linear": lambda: _heads(layers.Dense(CLASSES)),
    "heads_handmade": lambda: _heads(layers.Dense(CLASSES), Handmade("softmax")),
    "embedded": _embedded, "own_step": lambda: _functional(OwnStep),
    "own_loss": lambda: _functional(OwnLoss), "compiled": _compiled,
}


def _keras(function: Any, one_hot_targets: bool = False, **settings: Any) -> Any:
    """A user's loss: one of Keras' functions, called as it is."""
    def of(targets: Any, outputs: Any) -> Any:
        targets = tf.one_hot(targets, outputs.shape[-1]) if one_hot_targets else targets
        if not one_hot_targets and targets.shape.rank == outputs.shape.rank - 1 and outputs.shape[-1] == 1:
            targets = targets[..., None]
        return function(targets, outputs, **settings)
    return of


def _weighted(targets: Any, outputs: Any) -> Any:
    weights = tf.gather(tf.constant([1.0, 2.0, 5.0]), targets)
    return weights * keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)


def _weighted_operation(targets: Any, outputs: Any) -> Any:
    weights = tf.gather(tf.constant([1.0, 2.0, 5.0]), targets)
    return weights * tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)


def _weighed(targets: Any, outputs: Any) -> Any:
    return targets["weight"] * tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets["label"], logits=outputs)


def _brier(targets: Any, outputs: Any) -> Any:
    return tf.reduce_sum(tf.square(tf.one_hot(targets, CLASSES) - outputs), axis=-1)


def _both(part: float = 1.0, **settings: Any) -> Any:
    def of(targets: Any, outputs: Any) -> Any:
        kind = keras.losses.sparse_categorical_crossentropy(targets["kind"], outputs["kind"], **settings)
        return part * kind + keras.losses.mean_squared_error(targets["amount"][:, None], outputs["amount"])
    return of


K = keras.losses
LOSSES: dict[str, Any] = {
    "sparse": _keras(K.sparse_categorical_crossentropy),
    "sparse_logits": _keras(K.sparse_categorical_crossentropy, from_logits=True),
    "categorical": _keras(K.categorical_crossentropy, True),
    "categorical_logits": _keras(K.categorical_crossentropy, True, from_logits=True),
    "smoothed": _keras(K.categorical_crossentropy, True, from_logits=True, label_smoothing=0.1),
    "focal": _keras(K.categorical_focal_crossentropy, True),
    "focal_logits": _keras(K.categorical_focal_crossentropy, True, from_logits=True),
    "binary": _keras(K.binary_crossentropy), "binary_logits": _keras(K.binary_crossentropy, from_logits=True),
    "binary_focal": _keras(K.binary_focal_crossentropy),
    "binary_focal_logits": _keras(K.binary_focal_crossentropy, from_logits=True),
    **{name: _keras(getattr(K, name)) for name in
       ("hinge", "squared_hinge", "huber", "log_cosh", "mean_squared_error", "mean_absolute_error",
        "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "poisson", "cosine_similarity",
        "categorical_hinge", "kl_divergence", "dice", "tversky")},
    "weighted": _weighted, "both": _both(), "both_logits": _both(from_logits=True), "both_less": _both(0.3),
    "weighted_operation": _weighted_operation, "weighed": _weighed, "brier": _brier,
}
globals().update({f"model_{name}": (lambda make: lambda shape, classes: make())(make) for name, make in MODELS.items()})
globals().update({f"loss_{name}": function for name, function in LOSSES.items()})

Case = tuple[str, str, str, dict[str, Any]]
"""(data, model, loss, other settings); a loss of LOSSES is given as a user's own."""
CASES: dict[str, Case] = {
    # Each loss of Keras on the ending that it takes.
    "sparse on softmax": ("classes", "softmax", "sparse", {}),
    "sparse from logits on linear": ("classes", "linear", "sparse_logits", {}),
    "categorical on softmax": ("classes", "softmax", "categorical", {}),
    "categorical from logits on linear": ("classes", "linear", "categorical_logits", {}),
    "smoothed from logits on linear": ("classes", "linear", "smoothed", {}),
    "focal on softmax": ("classes", "softmax", "focal", {}),
    "focal from logits on linear": ("classes", "linear", "focal_logits", {}),
    "binary on sigmoid": ("yes", "sigmoid", "binary", {}),
    "binary from logits on logit": ("yes", "logit", "binary_logits", {}),
    "binary focal on sigmoid": ("yes", "sigmoid", "binary_focal", {}),
    "binary focal from logits on logit": ("yes", "logit", "binary_focal_logits", {}),
    "multi-label binary on sigmoids": ("many_yes", "sigmoids", "binary", {}),
    "hinge on tanh": ("signs", "tanh", "hinge", {}), "squared hinge on tanh": ("signs", "tanh", "squared_hinge", {}),
    "huber on linear": ("numbers", "logit", "huber", {}), "log-cosh on linear": ("numbers", "logit", "log_cosh", {}),
    "squared on linear": ("numbers", "logit", "mean_squared_error", {}),
    "absolute on linear": ("numbers", "logit", "mean_absolute_error", {}),
    "percentage on linear": ("numbers", "logit", "mean_absolute_percentage_error", {}),
    "logarithmic on softplus": ("positive", "softplus", "mean_squared_logarithmic_error", {}),
    "poisson on softplus": ("positive", "softplus", "poisson", {}),
    "cosine on linear": ("columns", "linear", "cosine_similarity", {}),
    "categorical hinge on linear": ("one_hot", "linear", "categorical_hinge", {}),
    "divergence on softmax": ("one_hot", "softmax", "kl_divergence", {}),
    "weighted on linear": ("classes", "linear", "weighted", {}),
    "two outputs": ("two_kinds", "heads", "both", {}),
    "two outputs from logits": ("two_kinds", "heads_linear", "both_logits", {}),
    "two outputs of handmade probabilities": ("two_kinds", "heads_handmade", "both_less", {}),
    "weighted operation on linear": ("classes", "linear", "weighted_operation", {}),
    "sample weights on linear": ("weighed", "linear", "weighed", {}),
    "Brier's on softmax": ("classes", "softmax", "brier", {}),
    # The suite's own losses.
    "own sparse on linear": ("classes", "linear", SPARSE, {"metrics": ("accuracy",)}),
    "own sparse on log-softmax": ("classes", "log_softmax", SPARSE, {"metrics": ("accuracy",)}),
    "own sparse after an inner softmax": ("classes", "softmax_within", SPARSE, {}),
    "own sparse of probabilities": ("classes", "softmax", SPARSE, {"from_logits": False, "metrics": ("accuracy",)}),
    "own sparse of handmade probabilities": ("classes", "softmax_handmade", SPARSE, {"from_logits": False}),
    "own sparse of two probabilities": ("two_classes", "two_softmax", SPARSE, {"from_logits": False}),
    "own binary on logit": ("yes", "logit", BINARY, {"metrics": ("accuracy",)}),
    "own binary on zeros": ("yes", "zeros", BINARY, {}),
    "own binary of probabilities": ("yes", "sigmoid", BINARY, {"from_logits": False, "metrics": ("accuracy",)}),
    "own multi-label of probabilities": ("many_yes", "sigmoids", BINARY, {"from_logits": False}),
    "own multi-label on logits": ("many_yes", "logits4", BINARY, {}),
    "own squared on sigmoid": ("yes", "sigmoid", "mean_squared_error", {}),
    "own squared on tanh": ("numbers", "tanh", "mean_squared_error", {}),
    "whole float tokens": ("whole_tokens", "embedded", SPARSE, {}),
    # What is refused.
    **{f"own sparse on {name}": ("classes", name, SPARSE, {})
       for name in ("softmax", "softmax_layer", "softmax_operation", "softmax_float32", "softmax_handmade",
                    "class_sigmoids")},
    **{f"own binary on {name}": ("yes", name, BINARY, {})
       for name in ("sigmoid", "sigmoid_handmade", "hard_sigmoid", "log_sigmoid", "one_softmax")},
    "own multi-label on sigmoids": ("many_yes", "sigmoids", BINARY, {}),
    "accuracy on sigmoid": ("yes", "sigmoid", "mean_squared_error", {"metrics": ("accuracy",)}),
    "own sparse of no probabilities": ("classes", "linear", SPARSE, {"from_logits": False}),
    "own sparse of logarithms": ("classes", "log_softmax", SPARSE, {"from_logits": False}),
    "own binary of no probabilities": ("yes", "logit", BINARY, {"from_logits": False}),
    "sparse on linear": ("classes", "linear", "sparse", {}),
    "categorical on linear": ("classes", "linear", "categorical", {}),
    "binary on logit": ("yes", "logit", "binary", {}),
    "sparse from logits on handmade softmax": ("classes", "softmax_handmade", "sparse_logits", {}),
    "two outputs from logits on handmade softmax": ("two_kinds", "heads_handmade", "both_logits", {}),
    "two outputs of probabilities on linear": ("two_kinds", "heads_linear", "both_less", {}),
    "weighted operation on softmax": ("classes", "softmax", "weighted_operation", {}),
    "sample weights on softmax": ("weighed", "softmax", "weighed", {}),
    "byte tokens": ("byte_tokens", "embedded", SPARSE, {}),
    "own train_step": ("classes", "own_step", SPARSE, {}), "own compute_loss": ("classes", "own_loss", SPARSE, {}),
    "compiled": ("classes", "compiled", SPARSE, {}),
}
