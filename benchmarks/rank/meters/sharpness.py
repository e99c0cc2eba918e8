"""Sharpness of the loss where training ended: the top Hessian eigenvalue, and SAM's rise within a small ball.

Measured on a float32 copy of the model, so the trained weights are not touched and the precision and the replicas of
the run make no difference. Every rank measures, and rank 0's values are recorded: Horovod knows tensors by their names,
and a model that rank 0 alone builds would leave its later ones with other names.

In inference mode: the loss is then a function of the weights alone, the one that evaluations report; batch norm uses
its settled moving statistics and dropout is off. A diagnostic: what it says depends on how the weights are scaled (Dinh
et al. 2017, arXiv:1703.04933).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...data.arrays import Arrays, count, each, leaves
from ...data.order import epoch_order
from ...runs.run_config import RunConfig
from ...schedules.rates import rates
from ..training.adascale import norm_squared
from ..training.losses import Function
from ..training.gradients import loss_per_example
from ..training.program import Program
from .base import Meter, Running

RHO = 0.05
TOLERANCE = 1e-3
MOST_PRODUCTS = 100
CHUNK = 512
SUBSET_EPOCH = 2_000_000  # orders from here on are never trained on
Vector = Sequence[Any]


class Sharpness:
    """Measures on the first `examples` of an order that is the same for all runs of a data set."""

    def __init__(self, x: Arrays, y: Arrays) -> None:
        self._x, self._y = x, y
        self._compiled: dict[Program, Surface] = {}

    def row(self, program: Program, config: RunConfig, last: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record's row for the program's weights as they are after the evaluation `last`. All ranks call it.
        """
        rate = program.gains.last_rate if program.gains else float(rates(config)[-1])
        return {"phase": last["phase"], "step": last["step"], "learning_rate": rate,
                **self.values(program, config.sharpness_examples)}

    def values(self, program: Program, examples: int) -> dict[str, Any]:
        """Return loss, gradient norm, eigenvalue and sharpness at the program's weights, on this many training
        examples."""
        chosen = epoch_order(0, SUBSET_EPOCH, count(self._y))[:examples]
        if program not in self._compiled:
            self._compiled[program] = Surface(program.copy("float32"), program.objective.loss)
        surface = self._compiled[program]
        for own, trained in zip(surface.model.variables, program.variables):
            own.assign(tf.cast(program.strategy.copies(trained)[0], own.dtype))
        x, y = (each(lambda values: _single(values[chosen]), part) for part in (self._x, self._y))
        return {"examples": examples, **measure(surface, x, y)}


class Surface:
    """The mean loss of a model over examples, its gradient and products with its Hessian, compiled, in chunks.

    The loss of the data alone: penalties that the model's layers add to the training loss are left out.
    """

    def __init__(self, model: keras.Model, loss: Function) -> None:
        self.model, self._of_examples = model, loss
        self.weights = [v.value for v in model.trainable_variables]
        self.loss = tf.function(self._loss, autograph=False, reduce_retracing=True)
        self.gradient = tf.function(self._gradient, autograph=False, reduce_retracing=True)
        self.product = tf.function(self._product, autograph=False, reduce_retracing=True)

    def _chunk_loss(self, x: Any, y: Any) -> Any:
        return tf.reduce_sum(loss_per_example(self.model, self._of_examples, x, y, training=False)[0])

    def _chunk_gradient(self, x: Any, y: Any) -> Vector:
        with tf.GradientTape() as tape:
            loss = self._chunk_loss(x, y)
        return _dense(tape.gradient(loss, self.weights), self.weights)

    def _chunk_product(self, x: Any, y: Any, vector: Vector) -> Vector:
        """H v as the gradient of g . v."""
        with tf.GradientTape() as tape:
            along = _dot(self._chunk_gradient(x, y), vector)
        return _dense(tape.gradient(along, self.weights), self.weights)

    def _loss(self, x: Any, y: Any) -> Any:
        return _mean(lambda a, b: [tf.cast(self._chunk_loss(a, b), tf.float64)], x, y, [tf.zeros([], tf.float64)])[0]

    def _gradient(self, x: Any, y: Any) -> Vector:
        return _mean(self._chunk_gradient, x, y, [tf.zeros_like(w) for w in self.weights])

    def _product(self, x: Any, y: Any, vector: Vector) -> Vector:
        return _mean(lambda a, b: self._chunk_product(a, b, vector), x, y, [tf.zeros_like(w) for w in self.weights])


