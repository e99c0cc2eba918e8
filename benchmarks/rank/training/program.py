"""The compiled training loop: many steps inside one function, the same step for every strategy.

A step takes its slice of the epoch's order, gathers its examples on the device, averages the gradients over replicas
and applies the update with the step's own rate. Where the plan asks for it, the slice is taken in micro-batches one
after another, and the averaged gradient is clipped. Nothing else happens in it: evaluation and probes are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...config.script import is_script
from ...data.arrays import Classes, Shapes
from ...data.order import last_shares
from ...errors import PlanError
from ...runs.run_config import RunConfig
from ...runs.run_warnings import STATISTICS_NOT_FORGOTTEN
from ...schedules.adam import adam_constants
from ...schedules.phases import phases
from .. import models
from ..feeds.base import examples_at, Layout
from ..script import taken
from ..strategies.base import Strategy, when_done
from . import adascale, keras_optimizers, losses
from .compiled import Compiled
from .exchange import Exchange
from .gradients import gradients
from .loss_scale import LossScale
from .normalization import BatchNorms


def program_key(config: RunConfig) -> tuple[Any, ...]:
    """Return what a program is compiled for: runs with equal keys share one."""
    return (config.dataset, config.model, config.loss, config.metrics, config.from_logits, config.optimizer,
            config.momentum, config.weight_decay, config.clip_norm, config.accumulation, adam_constants(config),
            config.precision, config.exchange, config.jit, config.synchronized_batch_norm, *adascale.key(config))


class Program:
    """A model, its optimizer's slots and its compiled functions. Runs of one `program_key` share it."""

    def __init__(self, config: RunConfig, strategy: Strategy, input_shape: Shapes, classes: Classes,
                 types: tuple[Any, Any] = (None, None)) -> None:
        """`types`: of the examples' inputs and targets, where a feed may have placed others (feeds.base.as_placed)."""
        self._build = lambda seed, precision=config.precision: models.build(
            config.model, input_shape, classes, seed, precision)
        self.strategy, self._types = strategy, types
        self._first_weights = partial(self._drawn, config)
        with strategy.scope():
            self.model = self._build(0)
            self.script = Compiled(taken.of(self.model)) if is_script(config.model) else None
            self.weights = [v.value for v in self.model.trainable_variables]
            self.exchange = Exchange(config.exchange, strategy.mean, self.weights)
            self.optimizer = keras_optimizers.create(config, self.model)
            self.gains = adascale.create(config)
            self.monitors = self.script.monitors(strategy) if self.script else None
            self.loss_scale = LossScale() if config.precision == "mixed_float16" else None
        self.objective = losses.objective(config) if self.script is None else \
            self.script.objective(config.metrics)
        own = self.script.own_step if self.script else None
        self._step = own.gradients if own else partial(gradients, self.model, self.objective.loss, self.weights)
        self.batch_norms = BatchNorms(self._layers(), config.synchronized_batch_norm, strategy.mean)
        if (config.jit or own) and self.batch_norms.synchronized and strategy.replicas > 1:
            alone = "jit = true" if config.jit else "a training step of its own"
            raise PlanError(f"model {config.model!r} has batch norm with synchronized=True and {alone}, inside which "
                            "replicas cannot exchange anything; leave one of them out.")
        self.variables = [v.value for v in self.model.variables]
        self.statistics = [v.value for v in self.model.non_trainable_weights if v.value.dtype.is_floating]
        self._loss_dtype = tf.float64 if config.precision == "float64" else tf.float32
        self._jit, self._clip_norm, self._accumulation = config.jit, config.clip_norm, config.accumulation
        self._loops: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def reset(self, seed: int) -> None:
        """Initial weights of this seed, on all replicas of all ranks; slots to zero."""
        for variable, fresh in zip(self.variables, self._first_weights(seed)):
            variable.assign(fresh)
        self.strategy.broadcast_weights(self.variables)
        self.reset_optimizer()

    def _drawn(self, config: RunConfig, seed: int) -> Sequence[Any]:
        if self.script is not None:
            return taken.first_weights(config.model, seed, config.precision)
        return [variable.value for variable in self._build(seed).variables]

    def reset_optimizer(self) -> None:
        """Slots to zero and the loss scale to its first value, as in a new optimizer."""
        self.optimizer.reset()
        for adaptive in (self.gains, self.loss_scale):
            if adaptive:
                adaptive.reset()

    def copy(self, precision: str) -> keras.Model:
        """Return a model like this one in another precision, with weights of its own, on this process alone."""
        return self._build(0, precision)

    def steps_done(self, stop: int) -> int:
        """Steps done in this phase once the loop was asked to go up to `stop`; a run that adapts may end before."""
        return self.gains.steps if self.gains else stop

    @property
    def state(self) -> list[Any]:
        """All that a step changes: what a checkpoint keeps."""
        slots = [slot for slots in self.optimizer.slots for slot in slots]
        scale = self.loss_scale.variables if self.loss_scale else []
        return [*self.variables, *slots, *([self.gains.state] if self.gains else []), *scale,
                *(self.monitors.best if self.monitors else [])]

    @property
    def finished(self) -> bool:
        """Whether a run that adapts is done before its steps are."""
        return bool(self.gains and self.gains.finished)

    def scaling(self) -> dict[str, Any]:
        """Return what an evaluation records of the loss scale; empty without one."""
        if not self.loss_scale:
            return {}
        scale, skipped = (self.strategy.copies(v)[0] for v in (self.loss_scale.scale, self.loss_scale.skipped_steps))
        return {"loss_scale": float(scale), "skipped_steps": int(skipped)}

    def ghost_batch(self, config: RunConfig) -> int | None:
        """Examples that batch norm normalizes over, for the record; None without batch norm (Hoffer et al. 2017)."""
        norms = self.batch_norms
        replicas = config.replicas if len(norms.synchronized) == len(norms.layers) else 1
        return config.replica_batch * replicas if norms.layers else None

    def notes(self, config: RunConfig) -> list[str]:
        """Return what a reader of the record must know about this model and configuration, in sentences."""
        found, ghost = [], self.ghost_batch(config)
        if ghost is not None and config.accumulation > 1:
            found.append(f"batch norm normalizes over {ghost} examples and its moving statistics move "
                         f"{config.accumulation} times a step: accumulation is not the real global batch here")
        updates = sum(phase.steps for phase in phases(config)) * config.accumulation
        if config.kind == "accuracy" and updates < (needed := self.batch_norms.updates_needed()):
            found.append(STATISTICS_NOT_FORGOTTEN.sentence(needed=needed, updates=updates))
        if skipped := self.scaling().get("skipped_steps"):
            found.append(f"{skipped} step{'s were' if skipped > 1 else ' was'} left out because the gradient was not "
                         "finite in float16")
        found += self.script.notes_of(config) if self.script else []
        random = sorted({type(one).__name__ for one in self._layers() if models.draws(one)})
        if config.replicas > 1 and random:
            found.append(f"{', '.join(random)} draws the same random numbers on every replica: noise is not averaged "
                         "over replicas")
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

    def gradients(self, x: Any, y: Any, share: float = 1.0) -> tuple[Any, Sequence[Any]]:
        """Mean loss over the replica's examples and its gradient, inside a strategy's `run`; `share`: what it counts
        for, 1 where all replicas have as many examples."""
        scale = tf.convert_to_tensor(self.loss_scale.scale) if self.loss_scale else None
        loss, found = self._step(x, y, scale, share)
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]  # an embedding's comes as slices

    def loop(self, global_batch: int, layout: Layout, exchange: bool = True) -> Callable[..., Any]:
        """Return fn(x, y, order, rates, start, stop, base) -> loss of the last step; once per batch and layout.

        x, y: examples on the device; order: positions into them; rates: float32 by step of the phase; base: the
        step at which `order` begins. All ranks must call with the same steps. Without `exchange` each process applies
        its own gradients: for timing alone, since the replicas part.
        """
        key = (global_batch, layout, exchange)
        if key not in self._loops:
            self._loops[key] = self._compile(global_batch // self.strategy.replicas, layout, exchange)
        return self._loops[key]

    def last_loop(self, left_over: int) -> Callable[..., Any]:
        """Return such a function for the step of the `left_over` examples at an epoch's end, where `order` has those
        alone: replicas share them as equally as they can, and each counts for as many as it has."""
        if (left_over,) not in self._loops:
            self._loops[(left_over,)] = self._compile(0, Layout(0, 1, True), exchange=True, left_over=left_over)
        return self._loops[(left_over,)]

    def _compile(self, share: int, layout: Layout, exchange: bool, left_over: int = 0) -> Callable[..., Any]:
        """`share`: examples per replica and step, or `left_over` of all replicas together."""
        compute = tf.function(self.gradients, jit_compile=True, autograph=False) if self._jit else self.gradients
        strategy, micro, gains = self.strategy, share // self._accumulation, self.gains

        def step(x: Any, y: Any, order: Any, rate: Any, count: Any, row: Any) -> Any:
            def part(start: Any, size: int = micro, weight: float = 1.0) -> tuple[Any, Sequence[Any]]:
                chosen = tf.slice(order, [start], [size])
                with self.batch_norms.counting(weight):
                    given, wanted = (examples_at(values, chosen, kind) for values, kind in zip((x, y), self._types))
                    loss, gradients = compute(given, wanted, weight)
                return loss, gains.beside(gradients) if gains else gradients

            before = [tf.identity(v) for v in self.statistics] if self.loss_scale else []
            index = strategy.replica_index() if layout.whole_epoch else 0
            loss, gradients = self._of_last(part, left_over) if left_over else \
                self._accumulate(part, row * layout.stride + index * share, micro)
            gradients = self.exchange(gradients) if exchange else gradients
            self._update(gradients[:len(self.weights)], rate, count, before)
            return tf.stack([tf.cast(loss, tf.float64), *gains.sample(gradients)]) if gains else loss

        def run(*arguments: Any) -> Any:
            with self.batch_norms.exchanging(exchange):
                return strategy.run(step, arguments)

        def loop(x: Any, y: Any, order: Any, rates: Any, start: Any, stop: Any, base: Any) -> Any:
            last = tf.shape(rates)[0] - 1

            def body(k: Any, _: Any) -> tuple[Any, Any]:
                row = (k - base) % layout.rows
                rate = rates[tf.minimum(k, last)]  # an index in the host's memory, where gather's is on the GPU
                return k + 1, run(x, y, order, rate, k, row)

            zero = tf.zeros([], self._loss_dtype)
            return tf.while_loop(lambda k, _: k < stop, body, [start, zero], parallel_iterations=1)[1]

        if gains:
            return gains.loop(run, layout)
        return tf.function(loop, autograph=False, reduce_retracing=False)

    def _accumulate(self, part: Callable[[Any], tuple[Any, Sequence[Any]]], start: Any,
                    micro: int) -> tuple[Any, Sequence[Any]]:
        """The mean loss and gradient of the micro-batches that begin at `start`, of `micro` examples each."""
        if self._accumulation == 1:
            return part(start)

        def body(k: Any, total: Any, *sums: Any) -> tuple[Any, ...]:
            loss, gradients = part(start + k * micro)
            return (k + 1, total + loss, *(s + g for s, g in zip(sums, gradients)))

        zeros = [tf.zeros([], self._loss_dtype), *(tf.zeros(w.shape, w.dtype) for w in self.weights),
                 *([tf.zeros([], self.weights[0].dtype)] if self.gains else [])]
        state: Sequence[Any] = [0, *zeros]
        if self.batch_norms.synchronized:  # replicas can exchange nothing inside a loop of their own
            for _ in range(self._accumulation):
                state = body(*state)
        else:
            state = tf.while_loop(lambda k, *_: k < self._accumulation, body, state, parallel_iterations=1)
        _, total, *sums = state
        return total / self._accumulation, [s / self._accumulation for s in sums]

    def _of_last(self, part: Callable[..., tuple[Any, Sequence[Any]]], left_over: int) -> tuple[Any, Sequence[Any]]:
        """The loss and gradient of this replica's part of an epoch's last batch, micro-batch by micro-batch. Where
        there are too few examples for one, it takes all of them and counts for nothing."""
        index, found = tf.get_static_value(self.strategy.replica_index()), []
        shares = last_shares(left_over, self.strategy.replicas * self._accumulation)
        of_one = len(shares) / left_over
        for share in shares[int(index) * self._accumulation:][:self._accumulation]:
            size = share.stop - share.start
            found.append(part(share.start if size else 0, size or left_over, size * of_one))
        return (tf.add_n([loss for loss, _ in found]) / len(found),
                [tf.add_n(each_one) / len(found) for each_one in zip(*(gradients for _, gradients in found))])

    def _update(self, gradients: Sequence[Any], rate: Any, count: Any, before: Sequence[Any]) -> None:
        """Apply the averaged gradients; under a loss scale, only where they are finite."""
        if not self.loss_scale:
            self.optimizer.apply(self._clip(gradients), rate, count)
            return

        def apply(skipped: Any) -> None:  # what was left out was no update of the optimizer's
            self.optimizer.apply(self._clip(gradients), rate, count - tf.cast(skipped, tf.int32))

        self.loss_scale.update(gradients, self.statistics, before, apply)

    def _clip(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """The averaged gradients, at most `clip_norm` long together: the same for every number of replicas."""
        return tf.clip_by_global_norm(gradients, self._clip_norm)[0] if self._clip_norm else gradients


def advance(loop: Callable[..., Any], parts: Any, rates: Any) -> float:
    """Run the steps of `parts` and wait for the devices; the last step's loss."""
    loss: Any = np.float32(np.nan)
    for x, y, order, start, stop, base in parts:
        loss = loop(x, y, order, rates, tf.constant(start, tf.int32), tf.constant(stop, tf.int32),
                    tf.constant(base, tf.int32))
    return when_done(loss)
