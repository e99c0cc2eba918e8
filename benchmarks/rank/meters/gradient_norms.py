"""The gradient-norm probe: raw squared norms at several batch sizes, at the same weights.

Kept out of the training step, which it would slow by a tenth. The estimators live in the analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...data.arrays import Arrays, count, each
from ...data.order import epoch_order
from ..strategies.base import Strategy
from ..training.program import Program
from .base import Meter, Running

GROUPS = 32
FEWEST_GROUPS = 4
EXAMPLES = 2048
PROBE_EPOCH = 1_000_000  # orders from here on are never trained on


def group_count(batch: int, examples: int) -> int:
    """Return how many disjoint groups of `batch` are taken: 32, fewer for large batches, never more than there are
    examples for."""
    return max(1, min(GROUPS, max(FEWEST_GROUPS, EXAMPLES // batch), examples // batch))


class Probe:
    """Measures |g_b|^2 over disjoint groups of training examples, on the weights as they stand."""

    def __init__(self, x: Arrays, y: Arrays, strategy: Strategy) -> None:
        self._x, self._y, self._strategy = x, y, strategy
        self._compiled: dict[tuple[Program, int], Callable[..., Any]] = {}

    def rows(self, program: Program, batches: Sequence[int], seed: int, point: int) -> list[dict[str, float]]:
        """Return one row per batch; `point` numbers the evaluation, so that each draws examples of its own."""
        order = epoch_order(seed, PROBE_EPOCH + point, count(self._y))
        return [self._row(program, batch, order) for batch in batches]

    def _row(self, program: Program, batch: int, order: npt.NDArray[np.int32]) -> dict[str, float]:
        groups = group_count(batch, len(order))
        chosen = order[:groups * batch]
        if (program, batch) not in self._compiled:
            self._compiled[program, batch] = self._compile(program, batch, groups)
        parts = (self._strategy.place_each(each(lambda a: a[chosen], part)) for part in (self._x, self._y))
        norms = self._compiled[program, batch](*parts).numpy()
        return {"batch": batch, "count": groups, "mean_norm_squared": float(norms[0]),
                "norm_squared_of_mean": float(norms[1])}

    def _compile(self, program: Program, batch: int, groups: int) -> Callable[..., Any]:
        def norms(x: Any, y: Any) -> Any:
            def body(k: Any, squared: Any, *sums: Any) -> tuple[Any, ...]:
                rows = slice(k * batch, (k + 1) * batch)
                gradients = program.gradients(*(each(lambda a: a[rows], part) for part in (x, y)))[1]
                return (k + 1, squared + _norm_squared(gradients), *(s + g for s, g in zip(sums, gradients)))

            start = [0, tf.zeros([], tf.float64), *(tf.zeros(w.shape, w.dtype) for w in program.weights)]
            _, squared, *sums = tf.while_loop(lambda k, *_: k < groups, body, start, parallel_iterations=1)
            return tf.stack([squared / groups, _norm_squared(sums) / groups**2])

        return tf.function(lambda x, y: self._strategy.run(norms, (x, y)), autograph=False)


def _norm_squared(gradients: Sequence[Any]) -> Any:
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(g, tf.float64))) for g in gradients])


class GradientNormMeter(Meter):
    """Probes the gradient norms at every evaluation of a run that asks for `noise_batches`."""

    fields = ("gradient_norms",)
    kept = True

    def at_evaluation(self, run: Running, point: Mapping[str, Any]) -> None:
        config = run.config
        if not config.noise_batches:
            return
        with run.watch.activity("probe"), run.program.keeping_statistics():
            norms = run.examples.probe.rows(run.program, config.noise_batches, config.seed, point["step"])
        self.values["gradient_norms"] += [{"phase": point["phase"], "step": point["step"], **row} for row in norms]


METER = GradientNormMeter
