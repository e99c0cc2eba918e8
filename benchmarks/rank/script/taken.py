"""What a run takes from its script: data set, model, objective and optimizer, from as few runs of the script as can be.

Data are those of seed 0, the same for every run; a model is drawn from the run's seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from ... import data
from ...config.script import is_script
from ...data.arrays import Arrays, each
from ...errors import frames, PlanError, said
from ...runs.run_config import RunConfig
from . import callbacks, examples, optimizer
from .callbacks import Rates
from .conversion import Triple
from .packing import name_as_layers, pack, Packing
from .running import Fit, fit_of, loop_around

DATA_SEED = 0
# What a script may set for all of Keras, how it is read and written, and as it was before any script.
SETTINGS = ((keras.config.floatx, keras.config.set_floatx), (keras.config.dtype_policy, keras.config.set_dtype_policy),
            (keras.config.epsilon, keras.config.set_epsilon),
            (keras.config.image_data_format, keras.config.set_image_data_format))
AT_FIRST = tuple(read() for read, _ in SETTINGS)
ROWS = 4  # of the data, on which a model is built and its losses are taken apart


@dataclass(frozen=True)
class Model:
    """A model as fit was given it, compiled, with some examples of its data as a feed gives them. `notes`: what is
    not taken over, in sentences. `callbacks`: those that follow the epochs. `rates`: those of epochs, where a callback
    sets them."""

    keras: keras.Model
    path: str
    packing: Packing
    inputs: Arrays
    targets: Arrays
    epochs: int
    notes: tuple[str, ...]
    callbacks: tuple[Any, ...] = ()
    rates: Rates | None = None

    def highest_rate(self, steps: int) -> float:
        """Return the fixed rate, or the highest of the script's epochs, of so many steps each."""
        if self.rates:
            return float(self.rates(self.epochs).max())
        return optimizer.highest_rate(self.keras.optimizer, self.epochs * steps)


@dataclass(frozen=True)
class OfData:
    """Facts of a script's data beside the examples: how many a step of fit takes, and what a run does otherwise."""

    batch_size: int
    notes: tuple[str, ...]


_data: dict[str, OfData] = {}
_models: WeakKeyDictionary[keras.Model, Model] = WeakKeyDictionary()
_weights: dict[tuple[str, int, str], list[Any]] = {}
MOST_KEPT = 32  # first weights of seeds, which runs at other batches and rules begin with too


def load(name: str, looked_at_twice: bool = False) -> data.Dataset:
    """Return a data set by its name, also what a script gives to fit. `looked_at_twice`: as of examples.given. Raises
    DataError, PlanError."""
    if not is_script(name):
        return data.load(name)
    with _settings_kept():
        as_new("float32", DATA_SEED)
        fit = fit_of(name, DATA_SEED)
        found = examples.given(fit, looked_at_twice)
        if looked_at_twice or name not in _data:
            _data[name] = OfData(found.batch_size, found.notes)
        return examples.dataset(fit, name, found)


def of_data(name: str) -> OfData:
    """Return what is known of a script's data beside the examples, from memory where they were loaded."""
    if name not in _data:
        load(name)
    return _data[name]


def model(name: str, seed: int, precision: str) -> keras.Model:
    """Return the compiled model that a script gives to fit, with weights drawn from `seed`. Raises PlanError,
    DataError."""
    as_new(precision, seed)
    fit = fit_of(name, seed)
    _check_precision(fit, precision)
    found = of_fit(fit)
    _models[found.keras] = found
    return found.keras


def of_fit(fit: Fit, rows: Triple | None = None) -> Model:
    """Return the model of a fit, built on the first of these rows, or of its data, where it was not."""
    callbacks.check(fit)
    optimizer.check(fit.model, fit.call.path)
    rows = rows or examples.first(fit)
    packing = Packing.of(fit.model, rows)
    x, y = (each(_tensor, examples.first_rows(part, ROWS)) for part in pack(packing, rows))
    packing.let_take(fit.model)
    _build(fit, x)
    notes = (*fit.notes, *callbacks.notes(fit), *optimizer.of_repeated_tokens(fit.model), *_of_loop(fit))
    return Model(fit.model, fit.call.path, packing, x, y, int(fit.arguments["epochs"]), tuple(dict.fromkeys(notes)),
                 callbacks.followed(fit), callbacks.rates(fit))


