"""Small convolutional models."""

from __future__ import annotations

import keras
from keras import layers


def cnn_small(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two stride-2 convolutions (8 and 16 channels), Dense classes: no batch norm, no dropout, no pooling."""
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(classes),
    ])
