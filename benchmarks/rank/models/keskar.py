"""The convolutional networks of Keskar et al. 2017, arXiv:1609.04836: large batches and sharp minima.

Batch norm before every ReLU, dropout as published. The authors evaluated with the statistics of the test batch; here
moving statistics are used, which forget by 0.9 a step so that the few steps of a large batch suffice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
from keras import layers

Shape = tuple[int, ...]


def keskar_c1(input_shape: Shape, classes: int) -> keras.Model:
    """Return C1, after AlexNet: two 5 x 5 convolutions, Dense 384 and 192; 1,757,834 parameters on 32 x 32 x 3, 10
    classes."""
    def stage() -> Iterator[layers.Layer]:
        yield from _normalized(layers.Conv2D(64, 5, padding="same"))
        yield layers.MaxPooling2D(3, 2, padding="same")

    return _model(input_shape, classes, [*stage(), *stage(), layers.Flatten(), *_dense(384), *_dense(192)])


def keskar_c2(input_shape: Shape, classes: int) -> keras.Model:
    """Return C2, after VGG: thirteen 3 x 3 convolutions in five stacks, Dense 512; for images of 32 x 32."""
    stacks = ((64, 2, 0.3), (128, 2, 0.4), (256, 3, 0.4), (512, 3, 0.4), (512, 3, 0.4))
    convolutions = [layer for channels, depth, rate in stacks for layer in _stack(channels, depth, rate)]
    return _model(input_shape, classes, [*convolutions, layers.Flatten(), layers.Dropout(0.5), *_dense(512)])


def _stack(channels: int, depth: int, rate: float) -> Iterator[layers.Layer]:
    """Convolutions with dropout between them, then a pooling to half the size."""
    for index in range(depth):
        if index:
            yield layers.Dropout(rate)
        yield from _normalized(layers.Conv2D(channels, 3, padding="same"))
    yield layers.MaxPooling2D(2, 2, padding="same")


def _dense(width: int) -> Iterator[layers.Layer]:
    yield from _normalized(layers.Dense(width))
    yield layers.Dropout(0.5)


def _normalized(layer: layers.Layer) -> Iterator[layers.Layer]:
    yield from (layer, layers.BatchNormalization(momentum=0.9), layers.ReLU())


def _model(input_shape: Shape, classes: int, hidden: Sequence[layers.Layer]) -> keras.Model:
    return keras.Sequential([keras.Input(input_shape), *hidden, layers.Dense(classes)])
