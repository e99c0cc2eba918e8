"""Fully connected models."""

from __future__ import annotations

import keras
from keras import layers


def _mlp(input_shape: tuple[int, ...], classes: int, widths: tuple[int, ...]) -> keras.Model:
    hidden = [layers.Dense(width, activation="relu") for width in widths]
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), *hidden, layers.Dense(classes)])


def mlp_128(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Flatten, Dense 128 relu, Dense classes: 101,770 parameters on 28 x 28."""
    return _mlp(input_shape, classes, (128,))


def mlp_512_256_128(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Flatten, Dense 512, 256, 128 relu, Dense classes: 567,434 parameters on 28 x 28."""
    return _mlp(input_shape, classes, (512, 256, 128))
