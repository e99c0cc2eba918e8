"""A regression: how far a disease goes in a year, from ten measurements of 442 patients that scikit-learn brings along.

    cd benchmarks/examples && ../../.venv/bin/batchscale study regression.toml

There is no accuracy; the report's gaps, margin and decision are in the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

TEST_EVERY = 5
Arrays = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def diabetes() -> tuple[Arrays, Arrays]:
    """x float32[N, 10], y float32[N]; both with mean 0 and standard deviation 1 over the training part."""
    from sklearn.datasets import load_diabetes
    x, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(y))
    test, train = order[::TEST_EVERY], np.delete(order, np.s_[::TEST_EVERY])
    x, y = ((values - values[train].mean(axis=0)) / values[train].std(axis=0) for values in (x, y))
    return (x[train], y[train]), (x[test], y[test])


def network(input_shape: tuple[int, ...], classes: int) -> Any:
    """Two hidden layers and one number. `classes` is 0: a float type of the targets makes it a regression."""
    import keras
    from keras import layers
    return keras.Sequential([keras.Input(input_shape), layers.Dense(32, activation="relu"),
                             layers.Dense(32, activation="relu"), layers.Dense(1)])


def huber(targets: Any, outputs: Any) -> Any:
    """A loss of one's own: the error squared while it is below 1, and a straight line beyond (Huber 1964).

    One number for each example, (n,). The outputs are (n, 1) and the targets (n,): left as they are, their difference
    would be (n, n).
    """
    import tensorflow as tf
    error = tf.abs(targets - outputs[:, 0])
    return tf.where(error < 1, tf.square(error) / 2, error - 0.5)


def within_half(targets: Any, outputs: Any) -> Any:
    """A metric of one's own: the share of predictions less than half a standard deviation off."""
    import tensorflow as tf
    return tf.abs(targets - outputs[:, 0]) < 0.5
