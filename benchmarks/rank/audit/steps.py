"""A few steps of a script's own training: one on examples that all processes share, then the first of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..own_fit.settings import learning_rate
from ..script.callbacks import in_arrays, listed
from .examples import picked, rows_of
from .facts import Facts, STEPS

Fit = Callable[..., Any]
SEED = 20_240_229
RATE = 0.01  # of the common step, where the optimizer has no schedule


def together(fit: Fit, model: keras.Model, arrays: Mapping[str, Any], facts: Facts) -> dict[str, NDArray[Any]]:
    """Take one step on the shared examples from the shared weights, each process on its part of them, and return
    `step`, the change of all trainable weights over the rate, in one row.

    Dropout is off meanwhile, for its masks differ. With accumulation inside the optimizer as many steps are taken as
    make an update. The metrics are those that `fit` reports.
    """
    x, y = (arrays[name][facts.rank::facts.size] for name in ("batch_x", "batch_y"))
    weights = [arrays[name] for name in sorted(arrays) if name.startswith("weight_")]
    if len(weights) != len(model.weights) or any(one.shape != tuple(own.shape)
                                                 for one, own in zip(weights, model.weights)):
        facts.skipped += ("the common step: alone the script builds another model",)
        return {}
    own_weights, own_rate = model.get_weights(), learning_rate(model)
    model.set_weights(weights)
    before = _flat(model)
    with suppress(Exception):  # a schedule, which stays
        model.optimizer.learning_rate = RATE
    rate = learning_rate(model) or 0.0
    with _without_dropout(model):
        history = fit(model, x=x, y=y, batch_size=max(len(x) // facts.accumulation, 1), epochs=1, verbose=0,
                      shuffle=False)
    step = _flat(model) - before
    model.set_weights(own_weights)
    with suppress(Exception):
        model.optimizer.learning_rate = own_rate
    facts.step_metrics = {name: float(values[0]) for name, values in history.history.items()
                          if isinstance(values[0], (int, float)) and math.isfinite(values[0])}
    return {"step": step / rate} if rate > 0 else {}


def own(fit: Fit, model: keras.Model, arguments: Mapping[str, Any], facts: Facts) -> dict[str, NDArray[Any]]:
    """Take the first steps of the script's own training, with Horovod's callbacks and no others, and return `weights`,
    all of them afterwards."""
    x, batch = arguments["x"], facts.batch or 32
    watch = _Watch()
    callbacks = [one for one in listed(arguments["callbacks"]) if "horovod" in type(one).__module__] + [watch]
    given: dict[str, Any] = {"epochs": 1, "verbose": 0, "callbacks": callbacks,
                             "class_weight": arguments["class_weight"]}
    if in_arrays(x):
        rows = slice(None, min(rows_of(x), STEPS * batch))
        weights = arguments["sample_weight"]
        fit(model, x=picked(x, rows), y=None if arguments["y"] is None else picked(arguments["y"], rows),
            sample_weight=None if weights is None else picked(weights, rows), batch_size=batch, shuffle=False, **given)
    elif isinstance(x, tf.data.Dataset):
        fit(model, x=x.take(STEPS), **given)
    else:
        facts.skipped += (f"the first steps: fit is given a {type(x).__name__}",)
        return {}
    facts.losses, facts.bad_step = tuple(watch.losses), watch.bad_step
    return {"weights": _flat(model)}


def _flat(model: keras.Model) -> NDArray[Any]:
    return np.concatenate([np.asarray(variable.value, np.float64).ravel() for variable in model.trainable_variables]
                          or [np.zeros(0)])


class _Watch(keras.callbacks.Callback):
    """The loss of each step, and the first after which it or a weight is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float | None] = []
        self.bad_step: int | None = None
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keep the mean loss so far as Keras reports it."""
        loss = float((logs or {}).get("loss", math.nan))
        self.losses.append(loss if math.isfinite(loss) else None)
        if self.bad_step is None and not (math.isfinite(loss) and np.isfinite(_flat(self.model)).all()):
            self.bad_step = batch


@contextmanager
def _without_dropout(model: keras.Model) -> Iterator[None]:
    layers = [layer for layer in model._flatten_layers() if isinstance(getattr(layer, "rate", None), float)
              and "Dropout" in type(layer).__name__]
    before = [layer.rate for layer in layers]
    for layer in layers:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in zip(layers, before):
            layer.rate = rate
        model.train_function = None  # traced without dropout
