"""Prints, for each optimizer, the largest relative difference between its weights and Keras' after 50 steps in float64.

The gradients are fixed pseudo-random numbers; the rate is constant, as Keras' own default optimizers have it. Formulas
in numpy stand beside Keras where it has no such optimizer, rounds its coefficients, or keeps the rate constant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from batchscale.benchmarks.config.optimizers import decaying
from batchscale.benchmarks.rank.training import optimizers
from batchscale.benchmarks.runs.run_config import RunConfig

STEPS, RATE, DECAY, SHAPES = 50, 0.02, 0.05, [(7, 5), (5,)]
KERAS = {"sgd": lambda: keras.optimizers.SGD(RATE), "momentum": lambda: keras.optimizers.SGD(RATE, momentum=0.9),
         "nesterov": lambda: keras.optimizers.SGD(RATE, momentum=0.9, nesterov=True),
         "adam": lambda: keras.optimizers.Adam(RATE), "adamw": lambda: keras.optimizers.AdamW(RATE, weight_decay=DECAY),
         "lamb": lambda: keras.optimizers.Lamb(RATE, weight_decay=DECAY)}


def start() -> list[Any]:
    noise = np.random.default_rng(0)
    return [tf.Variable(noise.normal(size=shape)) for shape in SHAPES]


def gradients() -> list[list[Any]]:
    noise = np.random.default_rng(1)
    return [[tf.constant(noise.normal(size=shape)) for shape in SHAPES] for _ in range(STEPS)]


def rounded(value: float) -> float:
    """As Keras holds its rates and coefficients, whatever the weights' type: in float32."""
    return float(np.float32(value))


def create(name: str, weights: list[Any], rule: str = "constant") -> optimizers.Optimizer:
    config = RunConfig(experiment="updates", kind="accuracy", dataset="digits", model="mlp_128", optimizer=name,
                       rule=rule, reference_batch=1, global_batch=4, train_examples=4, seed=0, momentum=rounded(0.9),
                       weight_decay=rounded(DECAY) if name in decaying() else 0.0)
    return optimizers.create(config, weights)


def ours(name: str, rates: list[float], rule: str = "constant") -> list[Any]:
    weights = start()
    optimizer = create(name, weights, rule)
    for step, (gradient, rate) in enumerate(zip(gradients(), rates)):
        optimizer.apply(gradient, tf.constant(rounded(rate), tf.float64), tf.constant(step))
    return [w.numpy() for w in weights]


def theirs(name: str) -> list[Any]:
    keras.config.set_dtype_policy("float64")
    weights = [keras.Variable(w.numpy(), dtype="float64") for w in start()]
    optimizer = KERAS[name]()
    optimizer.exclude_from_weight_decay(var_list=weights[1:])  # the bias, as here
    optimizer.build(weights)
    for gradient in gradients():
        optimizer.apply(gradient, weights)
    return [w.numpy() for w in weights]


def corrected(rates: list[float], local: Callable[[Any, Any], Any], nesterov: bool = False) -> list[Any]:
    """v <- m (eta_t / eta_{t-1}) v - eta_t d; w <- w + v: Keras' form with the velocity rescaled at each change.

    d = local(w, g); with Nesterov's step ahead w <- w + m v - eta_t d.
    """
    weights = [w.numpy() for w in start()]
    velocity = [np.zeros_like(w) for w in weights]
    rates, m = [rounded(rate) for rate in rates], rounded(0.9)
    before = rates[0]
    for gradient, rate in zip(gradients(), rates):
        directions = [local(w, g.numpy()) for w, g in zip(weights, gradient)]
        velocity = [m * rate / before * v - rate * d for v, d in zip(velocity, directions)]
        moves = [m * v - rate * d if nesterov else v for v, d in zip(velocity, directions)]
        weights, before = [w + move for w, move in zip(weights, moves)], rate
    return weights


