"""Loss and metrics at fixed weights, in inference mode, compiled, outside the timed windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...config.objectives import ACCURACY
from ...data.arrays import Arrays, count, each, leaves, size_bytes
from ..feeds.base import as_given, as_placed
from ..strategies.base import Strategy
from ..training.gradients import measured
from ..training.program import Program

CHUNK = 2048
PIECE_BYTES = 256 * 1024**2
Parts = Mapping[str, tuple[Arrays, Arrays]]


class Evaluation:
    """Train subset, validation and test data on the device, and the compiled sum over them."""

    def __init__(self, parts: Parts, strategy: Strategy) -> None:
        self._parts = {name: part for name, part in parts.items() if count(part[1])}
        self._strategy = strategy
        self._compiled: dict[Program, Callable[..., Any]] = {}

    @cached_property
    def _placed(self) -> dict[str, tuple[Any, Any]]:
        """On the device from the first evaluation on; timing and memory runs never evaluate."""
        return {name: self._place(*part) for name, part in self._parts.items()}

    def _place(self, *part: Arrays) -> tuple[Any, Any]:
        """Whole numbers as the training's, which no evaluation fetches from the host."""
        x, y = (self._strategy.place_each(each(as_placed, arrays)) for arrays in part)
        return x, y

    def metrics(self, program: Program) -> dict[str, Any]:
        """Return train_loss, train_accuracy, validation_loss, ... at the program's weights, and under `metrics` all
        other metrics by train_<name> and so on. Every rank gets the same."""
        result: dict[str, Any] = {}
        others: dict[str, float] = {}
        for part, (_, y) in self._parts.items():
            sums = self._sums(program, part) / count(y)
            for name, value in zip(("loss", *program.objective.metrics), sums):
                (result if name in ("loss", ACCURACY) else others)[f"{part}_{name}"] = float(value)
        return {**result, "metrics": others} if others else result

    def _sums(self, program: Program, part: str) -> npt.NDArray[np.float64]:
        """float64[1 + metrics] over all examples of a part."""
        return np.asarray(self._function(program)(*self._placed[part]))

    def _function(self, program: Program) -> Callable[..., Any]:
        if program not in self._compiled:
            self._compiled[program] = self._compile(program)
        return self._compiled[program]

    def _compile(self, program: Program) -> Callable[..., Any]:
        """fn(x, y) -> float64[1 + metrics]: sums over the examples, in chunks."""
        objective = program.objective
        types = [each(lambda values: getattr(values, "dtype", None), part) for part in next(iter(self._parts.values()))]

        def total(x: Any, y: Any) -> Any:
            examples = tf.shape(leaves(y)[0])[0]

            def body(start: Any, sums: Any) -> tuple[Any, Any]:
                stop = tf.minimum(start + CHUNK, examples)
                inputs, targets = (as_given(each(lambda values: values[start:stop], part), kinds)
                                   for part, kinds in zip((x, y), types))
                values = measured(program.model, objective, inputs, targets)
                return stop, sums + tf.stack([tf.reduce_sum(tf.cast(value, tf.float64)) for value in values])

            start = [0, tf.zeros([1 + len(objective.metrics)], tf.float64)]
            return tf.while_loop(lambda start, _: start < examples, body, start, parallel_iterations=1)[1]

        return tf.function(lambda x, y: self._strategy.run(total, (x, y)), autograph=False)


class StreamedEvaluation(Evaluation):
    """Evaluation on examples that do not fit on the device beside the training: a piece of them is there at a time."""

    def _sums(self, program: Program, part: str) -> npt.NDArray[np.float64]:
        x, y = self._parts[part]
        function = self._function(program)
        sums = [np.asarray(function(*self._place(*(each(lambda values: values[piece], one) for one in (x, y)))))
                for piece in pieces(count(y), size_bytes(x))]
        return np.asarray(np.sum(sums, axis=0))


def pieces(examples: int, total_bytes: int) -> Iterator[slice]:
    """Whole chunks of PIECE_BYTES at most, but one at least; the last piece holds the rest."""
    rows = CHUNK * max(1, PIECE_BYTES * examples // max(total_bytes, 1) // CHUNK)
    return (slice(start, start + rows) for start in range(0, examples, rows))


def diverged(metrics: Mapping[str, Any]) -> bool:
    """Return whether a loss or an accuracy is not finite; a metric of the user's may be undefined at some weights."""
    return not all(np.isfinite(value) for name, value in metrics.items() if name != "metrics")
