"""Ways to train the same model on the same examples: this suite's loop, Keras `fit`, and a bare loop as the floor."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...config.choices import ONE
from ...config.strategies import STRATEGIES
from ...data.order import epoch_order
from ...rank import models
from ...rank.feeds.base import as_placed
from ...rank.feeds.resident import Resident
from ...rank.strategies.base import Strategy
from ...rank.training.program import advance, Program
from ...runs.run_config import RunConfig
from ...schedules.rates import rates
from .answer import seconds_of

RATES = {"sgd": 0.01, "adam": 0.001}  # Keras' defaults
SEED = 0


class Workload:
    """A model, an optimizer and whole global batches of examples; shared by all ways of one comparison."""

    def __init__(self, model: str, optimizer: str, global_batch: int, x: npt.NDArray[Any], y: npt.NDArray[Any],
                 most_steps: int, classes: int = 10) -> None:
        self.model, self.optimizer, self.global_batch = model, optimizer, global_batch
        self.steps = min(len(y) // global_batch, most_steps)
        self.examples = self.steps * global_batch
        self.x, self.y = x[:self.examples], y[:self.examples]
        self.classes = classes

    def build(self) -> keras.Model:
        """Return the model with its initial weights."""
        return models.build(self.model, self.x.shape[1:], self.classes, SEED)

    def config(self, strategy: Strategy, exchange: str = ONE) -> RunConfig:
        """Return the configuration of a run that trains this workload."""
        return RunConfig(experiment="micro", kind="throughput", dataset="synthetic", model=self.model,
                         optimizer=self.optimizer, global_batch=self.global_batch, train_examples=self.examples,
                         seed=SEED, base_learning_rate=RATES[self.optimizer], strategy=strategy.name,
                         replicas=strategy.replicas, transport="".join(STRATEGIES[strategy.name].transports[-1:]),
                         exchange=exchange)


class Suite:
    """This suite's loop, with the new order of every epoch."""

    def __init__(self, workload: Workload, strategy: Strategy | None = None, exchange: str = ONE) -> None:
        self._strategy = strategy or Strategy()
        config = workload.config(self._strategy, exchange)
        self._workload = workload
        self.program = Program(config, self._strategy, workload.x.shape[1:], workload.classes)
        self.program.reset(SEED)
        self._feed = Resident(workload.x, workload.y, self._strategy)
        self._loop = self.program.loop(workload.global_batch, self._feed.layout(workload.global_batch))
        self._rates = tf.constant(rates(config, 1))

    def seconds(self, epochs: int) -> float:
        """Return the seconds of this many epochs."""
        return seconds_of(lambda: [self._epoch(epoch) for epoch in range(epochs)])

    def _epoch(self, epoch: int) -> float:
        self._feed.set_order(epoch_order(SEED, epoch, self._workload.examples), 0)
        parts = self._feed.parts(0, self._workload.steps, self._workload.global_batch)
        return advance(self._loop, parts, self._rates)


class EpochSeconds(keras.callbacks.Callback):
    """Time from an epoch's begin to its end, so that what `fit` does once per call is left out."""

    async_safe = True  # nothing is asked at batches, so Keras need not wait for them

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.total += time.perf_counter() - self._began


class Fit:
    """`model.fit` with its default arguments, without metrics and without the progress bar (both would slow it)."""

    def __init__(self, workload: Workload, steps_per_execution: int = 1) -> None:
        self._workload, self._batch = workload, workload.global_batch
        self._x, self._y = workload.x, workload.y
        self.model = self.compiled(workload.build(), workload, steps_per_execution)

    @staticmethod
    def compiled(model: keras.Model, workload: Workload, steps_per_execution: int = 1) -> keras.Model:
        """Return the model compiled for `fit`."""
        model.compile(optimizer=workload.optimizer, steps_per_execution=steps_per_execution,
                      loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    def seconds(self, epochs: int) -> float:
        """Return the seconds of this many epochs."""
        clock = EpochSeconds()
        with open(os.devnull, "w") as screen, contextlib.redirect_stdout(screen):  # fit's default draws a progress bar
            self.model.fit(self._x, self._y, batch_size=self._batch, epochs=epochs, callbacks=[clock])
        return clock.total


class Bare:
    """The floor: a loop written by hand for this one model, optimizer and rate, with nothing else in it."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._model = workload.build()
        self._weights = [v.value for v in self._model.trainable_variables]
        self._update = {"sgd": self._sgd, "adam": self._adam}[workload.optimizer]
        self._slots = [(tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in self._weights]
        self._x, self._y = tf.constant(workload.x), tf.constant(as_placed(workload.y))
        self._loop = self._compile()

    def seconds(self, epochs: int) -> float:
        """Return the seconds of this many epochs."""
        return seconds_of(lambda: [self._epoch(epoch) for epoch in range(epochs)])

    def _epoch(self, epoch: int) -> float:
        order = tf.constant(as_placed(epoch_order(SEED, epoch, self._workload.examples)))
        return float(self._loop(order, tf.constant(self._workload.steps)))

    def _compile(self) -> Callable[..., Any]:
        batch = self._workload.global_batch

        def body(order: Any, k: Any) -> tuple[Any, Any]:
            rows = tf.slice(order, [k * batch], [batch])
            with tf.GradientTape() as tape:
                logits = self._model(tf.gather(self._x, rows), training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels=tf.gather(self._y, rows), logits=logits))
            self._update(tape.gradient(loss, self._weights), tf.cast(k + 1, tf.float32))
            return k + 1, loss

        def loop(order: Any, steps: Any) -> Any:
            return tf.while_loop(lambda k, _: k < steps, lambda k, _: body(order, k), [0, np.float32(0)],
                                 parallel_iterations=1)[1]

        return tf.function(loop, autograph=False)

    def _sgd(self, gradients: Any, count: Any) -> None:
        for weight, gradient in zip(self._weights, gradients):
            tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=RATES["sgd"], delta=gradient)

    def _adam(self, gradients: Any, count: Any) -> None:
        powers = tf.pow(0.9, count), tf.pow(0.999, count)
        for weight, (m, v), gradient in zip(self._weights, self._slots, gradients):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle, m=m.handle, v=v.handle, beta1_power=powers[0], beta2_power=powers[1],
                lr=RATES["adam"], beta1=0.9, beta2=0.999, epsilon=1e-7, grad=gradient)


WAYS: dict[str, Callable[[Workload], Any]] = {
    "suite": Suite, "fit": Fit, "fit_64": lambda workload: Fit(workload, 64), "bare": Bare}