def lars_direction(w: Any, g: Any) -> Any:
    """You et al. 2017, algorithm 1, without the global rate: the local rate times gradient and decay."""
    if w.ndim == 1:
        return g
    local_rate = 0.001 * np.linalg.norm(w) / (np.linalg.norm(g) + rounded(DECAY) * np.linalg.norm(w))
    return local_rate * (g + rounded(DECAY) * w)


def published_lars(rate: float) -> list[Any]:
    """You et al. 2017, algorithm 1, line by line, constant rate: v <- m v + gamma lambda (g + beta w); w <- w - v."""
    weights = [w.numpy() for w in start()]
    velocity = [np.zeros_like(w) for w in weights]
    for gradient in gradients():
        for i, g in enumerate(gradient):
            velocity[i] = rounded(0.9) * velocity[i] + rounded(rate) * lars_direction(weights[i], g.numpy())
            weights[i] = weights[i] - velocity[i]
    return weights


def textbook(name: str, rates: list[float], beta_1: float = 0.9, beta_2: float = 0.999,
             epsilon: float = 1e-7) -> list[Any]:
    """In numpy: Kingma & Ba 2015 (the form at the end of their section 2), with decay first for adamw and lamb, and
    with the layer's trust ratio for lamb (You et al. 2020, algorithm 2, phi the identity)."""
    weights = [w.numpy() for w in start()]
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for t, (gradient, rate) in enumerate(zip(gradients(), rates), 1):
        rate, decay = rounded(rate), 0.0 if name == "adam" else rounded(DECAY)
        for i, g in enumerate(g.numpy() for g in gradient):
            m[i], v[i] = beta_1 * m[i] + (1 - beta_1) * g, beta_2 * v[i] + (1 - beta_2) * g**2
            w = weights[i] * (1 - rate * decay * (g.ndim > 1))
            if name == "lamb":
                r = m[i] / (1 - beta_1**t) / (np.sqrt(v[i] / (1 - beta_2**t)) + epsilon)
                weights[i] = w - rate * np.linalg.norm(w) / np.linalg.norm(r) * r
            else:
                alpha = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
                weights[i] = w - alpha * m[i] / (np.sqrt(v[i]) + epsilon)
    return weights


def zeros_stay_finite() -> float:
    """LARS and LAMB on a kernel of zeros: the plain rate, not a division by zero. The largest weight after a step."""
    largest = []
    for name in ("lars", "lamb"):
        weight = tf.Variable(tf.zeros([3, 2], tf.float64))
        optimizer = create(name, [weight])
        optimizer.apply([tf.zeros([3, 2], tf.float64)], tf.constant(RATE, tf.float64), tf.constant(0))
        optimizer.apply([tf.ones([3, 2], tf.float64)], tf.constant(RATE, tf.float64), tf.constant(1))
        largest.append(float(np.max(np.abs(weight.numpy()))))
    return min(largest) if np.all(np.isfinite(largest)) else float("nan")


def difference(one: list[Any], other: list[Any]) -> float:
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in zip(one, other))


changing = [RATE * (1 + step % 7) for step in range(STEPS)]
found = {name: difference(theirs(name), ours(name, [RATE] * STEPS)) for name in KERAS}
found["momentum correction"] = difference(corrected(changing, lambda w, g: g), ours("momentum", changing))
found["nesterov correction"] = difference(corrected(changing, lambda w, g: g, True), ours("nesterov", changing))
found["published lars"] = difference(published_lars(RATE), ours("lars", [RATE] * STEPS))
found["lars correction"] = difference(corrected(changing, lars_direction), ours("lars", changing))
for name in ("adam", "adamw", "lamb"):
    found[f"textbook {name}"] = difference(textbook(name, changing), ours(name, changing))
found["textbook adam_sqrt"] = difference(  # kappa = 4
    textbook("adam", changing, 0.6, 0.996, 5e-8), ours("adam", changing, "adam_sqrt"))
found["a different rate"] = difference(theirs("sgd"), ours("sgd", changing))
found["lars against momentum"] = difference(ours("lars", changing), ours("momentum", changing))
found["decay against none"] = difference(textbook("adamw", changing), ours("adam", changing))
found["from zero"] = zeros_stay_finite()
print(json.dumps(found))
