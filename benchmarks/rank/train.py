"""The compiled training loop: many steps inside one function, the same step for every strategy.

A step takes its slice of the epoch's order, gathers its examples on the device, averages the gradients over replicas
and applies the update with the step's own rate. Nothing else happens in it: evaluation and probes are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..config import RunConfig
from . import models, optimizers
from .feed import Layout
from .strategies.base import Strategy


def loss_per_example(model: keras.Model, x: Any, y: Any, training: bool) -> tuple[Any, Any]:
    """Cross-entropy of each example, (n,), and the logits, (n, classes).

    A Keras Loss object would scale by 1 / R under tf.distribute; the plain operation does not.
    """
    logits = model(x, training=training)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits), logits


class Program:
    """A model, its optimizer's slots and its compiled functions. Runs that differ in seed, rate or rule share it."""

    def __init__(self, config: RunConfig, strategy: Strategy, input_shape: tuple[int, ...], classes: int) -> None:
        self._build = lambda seed: models.build(config.model, input_shape, classes, seed, config.precision)
        self.strategy = strategy
        with strategy.scope():
            self.model = self._build(0)
            self.weights = [v.value for v in self.model.trainable_variables]
            self.optimizer = optimizers.create(config, self.weights)
        self.variables = [v.value for v in self.model.variables]
        self._jit = config.jit
        self._loops: dict[tuple[int, Layout], Callable[..., Any]] = {}

    def reset(self, seed: int) -> None:
        """Initial weights of this seed, on all replicas of all ranks; slots to zero."""
        for variable, fresh in zip(self.variables, self._build(seed).variables):
            variable.assign(fresh.value)
        self.strategy.broadcast_weights(self.variables)
        self.optimizer.reset()

    def gradients(self, x: Any, y: Any) -> tuple[Any, Sequence[Any]]:
        """Mean loss over the replica's examples and its gradient, inside a strategy's `run`."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_per_example(self.model, x, y, training=True)[0])
        return loss, tape.gradient(loss, self.weights)

    def loop(self, global_batch: int, layout: Layout) -> Callable[..., Any]:
        """fn(x, y, order, rates, start, stop, base) -> loss of the last step; compiled once per batch and layout.

        x, y: examples on the device; order: int32 positions into them; rates: float32 by step of the phase; base: the
        step at which `order` begins. All ranks must call with the same steps.
        """
        key = (global_batch, layout)
        if key not in self._loops:
            self._loops[key] = self._compile(global_batch // self.strategy.replicas, layout)
        return self._loops[key]

    def _compile(self, replica_batch: int, layout: Layout) -> Callable[..., Any]:
        compute = tf.function(self.gradients, jit_compile=True, autograph=False) if self._jit else self.gradients
        strategy = self.strategy

        def step(x: Any, y: Any, order: Any, rate: Any, count: Any, row: Any) -> Any:
            index = strategy.replica_index() if layout.whole_epoch else strategy.local_index()
            chosen = tf.slice(order, [row * layout.stride + index * replica_batch], [replica_batch])
            loss, gradients = compute(tf.gather(x, chosen), tf.gather(y, chosen))
            self.optimizer.apply(strategy.mean(gradients), rate, count)
            return loss

        def loop(x: Any, y: Any, order: Any, rates: Any, start: Any, stop: Any, base: Any) -> Any:
            last = tf.shape(rates)[0] - 1

            def body(k: Any, _: Any) -> tuple[Any, Any]:
                row = (k - base) % layout.rows
                rate = tf.gather(rates, tf.minimum(k, last))
                return k + 1, strategy.run(step, (x, y, order, rate, k, row))

            zero = tf.zeros([], self.model.compute_dtype)
            return tf.while_loop(lambda k, _: k < stop, body, [start, zero], parallel_iterations=1)[1]

        return tf.function(loop, autograph=False, reduce_retracing=False)


def advance(loop: Callable[..., Any], parts: Any, rates: Any) -> float:
    """Run the steps of `parts` and wait for the device; the last step's loss."""
    loss: Any = np.float32(np.nan)
    for x, y, order, start, stop, base in parts:
        loss = loop(x, y, order, rates, tf.constant(start, tf.int32), tf.constant(stop, tf.int32),
                    tf.constant(base, tf.int32))
    return float(loss)
