"""Endings of models with losses: what `describe` says of each, "" where none, and each loss beside Keras' own."""

from __future__ import annotations

import importlib
import json
from typing import Any

import numpy as np
import tensorflow as tf

from batchscale.benchmarks.errors import BatchscaleError
from batchscale.benchmarks.rank import models
from batchscale.benchmarks.rank.training import gradients, losses
from batchscale.benchmarks.rank.workload import describe
from batchscale.benchmarks.runs.run_config import RunConfig

own: Any = importlib.import_module("own_endings")  # the module that the configurations name


def config(case: Any) -> RunConfig:
    data, model, loss, settings = case
    named = f"own_endings:loss_{loss}" if loss in own.LOSSES else loss
    return RunConfig(**{"experiment": "own", "kind": "accuracy", "dataset": f"own_endings:{data}",
                        "model": f"own_endings:model_{model}", "optimizer": "sgd", "global_batch": 8,
                        "train_examples": own.N, "seed": 0, "loss": named, "metrics": (), "validation_fraction": 0.0,
                        **settings})


def said(run: RunConfig) -> str:
    try:
        describe.workload(run)
    except BatchscaleError as error:
        return str(error)
    return ""


def values(case: Any) -> tuple[list[float], list[float]]:
    """The loss of each example as a run takes it, and Keras' own on what the model gives, where one is meant."""
    run = config(case)
    (x, y), _ = getattr(own, case[0])()
    model = models.build(run.model, (own.FEATURES,), own.CLASSES, seed=0)
    objective = losses.objective(run)
    targets = {k: tf.constant(v, tf.int32 if v.dtype == np.int64 else tf.float32) for k, v in y.items()} \
        if isinstance(y, dict) else tf.constant(y, tf.int32 if y.dtype == np.int64 else tf.float32)
    inputs = tf.constant(x[:, :].astype("float32"))
    ours = tf.function(lambda: gradients.loss_per_example(model, objective.loss, inputs, targets, False)[0],
                       autograph=False)()
    outputs = model(inputs)
    of_suite = {own.SPARSE: "sparse_logits" if run.from_logits else "sparse",
                own.BINARY: "binary_logits" if run.from_logits else "binary"}
    function = own.LOSSES[of_suite.get(case[2], case[2])]
    keras_own = np.asarray(function(targets, outputs), np.float64)
    return np.asarray(ours, np.float64).tolist(), keras_own.reshape(len(keras_own), -1).mean(axis=1).tolist()


if __name__ == "__main__":
    sentences = {name: said(config(case)) for name, case in own.CASES.items()}
    print(json.dumps({"sentences": sentences, "losses": sorted(own.LOSSES),
                      "values": {name: values(case) for name, case in own.CASES.items()
                                 if not sentences[name] and case[1] != "embedded"}}))
