"""The compiled training loop: many steps inside one function, the same step for every strategy.

A step takes its slice of the epoch's order, gathers its examples on the device, averages the gradients over replicas
and applies the update with the step's own rate. Where the plan asks for it, the slice is taken in micro-batches one
after another, and the averaged gradient is clipped. Nothing else happens in it: evaluation and probes are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..config import RunConfig
from ..data.arrays import Classes, Shapes, each
from ..rules import adam_constants
from . import adascale, losses, models, optimizers
from .feed import Layout
from .losses import Function
from .strategies.base import Strategy


def loss_per_example(model: keras.Model, loss: Function, x: Any, y: Any, training: bool) -> tuple[Any, Any]:
    """The loss of each example, (n,), and the model's outputs, (n, ...) or a mapping from names to such."""
    outputs = model(x, training=training)
    return loss(y, outputs), outputs


def gradients(model: keras.Model, loss: Function, weights: Sequence[Any], x: Any, y: Any) -> tuple[Any, list[Any]]:
    """Mean loss over the examples, with the model's own penalties, and its gradient; None where there is none."""
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(loss_per_example(model, loss, x, y, training=True)[0])
        total = tf.add_n([mean, *(tf.cast(penalty, mean.dtype) for penalty in model.losses)])
    return mean, tape.gradient(total, weights)


def program_key(config: RunConfig) -> tuple[Any, ...]:
    """What a program is compiled for: runs with equal keys share one."""
    return (config.dataset, config.model, config.loss, config.metrics, config.optimizer, config.momentum,
            config.weight_decay, config.clip_norm, config.accumulation, adam_constants(config), config.precision,
            config.jit, *adascale.key(config))


