"""Loss and accuracy at fixed weights, in inference mode, compiled, outside the timed windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from .strategies.base import Strategy
from .train import Program, loss_per_example

CHUNK = 2048
Arrays = Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]


class Evaluation:
    """Train subset, validation and test data on the device, and the compiled sum over them."""

    def __init__(self, parts: Arrays, strategy: Strategy) -> None:
        self._parts = {name: part for name, part in parts.items() if len(part[1])}
        self._strategy = strategy
        self._compiled: dict[Program, Callable[..., Any]] = {}

    @cached_property
    def _placed(self) -> dict[str, tuple[Any, Any]]:
        """On the device from the first evaluation on; timing and memory runs never evaluate."""
        place = self._strategy.place
        return {name: (place(x), place(y)) for name, (x, y) in self._parts.items()}

    def metrics(self, program: Program) -> dict[str, float]:
        """train_loss, train_accuracy, validation_loss, ... at the program's weights. Every rank gets the same."""
        if program not in self._compiled:
            self._compiled[program] = self._compile(program)
        result = {}
        for name, (x, y) in self._placed.items():
            loss, right = self._compiled[program](x, y)
            count = len(self._parts[name][1])
            result[f"{name}_loss"], result[f"{name}_accuracy"] = float(loss) / count, float(right) / count
        return result

    def _compile(self, program: Program) -> Callable[..., Any]:
        def total(x: Any, y: Any) -> tuple[Any, Any]:
            count = tf.shape(y)[0]

            def body(start: Any, loss: Any, right: Any) -> tuple[Any, Any, Any]:
                stop = tf.minimum(start + CHUNK, count)
                losses, logits = loss_per_example(program.model, x[start:stop], y[start:stop], training=False)
                hits = tf.equal(tf.argmax(logits, axis=1, output_type=y.dtype), y[start:stop])
                return (stop, loss + tf.reduce_sum(tf.cast(losses, tf.float64)),
                        right + tf.reduce_sum(tf.cast(hits, tf.float64)))

            zero = tf.zeros([], tf.float64)
            loop = tf.while_loop(lambda start, *_: start < count, body, [0, zero, zero], parallel_iterations=1)
            return loop[1], loop[2]

        return tf.function(lambda x, y: self._first(total, x, y), autograph=False)

    def _first(self, function: Callable[..., Any], x: Any, y: Any) -> Any:
        both = self._strategy.run(lambda x, y: tf.stack(function(x, y)), (x, y))
        return both[0], both[1]


def diverged(metrics: Mapping[str, float]) -> bool:
    return not all(np.isfinite(value) for value in metrics.values())
