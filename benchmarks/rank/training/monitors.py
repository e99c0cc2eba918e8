"""EarlyStopping and ReduceLROnPlateau of a script, at the ends of epochs, by Keras' own code.

Keras' callbacks see a model that stands for the run: it is told when to stop, takes a new rate, and keeps and restores
weights on all replicas. What they watch is rank 0's evaluation, so that all ranks decide alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...errors import PlanError
from ..strategies.base import Strategy

Row = Mapping[str, Any]
Logs = Mapping[str, float]
"""What callbacks see at an epoch's end, by Keras' names."""


class Monitors:
    """The callbacks of a script that follow its epochs; make it inside the strategy's scope.

    `names`: what Keras calls a measurement -> its name in a row of evaluations. `rate`: the script's own, which is
    lowered; the run's, which a rule may have scaled, follows in proportion.
    """

    def __init__(self, callbacks: Sequence[Any], names: Mapping[str, str], model: keras.Model, rate: float,
                 strategy: Strategy) -> None:
        self._callbacks = [copy(callback) for callback in callbacks]
        self._names, self._model, self._rate, self._strategy = names, model, rate, strategy
        self._variables = [variable.value for variable in model.variables]
        restores = any(getattr(callback, "restore_best_weights", False) for callback in callbacks)
        self.best = [tf.Variable(tf.zeros(v.shape, v.dtype), trainable=False) for v in self._variables] \
            if restores else []
        self._stand_in = _StandIn(self, list(model.metrics))
        for callback in self._callbacks:
            callback.set_model(self._stand_in)
        self.begin(())

    def begin(self, earlier: Iterable[Logs]) -> None:
        """Begin a training, or go on after the epochs of which `earlier` was `seen`, whose best weights are in `best`
        already."""
        self.sentences: list[str] = []
        self.seen: list[Logs] = []
        self.stopped, self._epoch, self._restored = False, -1, False
        self._stand_in.stop_training, self._stand_in.optimizer.learning_rate = False, np.float32(self._rate)
        for callback in self._callbacks:
            callback.on_train_begin()
        self._replaying = True
        for logs in earlier:
            self._see(logs)
        self._replaying = False

    def after_epoch(self, row: Row) -> None:
        """Let the callbacks see the evaluation at an epoch's end, the same on all ranks."""
        self._see(self._logs(row))

    def _see(self, logs: Logs) -> None:
        """Kept as it was seen: penalties of weights are those of that epoch, and an attempt that goes on sees them
        again."""
        self.seen.append(logs)
        self._epoch += 1
        before = self._stand_in.optimizer.learning_rate
        for callback in self._callbacks:
            callback.on_epoch_end(self._epoch, logs)
        if self._stand_in.optimizer.learning_rate != before:
            self.sentences.append(f"ReduceLROnPlateau lowered the rate to {self.factor:.3g} of its own after epoch "
                                  f"{self._epoch + 1}")
        self.stopped = bool(self._stand_in.stop_training)

    def end(self, epochs: int) -> bool:
        """End the training after the last epoch of `epochs` or an earlier one; return whether the weights are now those
        of an earlier epoch."""
        if self.stopped and self._epoch + 1 < epochs:
            self.sentences.append(f"EarlyStopping ended the training after epoch {self._epoch + 1} of {epochs}")
        for callback in self._callbacks:
            callback.on_train_end()
        return self._restored

    @property
    def factor(self) -> float:
        """Return what the callbacks made of the rate, as a factor."""
        return float(self._stand_in.optimizer.learning_rate) / float(np.float32(self._rate))

    def scaled(self, rates: Any) -> Any:
        """Return the rates of the coming steps."""
        return rates if self.factor == 1 else rates * tf.cast(self.factor, rates.dtype)

    def keep(self) -> None:
        """Keep the weights as the best so far."""
        if not self._replaying:
            self._copy(self._variables, self.best)

    def restore(self) -> None:
        """Give the model the best weights; of the last epoch they are there already."""
        best = max((callback.best_epoch for callback in self._callbacks if hasattr(callback, "best_epoch")), default=0)
        if best == self._epoch:
            return
        self._copy(self.best, self._variables)
        self._restored = True
        self.sentences.append(f"EarlyStopping restored the weights of epoch {best + 1}, to which the last evaluation "
                              "belongs")

    def _copy(self, sources: Sequence[Any], targets: Sequence[Any]) -> None:
        for source, target in zip(sources, targets):
            target.assign(self._strategy.copies(source)[0])

    def _logs(self, row: Row) -> dict[str, float]:
        """The evaluation by Keras' names: val_ on the validation data of the run, or else on its test data, which are
        the script's validation data; a loss has the penalties of weights in it."""
        part = "validation" if row.get("validation_loss") is not None else "test"
        values = {**row, **row.get("metrics", {})}
        found = {}
        for keras_name, name in self._names.items():
            for prefix, of in (("", "train"), ("val_", part)):
                if values.get(f"{of}_{name}") is not None:
                    found[prefix + keras_name] = float(values[f"{of}_{name}"])
                    found[prefix + keras_name] += self._penalty() if name == "loss" else 0.0
        return found

    def _penalty(self) -> float:
        return float(sum(float(variable.regularizer(variable)) for variable in self._model.trainable_variables
                         if variable.regularizer is not None))


class _StandIn:
    """What Keras' callbacks see as their model."""

    def __init__(self, monitors: Monitors, metrics: Sequence[Any]) -> None:
        self._monitors, self.metrics = monitors, metrics
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=np.float32(0))

    def get_weights(self) -> bool:
        """Keep the weights; what is returned only says so."""
        self._monitors.keep()
        return True

    def set_weights(self, kept: bool) -> None:
        """Restore the weights that were kept."""
        self._monitors.restore()


def check(callback: Any, model: keras.Model, path: str) -> None:
    """Refuse a callback that cannot tell whether its measurement should rise or fall. Raises PlanError."""
    asked = copy(callback)
    asked.set_model(SimpleNamespace(metrics=list(model.metrics)))
    try:
        asked._set_monitor_op()
    except ValueError as error:
        raise PlanError(f"script {path!r}: {error}") from None
