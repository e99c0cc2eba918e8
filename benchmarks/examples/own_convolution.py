"""A data set and a convolutional model of one's own: which of three shapes is on a noisy picture.

    cd benchmarks/examples && ../../.venv/bin/batchscale study own_convolution.toml

Keras is imported where it is used, so that commands that only need the data answer at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIDE, TRAIN, TEST = 12, 2500, 500
Arrays = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def shapes() -> tuple[Arrays, Arrays]:
    """((x_train, y_train), (x_test, y_test)): pictures float32[N, 12, 12, 1]; 0 disks, 1 squares, 2 crosses."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, TRAIN + TEST)
    pictures = np.stack([_picture(int(label), rng) for label in labels])[..., None].astype(np.float32)
    return (pictures[:TRAIN], labels[:TRAIN]), (pictures[TRAIN:], labels[TRAIN:])


def _picture(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """One shape of some size at some place, under noise."""
    row, column = rng.integers(4, SIDE - 4, 2)
    radius = rng.integers(2, 4)
    down, across = np.abs(np.arange(SIDE)[:, None] - row), np.abs(np.arange(SIDE) - column)
    inside = {0: np.hypot(down, across) <= radius, 1: np.maximum(down, across) <= radius - 0.5,
              2: (np.minimum(down, across) == 0) & (np.maximum(down, across) <= radius)}[label]
    return np.asarray(inside + 0.3 * rng.standard_normal((SIDE, SIDE)))


def convolution(input_shape: tuple[int, ...], classes: int) -> Any:
    """Two convolutions and a dense layer, ending in one logit for each class; never in a softmax."""
    import keras
    from keras import layers
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(classes),
    ])
