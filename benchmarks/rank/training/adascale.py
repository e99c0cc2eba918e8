"""AdaScale inside the compiled loop: each step's gain, from the gradients of replicas or micro-batches (Johnson 2020).

A step at batch B moves at gain r times the rate of the reference batch's step floor(tau), and tau grows by r: it is
worth r of those steps. The run ends when tau has reached all T of them. With G group gradients g_i over n examples each
and their mean g:

    sigma2_n = G / (G - 1) (mean |g_i|^2 - |g|^2)    sigma2 = n / B0 sigma2_n    mu2 = |g|^2 - sigma2_n / G
    r = (sigma2 + mu2) / (sigma2 / kappa + mu2), from 1 to kappa

sigma2 and mu2 are clipped, then averaged over the steps before this one; so the first step's gain is 1. Gradients are
taken before clipping and decay. The mean of |g_i|^2 comes through the all-reduce of the gradients, as one more scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...runs.run_config import RunConfig
from ..feeds.base import Layout

LEAST_VARIANCE = 1e-6
PROGRESS, VARIANCE, MEAN_SQUARED, STEPS, GAIN, RATE = range(6)  # of the state, float64[6]


def key(config: RunConfig) -> tuple[Any, ...]:
    """Return what a program under this rule is compiled for, besides what every program is."""
    return (config.global_batch, config.reference_batch, config.steps) if config.adapts else ()


def create(config: RunConfig) -> Gains | None:
    """Return the gains of a run under AdaScale; None under any other rule."""
    return Gains(config) if config.adapts else None


class Gains:
    """The gain's estimate and the progress of a run: a state that is carried through the loop, the same on every rank.

    Make it inside the strategy's scope, like the weights, with which checkpoints keep it.
    """

    def __init__(self, config: RunConfig) -> None:
        self._scale, self._groups = config.kappa, config.replicas * config.accumulation
        self._share = config.replica_batch / config.reference_batch
        self._total = config.steps
        self._newest = min(config.kappa / 1000, 1.0)  # 1 - theta
        self.state = tf.Variable(tf.zeros([6], tf.float64), trainable=False)

    def reset(self) -> None:
        """Set tau and the averages back to those of a run's beginning."""
        self.state.assign(tf.zeros([6], tf.float64))

    def _now(self, place: int) -> float:
        return float(tf.identity(self.state)[place])

    @property
    def steps(self) -> int:
        """Training steps done."""
        return int(self._now(STEPS))

    @property
    def finished(self) -> bool:
        """Whether tau has reached the reference batch's steps."""
        return self._now(PROGRESS) >= self._total

    @property
    def last_rate(self) -> float:
        """Learning rate of the last step."""
        return self._now(RATE)

    def row(self) -> dict[str, float]:
        """Return tau and the gain of the last step, for the record's evaluations."""
        return {"reference_steps": self._now(PROGRESS), "gain": self._now(GAIN)}

    def beside(self, gradients: Sequence[Any]) -> list[Any]:
        """Return the gradients of one group and |g_i|^2, which are averaged together, over micro-batches and replicas.
        """
        return [*gradients, tf.cast(norm_squared(gradients), gradients[0].dtype)]

    def sample(self, averaged: Sequence[Any]) -> list[Any]:
        """Return this step's sigma2 and mu2, clipped, from what `beside` gave after the averages; two float64 scalars.
        """
        if self._groups < 2:  # one group is the reference batch itself, whose gain is 1
            return [tf.constant(LEAST_VARIANCE, tf.float64), tf.zeros([], tf.float64)]
        of_mean, mean = norm_squared(averaged[:-1]), tf.cast(averaged[-1], tf.float64)
        group_variance = self._groups / (self._groups - 1) * (mean - of_mean)
        return [tf.maximum(group_variance * self._share, LEAST_VARIANCE),
                tf.maximum(of_mean - group_variance / self._groups, 0.0)]

    def gain(self, state: Any) -> Any:
        """Return r of the coming step."""
        variance, mean = tf.maximum(state[VARIANCE], LEAST_VARIANCE), state[MEAN_SQUARED]
        ratio = (variance + mean) / (variance / self._scale + mean)
        return tf.where(state[STEPS] > 0, tf.clip_by_value(ratio, 1.0, self._scale), 1.0)

    def rate(self, state: Any, rates: Any) -> Any:
        """Gain times the rate of the reference batch's step floor(tau), float64."""
        position = tf.minimum(tf.cast(tf.floor(state[PROGRESS]), tf.int32), tf.shape(rates)[0] - 1)
        return self.gain(state) * tf.cast(tf.gather(rates, position), tf.float64)

    def after(self, state: Any, rate: Any, variance: Any, mean_squared: Any) -> Any:
        """Return the state after a step. A step whose gradients are not finite moves no average."""
        gain, steps = self.gain(state), state[STEPS] + 1
        weight = tf.maximum(1 / steps, self._newest)  # a plain mean at first, an exponential one from 1 / (1 - theta)
        averages = state[VARIANCE:STEPS]
        sample = tf.stack([variance, mean_squared])
        moved = tf.where(tf.reduce_all(tf.math.is_finite(sample)), averages + weight * (sample - averages), averages)
        return tf.stack([state[PROGRESS] + gain, moved[0], moved[1], steps, gain, rate])

    def loop(self, step: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
        """Return fn(x, y, order, rates, start, stop, base) -> loss of the last step; it stops early where tau reaches
        T.

        `step`, on all replicas, gives the first one's [loss, sigma2, mu2]. `rates` are the reference batch's.
        """
        def run(x: Any, y: Any, order: Any, rates: Any, start: Any, stop: Any, base: Any, state: Any) -> Any:
            def body(k: Any, _: Any, state: Any) -> tuple[Any, Any, Any]:
                rate = self.rate(state, rates)
                found = step(x, y, order, rate, k, (k - base) % layout.rows)
                return k + 1, found[0], self.after(state, rate, found[1], found[2])

            def more(k: Any, _: Any, state: Any) -> Any:
                return tf.logical_and(k < stop, state[PROGRESS] < self._total)

            start_with = [start, tf.constant(np.nan, tf.float64), state]
            return tf.while_loop(more, body, start_with, parallel_iterations=1)[1:]

        compiled = tf.function(run, autograph=False, reduce_retracing=False)

        def carried(*arguments: Any) -> Any:
            loss, state = compiled(*arguments, tf.identity(self.state))
            self.state.assign(state)
            return loss
        return carried


def norm_squared(gradients: Sequence[Any]) -> Any:
    """Return |g|^2 over all of a model's weights, float64."""
    return tf.add_n([tf.reduce_sum(tf.square(tf.cast(tf.convert_to_tensor(g), tf.float64))) for g in gradients])
