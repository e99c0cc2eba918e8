"""Models small enough to be differentiated by hand, or quickly twice."""

from __future__ import annotations

import keras


def softmax(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Softmax regression."""
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)])


def normalized(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """A convolution with batch norm and dropout."""
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU(),
        keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(classes)])
