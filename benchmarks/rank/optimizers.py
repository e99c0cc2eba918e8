"""Update rules on TensorFlow's fused kernels, with the rate of each step given from outside.

Gradients arrive averaged over replicas; each replica updates its own copy of the weights. The updates equal Keras'
optimizers of the same name, which a test shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from ..config import RunConfig


@dataclass
class Optimizer:
    """An update rule with its slots: `copies` variables shaped as the weights, per weight."""

    weights: Sequence[Any]
    copies: int
    slots: list[list[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slots = [[tf.Variable(tf.zeros(w.shape, w.dtype), trainable=False) for _ in range(self.copies)]
                      for w in self.weights]

    def reset(self) -> None:
        """Slots to zero, as in a new optimizer."""
        for slots in self.slots:
            for slot in slots:
                slot.assign(tf.zeros(slot.shape, slot.dtype))

    def apply(self, gradients: Sequence[Any], rate: Any, step: Any) -> None:
        """One update of this replica's weights. `rate`: scalar; `step`: int32 scalar, 0 at the first update."""
        for weight, slots, gradient in zip(self.weights, self.slots, gradients):
            self.update(weight, slots, gradient, tf.cast(rate, weight.dtype), step)

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        raise NotImplementedError


class Sgd(Optimizer):
    """w <- w - eta g."""

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=rate, delta=gradient)


@dataclass
class Momentum(Optimizer):
    """u <- m u + g; w <- w - eta u.

    With v = -eta u this is Keras' v <- m v - eta g while eta stays; when eta changes, v is rescaled by
    eta_{t+1} / eta_t, which is the momentum correction of Goyal et al. 2017, remark 2.
    """

    momentum: float = 0.9

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        tf.raw_ops.ResourceApplyMomentum(var=weight.handle, accum=slots[0].handle, lr=rate, grad=gradient,
                                         momentum=tf.constant(self.momentum, weight.dtype))


@dataclass
class Adam(Optimizer):
    """Kingma & Ba 2015 with Keras' defaults; the bias correction counts steps from 1."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        beta_1, beta_2 = tf.constant(self.beta_1, weight.dtype), tf.constant(self.beta_2, weight.dtype)
        count = tf.cast(step + 1, weight.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle, m=slots[0].handle, v=slots[1].handle, beta1_power=tf.pow(beta_1, count),
            beta2_power=tf.pow(beta_2, count), lr=rate, beta1=beta_1, beta2=beta_2,
            epsilon=tf.constant(self.epsilon, weight.dtype), grad=gradient)


def create(config: RunConfig, weights: Sequence[Any]) -> Optimizer:
    """The optimizer of a run; call inside the strategy's scope, so that its slots live with the weights."""
    if config.optimizer == "momentum":
        return Momentum(weights, copies=1, momentum=config.momentum)
    if config.optimizer == "adam":
        return Adam(weights, copies=2)
    return Sgd(weights, copies=0)
