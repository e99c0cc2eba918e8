"""What a training step costs a processor core for each example, tried on real ones: how long a plan is said to take
rests on it, since operations are as fast as their kernels, and those of one model may take eight times those of
another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ...data.arrays import Arrays, count, each

MOST_EXAMPLES = 64
WORTH_FLOPS = 1e5  # of an example forward: a smaller model's steps are overhead, and to try it costs a trace
TRIED_FLOPS = 2e9  # of one step: a large model is tried on fewer examples
MEASURED_SECONDS = 0.1
MOST_STEPS = 200


def example_seconds(gradient: Callable[[Any, Any], Any], x: Arrays, y: Arrays, flops: float) -> float | None:
    """Return the processor's seconds, of all its cores together, that the gradient of one example takes in a step of
    some; None where it cannot be repeated in a loop, or the model is too small for that to matter.

    gradient: (inputs, targets) -> loss and gradients; flops: operations of a forward pass on an example, 0 where they
    were not counted.
    """
    if 0 < flops < WORTH_FLOPS:
        return None
    examples = min(count(x), count(y), max(1, int(TRIED_FLOPS / (3 * flops))) if flops else 1, MOST_EXAMPLES)
    inputs, targets = (each(lambda values: tf.constant(values[:examples]), part) for part in (x, y))

    def again(number: Any, total: Any) -> tuple[Any, Any]:
        _, found = gradient(inputs, targets)
        parts = [tf.reduce_sum(tf.cast(tf.convert_to_tensor(one), tf.float32)) for one in found if one is not None]
        return number + 1, total + tf.add_n(parts)

    @tf.function(autograph=False)
    def steps(most: Any) -> Any:
        return tf.while_loop(lambda number, total: number < most, again, (tf.constant(0), tf.constant(0.0)))

    try:
        _seconds(steps, 1)  # kernels are chosen
        once = _seconds(steps, 1)
        several = min(MOST_STEPS, max(1, int(MEASURED_SECONDS / max(once, 1e-6))))
        return (_seconds(steps, several) if several > 1 else once) / several / examples
    except (Exception, SystemExit):  # a user's code raises anything, and an estimate is worth no error
        return None


def _seconds(steps: Callable[[Any], Any], several: int) -> float:
    began = time.process_time()
    for value in steps(tf.constant(several)):
        value.numpy()
    return time.process_time() - began
