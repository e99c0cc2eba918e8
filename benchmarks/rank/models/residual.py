"""Residual networks of He et al. 2016, in the form for small images."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def resnet_20(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """He et al. 2016, arXiv:1512.03385, section 4.2 with n = 3: 269,722 parameters on 32 x 32 x 3 with 10 classes.

    Batch norm after every convolution; shortcuts without parameters (option A). The moving statistics forget by 0.9 a
    step: with Keras' 0.99 they would need hundreds of steps, which a large batch does not have.
    """
    inputs = keras.Input(input_shape)
    x = layers.ReLU()(_normalized(inputs, 16, 1))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(3):
            x = _block(x, channels, stride if block == 0 else 1)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def _normalized(x: Any, channels: int, stride: int) -> Any:
    x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _block(x: Any, channels: int, stride: int) -> Any:
    y = layers.ReLU()(_normalized(x, channels, stride))
    return layers.ReLU()(layers.Add()([_normalized(y, channels, 1), _shortcut(x, channels, stride)]))


def _shortcut(x: Any, channels: int, stride: int) -> Any:
    """The identity; where the size changes, every second pixel, and zeros for the channels that are new."""
    if stride == 1:
        return x
    new = channels - x.shape[-1]
    return keras.ops.pad(x[:, ::stride, ::stride, :], [[0, 0], [0, 0], [0, 0], [new // 2, new - new // 2]])