def measure(surface: Surface, x: Any, y: Any) -> dict[str, Any]:
    """Return the measured values on x and y: examples, float32 or whole numbers, (n, ...) each. The surface keeps its
    weights, bit for bit."""
    loss = float(surface.loss(x, y))
    gradient = surface.gradient(x, y)
    norm = float(tf.sqrt(norm_squared(gradient)))
    eigenvalue, products, converged = top_eigenvalue(lambda v: surface.product(x, y, v), surface.weights)
    rise = _rise(surface, x, y, gradient, norm) if norm > 0 else 0.0
    return {"loss": loss, "gradient_norm": norm, "eigenvalue": eigenvalue, "products": products,
            "converged": converged, "sam_sharpness": rise - loss if norm > 0 else 0.0}


def top_eigenvalue(product: Callable[[Vector], Vector], like: Vector) -> tuple[float, int, bool]:
    """Power iteration for the Hessian's eigenvalue that is largest in size: its Rayleigh quotient, products, converged.

    It starts at the same random direction for every run, and stops at a relative change of at most TOLERANCE or after
    MOST_PRODUCTS.
    """
    random = np.random.default_rng(0)
    vector = _unit([tf.constant(random.standard_normal(w.shape), w.dtype) for w in like])
    last = np.inf
    for products in range(1, MOST_PRODUCTS + 1):
        moved = product(vector)
        value = float(_dot(moved, vector))
        if not np.isfinite(value) or not float(norm_squared(moved)) > 0:
            return value, products, value == 0.0
        if abs(value - last) <= TOLERANCE * abs(value):
            return value, products, True
        last, vector = value, _unit(moved)
    return value, MOST_PRODUCTS, False


def _rise(surface: Surface, x: Any, y: Any, gradient: Vector, norm: float) -> float:
    """L(w + rho g / |g|) (Foret et al. 2021, arXiv:2010.01412)."""
    kept = [tf.identity(w) for w in surface.weights]
    for weight, slope in zip(surface.weights, gradient):
        weight.assign_add(slope * tf.cast(RHO / norm, weight.dtype))
    found = float(surface.loss(x, y))
    for weight, value in zip(surface.weights, kept):
        weight.assign(value)
    return found


def _mean(of_chunk: Callable[[Any, Any], Vector], x: Any, y: Any, zeros: Vector) -> Vector:
    """The mean over all examples of what `of_chunk` gives as sums over its own."""
    examples = tf.shape(leaves(y)[0])[0]

    def body(start: Any, *sums: Any) -> tuple[Any, ...]:
        stop = tf.minimum(start + CHUNK, examples)
        found = of_chunk(*(each(lambda values: values[start:stop], part) for part in (x, y)))
        return (stop, *(s + value for s, value in zip(sums, found)))

    _, *sums = tf.while_loop(lambda start, *_: start < examples, body, [0, *zeros], parallel_iterations=1)
    return [s / tf.cast(examples, s.dtype) for s in sums]


def _single(values: Any) -> Any:
    """Floats as float32; whole numbers (labels, tokens) as they are."""
    return tf.constant(values if np.issubdtype(values.dtype, np.integer) else np.asarray(values, np.float32))


def _dense(gradients: Vector, weights: Vector) -> Vector:
    """Gradients as tensors; zeros where the loss does not depend on a weight."""
    return [tf.zeros_like(w) if g is None else tf.convert_to_tensor(g) for g, w in zip(gradients, weights)]


def _dot(one: Vector, other: Vector) -> Any:
    return tf.add_n([tf.reduce_sum(a * b) for a, b in zip(one, other)])


def _unit(vector: Vector) -> Vector:
    length = tf.sqrt(norm_squared(vector))
    return [v / tf.cast(length, v.dtype) for v in vector]


class SharpnessMeter(Meter):
    """Measures sharpness where training ended, of a run that asks for `sharpness_examples`."""

    fields = ("sharpness",)

    def after_training(self, run: Running) -> None:
        if run.config.sharpness_examples:
            with run.watch.activity("probe"):
                self.values["sharpness"] += [run.examples.sharpness.row(run.program, run.config, run.evaluations[-1])]


METER = SharpnessMeter