def _build(fit: Fit, x: Any) -> None:
    """Build the model on some examples, where fit would. Raises PlanError where it cannot take them."""
    if not callbacks.is_called(fit.model):
        if unbuilt := [layer.name for layer in fit.model._flatten_layers(include_self=False) if not layer.built]:
            raise PlanError(f"script {fit.call.path!r}: its model has no call, and {', '.join(unbuilt[:5])} in it is "
                            "not built, so that its weights are not there before the first step. Begin it with "
                            "keras.Input(shape).")
        return
    name_as_layers(fit.model)
    try:
        fit.model(x, training=False)
    except Exception as error:  # what fit would raise
        raise PlanError(f"script {fit.call.path!r}: its model {said(error)} on the first examples that it gives to fit."
                        f"{frames(error)}") from error


def of(model: keras.Model) -> Model:
    """Return what fit was given beside a model that `model` returned."""
    return _models[model]


def first_weights(name: str, seed: int, precision: str) -> list[Any]:
    """Return the values of all variables of the model that a script gives to fit with this seed, from memory where
    they are known."""
    key = (name, seed, precision)
    if key not in _weights:
        if len(_weights) >= MOST_KEPT:
            _weights.pop(next(iter(_weights)))
        _weights[key] = [np.asarray(variable.value) for variable in model(name, seed, precision).variables]
    return _weights[key]


def rate_factors(config: RunConfig, model: keras.Model, epochs: Any, examples: Any) -> Any:
    """Return what the script's schedule makes of its highest rate after so many epochs and then so many examples,
    float64 for each; None for a fixed rate."""
    given, of = _models[model], optimizer.schedule(model.optimizer)
    if of is None and given.rates is None:
        return None
    batch = of_data(config.model).batch_size
    steps = math.ceil(config.train_examples / batch)
    if given.rates:
        rates = given.rates(int(max(epochs, default=0)) + 1)[epochs]
    else:
        rates = optimizer.scheduled(of, epochs * steps + examples / batch)
    return rates / given.highest_rate(steps)


@contextmanager
def _settings_kept() -> Iterator[None]:
    """Put Keras' types back afterwards, by which a model that was built is still to be traced."""
    before = [read() for read, _ in SETTINGS]
    try:
        yield
    finally:
        for (_, write), value in zip(SETTINGS, before):
            write(value)


def as_new(precision: str, seed: int) -> None:
    """Set Keras' types, settings and random numbers as a new process has them that asks for this precision."""
    for (_, write), value in zip(SETTINGS, AT_FIRST):
        write(value)
    keras.backend.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)


def _check_precision(fit: Fit, precision: str) -> None:
    found = keras.config.dtype_policy().name
    if found != precision:
        raise PlanError(f"script {fit.call.path!r} sets Keras' dtype policy {found!r}, and the run's precision is "
                        f"{precision!r}; leave precision out of the plan.")


def _tensor(values: Any) -> Any:
    """As a feed gives it: floats in Keras' float type, whole numbers as they are."""
    return tf.constant(values, keras.backend.floatx() if values.dtype.kind == "f" else None)


def _of_loop(fit: Fit) -> list[str]:
    loop = loop_around(fit.path, fit.line)
    if not loop.found and not any(loop_around(fit.path, line).found for line in fit.callers):
        return []
    again = (" on one model that is not built anew, so that later rounds go on from where earlier ones ended, which "
             "the arm as_published repeats") if loop.found and not loop.rebuilds else ""
    return [f"its loop around fit{again}: the first call is taken"]
