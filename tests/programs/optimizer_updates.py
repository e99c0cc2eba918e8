"""Prints, for each optimizer, the largest relative difference between its weights and Keras' after 50 steps in float64.

The gradients are fixed pseudo-random numbers; the rate is constant, as Keras' own default optimizers have it.
"""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from batchscale.benchmarks.rank import optimizers

STEPS, RATE, SHAPES = 50, 0.02, [(7, 5), (5,)]
KERAS = {"sgd": lambda: keras.optimizers.SGD(RATE), "momentum": lambda: keras.optimizers.SGD(RATE, momentum=0.9),
         "adam": lambda: keras.optimizers.Adam(RATE)}


def start() -> list[Any]:
    noise = np.random.default_rng(0)
    return [tf.Variable(noise.normal(size=shape)) for shape in SHAPES]


def gradients() -> list[list[Any]]:
    noise = np.random.default_rng(1)
    return [[tf.constant(noise.normal(size=shape)) for shape in SHAPES] for _ in range(STEPS)]


def rounded(value: float) -> float:
    """As Keras holds its rates and coefficients, whatever the weights' type: in float32."""
    return float(np.float32(value))


def create(name: str, weights: list[Any]) -> optimizers.Optimizer:
    if name == "momentum":
        return optimizers.Momentum(weights, copies=1, momentum=rounded(0.9))
    if name == "adam":
        return optimizers.Adam(weights, copies=2)
    return optimizers.Sgd(weights, copies=0)


def ours(name: str, rates: list[float]) -> list[Any]:
    weights = start()
    optimizer = create(name, weights)
    for step, (gradient, rate) in enumerate(zip(gradients(), rates)):
        optimizer.apply(gradient, tf.constant(rounded(rate), tf.float64), tf.constant(step))
    return [w.numpy() for w in weights]


def theirs(name: str) -> list[Any]:
    keras.config.set_dtype_policy("float64")
    weights = [keras.Variable(w.numpy(), dtype="float64") for w in start()]
    optimizer = KERAS[name]()
    optimizer.build(weights)
    for gradient in gradients():
        optimizer.apply(gradient, weights)
    return [w.numpy() for w in weights]


def corrected_momentum(rates: list[float]) -> list[Any]:
    """v <- m (eta_t / eta_{t-1}) v - eta_t g; w <- w + v: Keras' form with the velocity rescaled at each change."""
    weights = [w.numpy() for w in start()]
    velocity = [np.zeros_like(w) for w in weights]
    rates = [rounded(rate) for rate in rates]
    before = rates[0]
    for gradient, rate in zip(gradients(), rates):
        velocity = [rounded(0.9) * rate / before * v - rate * g.numpy() for v, g in zip(velocity, gradient)]
        weights, before = [w + v for w, v in zip(weights, velocity)], rate
    return weights


def textbook_adam(rates: list[float]) -> list[Any]:
    """Kingma & Ba 2015, the form at the end of their section 2, in numpy."""
    weights = [w.numpy() for w in start()]
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for t, (gradient, rate) in enumerate(zip(gradients(), rates), 1):
        alpha = rounded(rate) * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = [0.9 * a + 0.1 * g.numpy() for a, g in zip(m, gradient)]
        v = [0.999 * a + 0.001 * g.numpy()**2 for a, g in zip(v, gradient)]
        weights = [w - alpha * a / (np.sqrt(b) + 1e-7) for w, a, b in zip(weights, m, v)]
    return weights


def difference(one: list[Any], other: list[Any]) -> float:
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in zip(one, other))


changing = [RATE * (1 + step % 7) for step in range(STEPS)]
found = {name: difference(theirs(name), ours(name, [RATE] * STEPS)) for name in KERAS}
found["momentum correction"] = difference(corrected_momentum(changing), ours("momentum", changing))
found["textbook adam"] = difference(textbook_adam(changing), ours("adam", changing))
found["a different rate"] = difference(theirs("sgd"), ours("sgd", changing))
print(json.dumps(found))
