"""Update rules on TensorFlow's fused kernels, with the rate of each step given from outside.

Gradients arrive averaged over replicas; each replica updates its own copy of the weights. The updates equal Keras'
optimizers of the same name, which a test shows; Keras has no LARS, which is held to its published formula.

Weight decay and LARS' trust ratio leave out biases and normalization parameters (`decays`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import tensorflow as tf

from ...runs.run_config import RunConfig
from ...schedules.adam import adam_constants, AdamConstants

NOT_DECAYED = ("bias", "gamma", "beta", "scale")  # what Keras calls biases and normalization parameters


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
        """Make one update of this replica's weights. `rate`: scalar; `step`: int32 scalar, 0 at the first update."""
        for weight, slots, gradient in zip(self.weights, self.slots, gradients):
            self.update(weight, slots, gradient, tf.cast(rate, weight.dtype), step)

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        """Make one update of one weight and its slots, by a gradient of the weight's shape."""
        raise NotImplementedError


class Sgd(Optimizer):
    """w <- w - eta g."""

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=rate, delta=gradient)


@dataclass
class Momentum(Optimizer):
    """u <- m u + g; w <- w - eta u, or with Nesterov's step ahead w <- w - eta (g + m u).

    With v = -eta u this is Keras' v <- m v - eta g while eta stays; when eta changes, v is rescaled by
    eta_{t+1} / eta_t, which is the momentum correction of Goyal et al. 2017, remark 2.
    """

    momentum: float = 0.9
    nesterov: bool = False

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        tf.raw_ops.ResourceApplyMomentum(var=weight.handle, accum=slots[0].handle, lr=rate, grad=gradient,
                                         momentum=tf.constant(self.momentum, weight.dtype),
                                         use_nesterov=self.nesterov)


@dataclass
class Lars(Momentum):
    """You et al. 2017, arXiv:1708.03888: momentum with a rate of its own for each kernel.

    u <- m u + r (g + d w); w <- w - eta u; r = trust |w| / (|g| + d |w|) where both norms are positive, else 1.
    Excluded weights take neither decay d nor r. v = eta u is the published velocity, rescaled when eta changes.
    """

    weight_decay: float = 0.0
    trust: float = 0.001

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        scaled = self._scaled(tf.convert_to_tensor(weight), gradient) if decays(weight) else gradient
        super().update(weight, slots, scaled, rate, step)

    def _scaled(self, weight: Any, gradient: Any) -> Any:
        decay, trust = (tf.constant(value, weight.dtype) for value in (self.weight_decay, self.trust))
        size, slope = tf.norm(weight), tf.norm(gradient)
        ratio = tf.math.divide_no_nan(trust * size, slope + decay * size)
        both = tf.logical_and(size > 0, slope > 0)
        return tf.where(both, ratio, tf.ones_like(ratio)) * (gradient + decay * weight)


@dataclass
class Adam(Optimizer):
    """Kingma & Ba 2015 with Keras' defaults; the bias correction counts steps from 1."""

    beta_1: float = AdamConstants.beta_1
    beta_2: float = AdamConstants.beta_2
    epsilon: float = AdamConstants.epsilon

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        beta_1, beta_2 = tf.constant(self.beta_1, weight.dtype), tf.constant(self.beta_2, weight.dtype)
        count = tf.cast(step + 1, weight.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle, m=slots[0].handle, v=slots[1].handle, beta1_power=tf.pow(beta_1, count),
            beta2_power=tf.pow(beta_2, count), lr=rate, beta1=beta_1, beta2=beta_2,
            epsilon=tf.constant(self.epsilon, weight.dtype), grad=gradient)


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay, w <- (1 - eta d) w first (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    weight_decay: float = 0.0

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        shrink(weight, rate, self.weight_decay)
        super().update(weight, slots, gradient, rate, step)


@dataclass
class Lamb(Adam):
    """You et al. 2020, arXiv:1904.00962, as Keras has it: the trust ratio on every weight, decoupled decay.

    w <- (1 - eta d) w; r = m' / (sqrt(v') + epsilon); w <- w - eta |w| / |r| r, the ratio 1 where a norm is 0.
    """

    weight_decay: float = 0.0

    def update(self, weight: Any, slots: list[Any], gradient: Any, rate: Any, step: Any) -> None:
        shrink(weight, rate, self.weight_decay)
        count = tf.cast(step + 1, weight.dtype)
        mean = self._moved(slots[0], gradient, self.beta_1, count)
        square = self._moved(slots[1], tf.square(gradient), self.beta_2, count)
        direction = mean / (tf.sqrt(square) + tf.constant(self.epsilon, weight.dtype))
        size, length = tf.norm(tf.convert_to_tensor(weight)), tf.norm(direction)
        both = tf.logical_and(size > 0, length > 0)
        ratio = tf.where(both, tf.math.divide_no_nan(size, length), tf.ones_like(size))
        tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=ratio * rate, delta=direction)

    def _moved(self, slot: Any, value: Any, beta: float, count: Any) -> Any:
        """The moving average with `value` taken in, corrected for its start at zero."""
        keep = tf.constant(beta, slot.dtype)
        average = keep * tf.convert_to_tensor(slot) + (1 - keep) * value
        tf.raw_ops.AssignVariableOp(resource=slot.handle, value=average)
        return average / (1 - tf.pow(keep, count))


def decays(weight: Any) -> bool:
    """Return whether weight decay and LARS' trust ratio apply: to kernels and embeddings, not to biases and
    normalization.

    Biases and normalization parameters are known by Keras' names for them, or by having fewer than two dimensions."""
    name = weight.name.rsplit("/", 1)[-1].split(":")[0]
    return len(weight.shape) > 1 and name not in NOT_DECAYED


def shrink(weight: Any, rate: Any, decay: float) -> None:
    """Set w to w - eta d w, where decay applies."""
    if decay and decays(weight):
        tf.raw_ops.ResourceApplyGradientDescent(var=weight.handle, alpha=rate * tf.constant(decay, weight.dtype),
                                                delta=tf.convert_to_tensor(weight))


def create(config: RunConfig, weights: Sequence[Any]) -> Optimizer:
    """Return the optimizer of a run; call inside the strategy's scope, so that its slots live with the weights."""
    velocity: dict[str, Any] = {"weights": weights, "copies": 1, "momentum": config.momentum}
    moments: dict[str, Any] = {"weights": weights, "copies": 2, **asdict(adam_constants(config))}
    made: dict[str, Callable[[], Optimizer]] = {
        "sgd": lambda: Sgd(weights, copies=0),
        "momentum": lambda: Momentum(**velocity),
        "nesterov": lambda: Momentum(**velocity, nesterov=True),
        "lars": lambda: Lars(**velocity, weight_decay=config.weight_decay),
        "adam": lambda: Adam(**moments),
        "adamw": lambda: AdamW(**moments, weight_decay=config.weight_decay),
        "lamb": lambda: Lamb(**moments, weight_decay=config.weight_decay),
    }
    return made[config.optimizer]()
