"""Losses and metrics of given arrays, an evaluation over several chunks, and the gradient of a penalty, as JSON."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from batchscale.benchmarks.rank.evaluation import memory
from batchscale.benchmarks.rank.strategies.base import Strategy
from batchscale.benchmarks.rank import models
from batchscale.benchmarks.rank.training import losses, program as train
from batchscale.benchmarks.runs.run_config import RunConfig

RNG = np.random.default_rng(2)
ARRAYS: dict[str, Any] = {
    "labels": RNG.integers(0, 5, 7), "logits": RNG.standard_normal((7, 5)),
    "tokens": RNG.integers(0, 5, (7, 3)), "token_logits": RNG.standard_normal((7, 3, 5)),
    "yes": RNG.integers(0, 2, 7), "many_yes": RNG.integers(0, 2, (7, 4)), "scores": RNG.standard_normal((7, 4)),
    "score": RNG.standard_normal((7, 1)), "numbers": RNG.standard_normal(7), "columns": RNG.standard_normal((7, 4))}
CASES = {
    "labels": ("sparse_categorical_crossentropy", "labels", "logits"),
    "tokens": ("sparse_categorical_crossentropy", "tokens", "token_logits"),
    "right labels": ("accuracy", "labels", "logits"), "right tokens": ("accuracy", "tokens", "token_logits"),
    "yes": ("binary_crossentropy", "yes", "score"), "many yes": ("binary_crossentropy", "many_yes", "scores"),
    "right yes": ("accuracy", "yes", "score"), "right many yes": ("accuracy", "many_yes", "scores"),
    "squared": ("mean_squared_error", "numbers", "score"), "squares": ("mean_squared_error", "columns", "scores"),
    "absolute": ("mean_absolute_error", "numbers", "score"), "column": ("mean_absolute_error", "score", "numbers"),
}


def values(name: str, targets: str, outputs: str) -> Any:
    y = tf.constant(ARRAYS[targets].astype("int32" if ARRAYS[targets].dtype.kind == "i" else "float64"))
    return losses._function(name, "loss", losses.BUILT_IN)(y, tf.constant(ARRAYS[outputs])).numpy().tolist()


def small_model(shape: Any, classes: Any) -> Any:
    penalty = keras.regularizers.L2(0.25)
    return keras.Sequential([keras.Input(shape), keras.layers.Dense(1, use_bias=False, kernel_regularizer=penalty)])


def evaluated() -> dict[str, Any]:
    """The metrics over two chunks and a bit, and the gradient, beside the weights and the data they come from."""
    config = RunConfig(experiment="own", kind="accuracy", dataset="own", model="objective_values:small_model",
                       optimizer="sgd", global_batch=32, train_examples=64, seed=0, loss="mean_squared_error",
                       metrics=("mean_absolute_error",), precision="float64")
    x = RNG.standard_normal((2 * memory.CHUNK + 3, 2))
    y = x @ [1.0, 2.0] + 1
    program = train.Program(config, Strategy(), (2,), 0)
    parts = {"train": (x[:64], y[:64]), "validation": (x[:0], y[:0]), "test": (x, y)}
    found = memory.Evaluation(parts, Strategy()).metrics(program)
    loss, gradients = program.gradients(tf.constant(x[:64]), tf.constant(y[:64]))
    return {"found": found, "weights": program.weights[0].numpy()[:, 0].tolist(), "x": x.tolist(), "y": y.tolist(),
            "loss": float(loss), "gradient": gradients[0].numpy()[:, 0].tolist()}


def draws() -> dict[str, bool]:
    """Whether layers draw random numbers in training."""
    layers = keras.layers
    cases = {"dropout": layers.Dropout(0.5), "dropout of 0": layers.Dropout(0.0), "lstm": layers.LSTM(2),
             "lstm with dropout": layers.LSTM(2, dropout=0.1), "gru": layers.GRU(2, recurrent_dropout=0.2),
             "noise": layers.GaussianNoise(0.1), "noise of 0": layers.GaussianNoise(0.0), "dense": layers.Dense(2),
             "attention": layers.MultiHeadAttention(1, 2)}
    return {name: any(map(models.draws, layer._flatten_layers())) for name, layer in cases.items()}


if __name__ == "__main__":
    print(json.dumps({"draws": draws(), "arrays": {name: array.tolist() for name, array in ARRAYS.items()},
                      "values": {name: values(*case) for name, case in CASES.items()}, "evaluated": evaluated()}))
