"""Dynamic loss scaling for float16, in which small gradients would become 0 (Micikevicius et al. 2018).

The loss is multiplied by the scale, the gradient divided by it again in float32. A step whose averaged gradient is not
finite is left out on all replicas, since all see the same average, and halves the scale; enough good ones double it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

FIRST_SCALE = 2.0**15
LEAST_SCALE = 1.0
GROWTH_STEPS = 2000


class LossScale:
    """The scale and its counts, on every replica; make it inside the strategy's scope."""

    def __init__(self) -> None:
        self.scale = tf.Variable(FIRST_SCALE, trainable=False)
        self.good_steps = tf.Variable(0, trainable=False, dtype=tf.int64)  # since the scale last changed
        self.skipped_steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.variables = [self.scale, self.good_steps, self.skipped_steps]

    def reset(self) -> None:
        """Set the scale back to that of a run's beginning."""
        for variable, value in zip(self.variables, (FIRST_SCALE, 0, 0)):
            variable.assign(value)

    def update(self, gradients: Sequence[Any], statistics: Sequence[Any], before: Sequence[Any],
               apply: Callable[[Any], None]) -> None:
        """Call `apply(skipped steps)` where all gradients are finite; else give `statistics` their values of `before`.

        Inside a strategy's `run`, with gradients that all replicas share.
        """
        finite = tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients]))
        scale, good, skipped = (tf.convert_to_tensor(variable) for variable in self.variables)

        def accept() -> Any:
            apply(skipped)
            grow = good + 1 >= GROWTH_STEPS
            return tf.where(grow, 2 * scale, scale), tf.where(grow, tf.zeros_like(good), good + 1), skipped

        def refuse() -> Any:
            for variable, value in zip(statistics, before):
                _assign(variable, value)
            return tf.maximum(scale / 2, LEAST_SCALE), tf.zeros_like(good), skipped + 1

        for variable, value in zip(self.variables, tf.cond(finite, accept, refuse)):
            _assign(variable, value)


def _assign(variable: Any, value: Any) -> None:
    """This replica's copy alone; `assign` would ask how replicas' values are to be combined."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
