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


def residual(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two convolutions with batch norm, the second beside what it is added to; the moving statistics are slow ones, of
    Keras' default momentum."""
    inputs = keras.Input(input_shape)
    first = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, strides=2)(inputs)))
    second = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, padding="same")(first))
    joined = keras.layers.ReLU()(keras.layers.Add()([first, second]))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(joined)))