class Program:
    """A model, its optimizer's slots and its compiled functions. Runs of one `program_key` share it."""

    def __init__(self, config: RunConfig, strategy: Strategy, input_shape: Shapes, classes: Classes) -> None:
        self._build = lambda seed, precision=config.precision: models.build(
            config.model, input_shape, classes, seed, precision)
        self.strategy = strategy
        self.objective = losses.objective(config)
        with strategy.scope():
            self.model = self._build(0)
            self.weights = [v.value for v in self.model.trainable_variables]
            self.optimizer = optimizers.create(config, self.weights)
            self.gains = adascale.create(config)
        self.variables = [v.value for v in self.model.variables]
        self.statistics = [v.value for v in self.model.non_trainable_weights if v.value.dtype.is_floating]
        self._jit, self._clip_norm, self._accumulation = config.jit, config.clip_norm, config.accumulation
        self._loops: dict[tuple[int, Layout, bool], Callable[..., Any]] = {}

    def reset(self, seed: int) -> None:
        """Initial weights of this seed, on all replicas of all ranks; slots to zero."""
        for variable, fresh in zip(self.variables, self._build(seed).variables):
            variable.assign(fresh.value)
        self.strategy.broadcast_weights(self.variables)
        self.optimizer.reset()
        if self.gains:
            self.gains.reset()

    def copy(self, precision: str) -> keras.Model:
        """A model like this one in another precision, with weights of its own, on this process alone."""
        return self._build(0, precision)

    def steps_done(self, stop: int) -> int:
        """Steps done in this phase once the loop was asked to go up to `stop`; a run that adapts may end before."""
        return self.gains.steps if self.gains else stop

    @property
    def state(self) -> list[Any]:
        """All that a step changes: what a checkpoint keeps."""
        slots = [slot for slots in self.optimizer.slots for slot in slots]
        return [*self.variables, *slots, *([self.gains.state] if self.gains else [])]

    @property
    def finished(self) -> bool:
        """Whether a run that adapts is done before its steps are."""
        return bool(self.gains and self.gains.finished)

    @property
    def normalizes_batches(self) -> bool:
        """Whether a layer normalizes over the replica batch, which is then part of the loss."""
        return any(isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
                   for layer in self._layers())

    def ghost_batch(self, config: RunConfig) -> int | None:
        """Examples that batch norm normalizes over, for the record; None without batch norm (Hoffer et al. 2017)."""
        return config.replica_batch if self.normalizes_batches else None

    def notes(self, config: RunConfig) -> list[str]:
        """What a reader of the record must know about this model under this configuration, in sentences."""
        found, ghost = [], self.ghost_batch(config)
        if ghost is not None and config.accumulation > 1:
            found.append(f"batch norm normalizes over {ghost} examples and its moving statistics move "
                         f"{config.accumulation} times a step: accumulation is not the real global batch here")
        if config.replicas > 1 and any(isinstance(layer, keras.layers.Dropout) for layer in self._layers()):
            found.append("dropout draws the same mask on every replica: its noise is not averaged over replicas")
        return found

    def _layers(self) -> list[Any]:
        """Every layer, also those within layers."""
        return list(self.model._flatten_layers())

    def settle(self) -> None:
        """Make the moving statistics of all replicas their mean; all ranks call it before they evaluate or compare.

        Each replica's batch norm keeps its own during training. The weights are left alone, and so is the training to
        come: it normalizes by the statistics of its batches.
        """
        self.strategy.average(self.statistics)

    @contextmanager
    def keeping_statistics(self) -> Iterator[None]:
        """Put the settled moving statistics back after a probe, whose gradients are taken in training mode."""
        settled = [self.strategy.copies(v)[0] for v in self.statistics]
        yield
        for variable, value in zip(self.statistics, settled):
            variable.assign(value)

    def gradients(self, x: Any, y: Any) -> tuple[Any, Sequence[Any]]:
        """Mean loss over the replica's examples and its gradient, inside a strategy's `run`."""
        loss, found = gradients(self.model, self.objective.loss, self.weights, x, y)
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]  # an embedding's comes as slices

    def loop(self, global_batch: int, layout: Layout, exchange: bool = True) -> Callable[..., Any]:
        """fn(x, y, order, rates, start, stop, base) -> loss of the last step; compiled once per batch and layout.

        x, y: examples on the device; order: int32 positions into them; rates: float32 by step of the phase; base: the
        step at which `order` begins. All ranks must call with the same steps. Without `exchange` each process applies
        its own gradients: for timing alone, since the replicas part.
        """
        key = (global_batch, layout, exchange)
        if key not in self._loops:
            self._loops[key] = self._compile(global_batch // self.strategy.replicas, layout, exchange)
        return self._loops[key]

    def _compile(self, share: int, layout: Layout, exchange: bool) -> Callable[..., Any]:
        """`share`: examples per replica and step."""
        compute = tf.function(self.gradients, jit_compile=True, autograph=False) if self._jit else self.gradients
        strategy, micro, gains = self.strategy, share // self._accumulation, self.gains

        def step(x: Any, y: Any, order: Any, rate: Any, count: Any, row: Any) -> Any:
            def part(start: Any) -> tuple[Any, Sequence[Any]]:
                chosen = tf.slice(order, [start], [micro])
                loss, gradients = compute(*(each(lambda values: tf.gather(values, chosen), part) for part in (x, y)))
                return loss, gains.beside(gradients) if gains else gradients

            index = strategy.replica_index() if layout.whole_epoch else strategy.local_index()
            loss, gradients = self._accumulate(part, row * layout.stride + index * share, micro)
            gradients = strategy.mean(gradients) if exchange else gradients
            self.optimizer.apply(self._clip(gradients[:len(self.weights)]), rate, count)
            return tf.stack([tf.cast(loss, tf.float64), *gains.sample(gradients)]) if gains else loss

        def loop(x: Any, y: Any, order: Any, rates: Any, start: Any, stop: Any, base: Any) -> Any:
            last = tf.shape(rates)[0] - 1

            def body(k: Any, _: Any) -> tuple[Any, Any]:
                row = (k - base) % layout.rows
                rate = tf.gather(rates, tf.minimum(k, last))
                return k + 1, strategy.run(step, (x, y, order, rate, k, row))

            zero = tf.zeros([], self.model.compute_dtype)
            return tf.while_loop(lambda k, _: k < stop, body, [start, zero], parallel_iterations=1)[1]

        if gains:
            return gains.loop(step, strategy, layout)
        return tf.function(loop, autograph=False, reduce_retracing=False)

    def _accumulate(self, part: Callable[[Any], tuple[Any, Sequence[Any]]], start: Any,
                    micro: int) -> tuple[Any, Sequence[Any]]:
        """The mean loss and gradient of the micro-batches that begin at `start`, of `micro` examples each."""
        if self._accumulation == 1:
            return part(start)

        def body(k: Any, total: Any, *sums: Any) -> tuple[Any, ...]:
            loss, gradients = part(start + k * micro)
            return (k + 1, total + loss, *(s + g for s, g in zip(sums, gradients)))

        zeros = [tf.zeros([], self.model.compute_dtype), *(tf.zeros(w.shape, w.dtype) for w in self.weights),
                 *([tf.zeros([], self.weights[0].dtype)] if self.gains else [])]
        _, total, *sums = tf.while_loop(lambda k, *_: k < self._accumulation, body, [0, *zeros], parallel_iterations=1)
        return total / self._accumulation, [s / self._accumulation for s in sums]

    def _clip(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """The averaged gradients, at most `clip_norm` long together: the same for every number of replicas."""
        return tf.clip_by_global_norm(gradients, self._clip_norm)[0] if self._clip_norm else gradients


def advance(loop: Callable[..., Any], parts: Any, rates: Any) -> float:
    """Run the steps of `parts` and wait for the device; the last step's loss."""
    loss: Any = np.float32(np.nan)
    for x, y, order, start, stop, base in parts:
        loss = loop(x, y, order, rates, tf.constant(start, tf.int32), tf.constant(stop, tf.int32),
                    tf.constant(base, tf.int32))
    return float(loss)
