"""Batch norm over all replicas: its mean and variance averaged between them, under every strategy.

Keras' own `synchronized=True` works under tf.distribute alone. Here the layers' moments go through the strategy's mean,
whose gradient is the mean again, so that R replicas normalize and learn as one with the whole batch does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

FORGOTTEN = 0.01  # what is left of the start when moving statistics can be believed

Mean = Callable[[Sequence[Any]], Sequence[Any]]


class BatchNorms:
    """The batch norm layers of a model; those that are `synchronized` take their moments over all replicas."""

    def __init__(self, layers: Sequence[Any], everywhere: bool, mean: Mean) -> None:
        self.layers = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        self.synchronized = [layer for layer in self.layers if everywhere or layer.synchronized]
        self._mean, self._exchanging = mean, False
        self._counting = threading.local()  # tf.distribute traces each replica in a thread of its own
        for layer in self.synchronized:
            layer._moments = partial(self._moments, layer)

    @contextmanager
    def exchanging(self, exchange: bool) -> Iterator[None]:
        """Let what is traced meanwhile exchange moments; elsewhere, as in probes, each replica takes its own."""
        self._exchanging = exchange
        yield
        self._exchanging = False

    @contextmanager
    def counting(self, share: float) -> Iterator[None]:
        """Let the moments of what this thread traces meanwhile count for so much against those of other replicas."""
        self._counting.share = share
        yield
        self._counting.share = 1.0

    def updates_needed(self) -> int:
        """Updates after which the slowest moving statistics have forgotten 99 % of their start; 0 without any
        that move, as none does of a layer that is frozen."""
        slow = [layer.momentum for layer in self.layers if layer.trainable and 0 < layer.momentum < 1]
        return round(math.log(FORGOTTEN) / math.log(max(slow))) if slow else 0

    def _moments(self, layer: Any, x: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance over all axes but the layer's and over all replicas, weighted by the mask."""
        weight = tf.ones_like(x) if mask is None else tf.cast(tf.broadcast_to(mask[..., None], tf.shape(x)), x.dtype)
        count, total = self._averaged([weight, weight * x], layer._reduction_axes)
        mean = tf.math.divide_no_nan(total, count)
        spread, = self._averaged([weight * tf.square(x - mean)], layer._reduction_axes)
        shape = [x.shape[layer.axis]]
        return tf.reshape(mean, shape), tf.reshape(tf.math.divide_no_nan(spread, count), shape)

    def _averaged(self, values: Sequence[Any], axes: Sequence[int]) -> Sequence[Any]:
        own = [tf.reduce_mean(value, axis=axes, keepdims=True) for value in values]
        share = getattr(self._counting, "share", 1.0)
        return self._mean([value * share for value in own] if share != 1.0 else own) if self._exchanging else own
