"""The loss of examples and its gradient, as every step, probe and evaluation takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from .losses import Function, Objective


def loss_per_example(model: keras.Model, loss: Function, x: Any, y: Any, training: bool) -> tuple[Any, Any]:
    """Return the loss of each example, (n,), and the model's outputs, (n, ...) or a mapping from names to such.

    Outputs in 16 bits become float32 first.
    """
    outputs = tf.nest.map_structure(_widened, model(x, training=training))
    return loss(y, outputs), outputs


def measured(model: keras.Model, objective: Objective, x: Any, y: Any) -> list[Any]:
    """Return the loss and then the metrics of each example, each (n,), in inference mode."""
    told = objective.told
    if told and not objective.metrics:
        return [told(x, y)]
    loss = (lambda targets, _: told(x, targets)) if told else objective.loss
    losses, outputs = loss_per_example(model, loss, x, y, training=False)
    return [losses, *(metric(y, outputs) for metric in objective.metrics.values())]


def _widened(output: Any) -> Any:
    return tf.cast(output, tf.float32) if output.dtype in (tf.float16, tf.bfloat16) else output


def gradients(model: keras.Model, loss: Function, weights: Sequence[Any], x: Any, y: Any,
              scale: Any = None, share: float = 1.0) -> tuple[Any, list[Any]]:
    """Mean loss over the examples, with the model's own penalties, and its gradient; None where there is none.

    `scale`: what the loss is multiplied by while the gradient is taken, which is divided by it again. `share`: what the
    mean counts for against that of other replicas, 1 where all have as many examples; penalties of weights, which every
    replica has in full, are none of it.
    """
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(loss_per_example(model, loss, x, y, training=True)[0])
        mean = mean if share == 1.0 else mean * share
        total = tf.add_n([mean, *(tf.cast(penalty, mean.dtype) for penalty in model.losses)])
        scaled = total if scale is None else total * scale
    found = tape.gradient(scaled, weights)
    return mean, found if scale is None else [None if g is None else tf.convert_to_tensor(g) / scale for g in found]
