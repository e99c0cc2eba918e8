"""An encoded image as an example: decoded, cut out, brought to its size, maybe mirrored; a function of its bytes and of
the random numbers it is given alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ...data.disk.augmentation import CROP_TRIES

CENTRAL = 224 / 256  # of the shorter side, in evaluation: what ImageNet's models are tested on
CROP_AREA = (0.08, 1.0)  # of the image (Szegedy et al. 2015)
CROP_ASPECT = (3 / 4, 4 / 3)  # width over height
MOST_PIXELS = 2**27

Decode = Callable[[Any, Any], Any]


def decoder(shape: Sequence[int], augment: Sequence[str], dtype: str) -> Decode:
    """Return fn(encoded, draws float32[DRAWS]) -> `dtype`[height, width, channels] in [0, 1].

    Without `crop` in `augment`, an image that has the size stays as it is; of any other its middle, 224 / 256 of it, is
    resized. With it, a part of random area, aspect and place is.
    """
    height, width, channels = shape

    def window(sides: Any, draws: Any) -> Any:
        """Top, left, height and width of what is cut out."""
        if "crop" in augment:
            return random_window(sides, draws)
        whole = tf.concat([tf.zeros(2, tf.int32), sides], axis=0)
        return tf.cond(tf.reduce_all(sides == [height, width]), lambda: whole,
                       lambda: central_window(sides, height, width))

    def from_jpeg(encoded: Any, draws: Any) -> Any:
        sides = tf.io.extract_jpeg_shape(encoded)[:2]
        with tf.control_dependencies([tf.debugging.Assert(
                tf.reduce_prod(tf.cast(sides, tf.int64)) <= MOST_PIXELS, ["the image has too many pixels", sides])]):
            return tf.io.decode_and_crop_jpeg(encoded, window(sides, draws), channels=channels)

    def from_other(encoded: Any, draws: Any) -> Any:
        whole = tf.io.decode_png(encoded, channels=channels)
        top, left, rows, columns = tf.unstack(window(tf.shape(whole)[:2], draws))
        return whole[top:top + rows, left:left + columns]

    def decode(encoded: Any, draws: Any) -> Any:
        pixels = tf.cond(tf.io.is_jpeg(encoded), lambda: from_jpeg(encoded, draws), lambda: from_other(encoded, draws))
        sized = tf.cond(tf.reduce_all(tf.shape(pixels)[:2] == [height, width]), lambda: tf.cast(pixels, tf.float32),
                        lambda: tf.image.resize(pixels, (height, width), antialias=True))
        if "flip" in augment:
            sized = tf.cond(draws[0] < 0.5, lambda: tf.reverse(sized, [1]), lambda: sized)
        return tf.cast(tf.ensure_shape(sized, tuple(shape)) / 255.0, dtype)

    return decode


def central_window(sides: Any, height: int, width: int) -> Any:
    """Return the middle of an image, of the aspect of height and width."""
    rows, columns = (tf.cast(side, tf.float32) for side in tf.unstack(sides))
    scale = CENTRAL * tf.minimum(rows / height, columns / width)
    size = tf.maximum(1, tf.cast(tf.round(scale * tf.constant([height, width], tf.float32)), tf.int32))
    size = tf.minimum(size, sides)
    return tf.concat([(sides - size) // 2, size], axis=0)


def random_window(sides: Any, draws: Any) -> Any:
    """Return the first of ten random areas and aspects that fits; where none does, the middle. Its place is random."""
    rows, columns = (tf.cast(side, tf.float32) for side in tf.unstack(sides))
    tries = tf.reshape(draws[3:], (CROP_TRIES, 2))
    low, high = CROP_AREA
    area = (low + (high - low) * tries[:, 0]) * rows * columns
    first, last = (math.log(aspect) for aspect in CROP_ASPECT)
    aspect = tf.exp(first + (last - first) * tries[:, 1])
    size = tf.cast(tf.round(tf.stack([tf.sqrt(area / aspect), tf.sqrt(area * aspect)], axis=1)), tf.int32)
    fits = tf.reduce_all((size > 0) & (size <= sides), axis=1)
    square = tf.cast(tf.fill([2], tf.minimum(rows, columns)), tf.int32)
    chosen = tf.cond(tf.reduce_any(fits), lambda: size[tf.argmax(tf.cast(fits, tf.int32))], lambda: square)
    free = sides - chosen
    place = tf.cond(tf.reduce_any(fits), lambda: tf.cast(draws[1:3] * tf.cast(free + 1, tf.float32), tf.int32),
                    lambda: free // 2)
    return tf.concat([tf.minimum(place, free), chosen], axis=0)
