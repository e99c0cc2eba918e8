"""What one would run instead with Horovod and Keras 3, done right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import horovod.tensorflow as hvd
import keras
import tensorflow as tf

from ...rank.strategies.base import Strategy
from .answer import seconds_of
from .ways import Fit, Suite, Workload


class DistributedModel(keras.Model):
    """Horovod's DistributedOptimizer does nothing inside Keras 3's `fit`; the gradients are averaged here instead."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, [v.value for v in self.trainable_weights])
        self.optimizer.apply(hvd.grouped_allreduce(gradients, op=hvd.Average), self.trainable_weights)
        self._loss_tracker.update_state(loss)
        return {"loss": self._loss_tracker.result()}


def distributed(workload: Workload) -> keras.Model:
    """Return the compiled model, with rank 0's weights and slots on every rank."""
    plain = workload.build()
    model = Fit.compiled(DistributedModel(inputs=plain.inputs, outputs=plain.outputs), workload)
    model.optimizer.build(model.trainable_variables)
    hvd.broadcast_variables([v.value for v in (*model.variables, *model.optimizer.variables)], root_rank=0)
    return model


class SuiteRanks(Suite):
    """Training by this suite's loop on all ranks."""

    def variables(self) -> Sequence[Any]:
        return self.program.variables


class FitRanks(Fit):
    """`fit` on this rank's part of the examples, with default arguments but no progress bar."""

    def __init__(self, workload: Workload, strategy: Strategy) -> None:
        self._x, self._y = workload.x[strategy.rank::strategy.size], workload.y[strategy.rank::strategy.size]
        self._batch = workload.global_batch // strategy.replicas
        self.model = distributed(workload)

    def variables(self) -> Sequence[Any]:
        return [v.value for v in self.model.variables]


class SyntheticBenchmark:
    """Training as Horovod's synthetic benchmark does: the same generated batch again and again, one compiled step per
    call."""

    def __init__(self, workload: Workload, strategy: Strategy) -> None:
        batch = workload.global_batch // strategy.replicas
        self._model, self._steps = distributed(workload), workload.steps
        x, y = tf.constant(workload.x[:batch]), tf.constant(workload.y[:batch])
        self._step = tf.function(lambda: self._model.train_step((x, y))["loss"], autograph=False)

    def seconds(self, epochs: int) -> float:
        """Return the seconds of this many epochs."""
        return seconds_of(lambda: [float(self._last()) for _ in range(epochs)])

    def _last(self) -> Any:
        return [self._step() for _ in range(self._steps)][-1]

    def variables(self) -> Sequence[Any]:
        """Variables of the model and the optimizer."""
        return [v.value for v in self._model.variables]


WAYS: dict[str, Callable[[Workload, Strategy], Any]] = {
    "suite": SuiteRanks, "fit": FitRanks, "horovod_synthetic": SyntheticBenchmark}
