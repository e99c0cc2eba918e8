"""Small transformers with pre-norm blocks: one for images, one that predicts the next token.

Neither has dropout, whose masks would be the same on every replica.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops

from ...errors import PlanError

WIDTH, HEADS = 64, 4
MOST_PATCH_SIDE = 16
FEWEST_PATCHES_A_SIDE = 4
Shape = tuple[int, ...]


class Positions(layers.Layer):
    """Adds a learned vector to each place of a sequence: (n, T, width) to (n, T, width)."""

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight(shape=tuple(input_shape[1:]), name="embeddings",
                                     initializer=keras.initializers.RandomNormal(stddev=0.02))

    def call(self, x: Any) -> Any:
        return x + ops.cast(self.table, x.dtype)


def vit_4x64(input_shape: Shape, classes: int) -> keras.Model:
    """Return a vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929): 4 blocks of width 64, 4 heads.

    Patches of 7 x 7 on 28 x 28 pixels, 8 x 8 on 32 x 32, 16 x 16 on 224 x 224; the mean over patches instead of a
    class token (Beyer et al. 2022, arXiv:2205.01580). 204,938 parameters on 28 x 28 x 1 with 10 classes.
    """
    side = patch_side(input_shape)
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(WIDTH, side, side)(inputs)
    x = Positions()(layers.Reshape((-1, WIDTH))(x))
    for _ in range(4):
        x = _block(x, causal=False)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling1D()(_normalized(x))))


def causal_2x64(input_shape: Shape, classes: int) -> keras.Model:
    """Return a decoder-only transformer (Radford et al. 2019): 2 blocks of width 64, 4 heads; `classes` is the
    vocabulary.

    Tokens (n, T) to the logits of each next token, (n, T, vocabulary). 104,208 parameters at T = 32 and 16 tokens.
    """
    if len(input_shape) != 1:
        raise PlanError(f"model 'causal_2x64' takes sequences of tokens, (length,), not examples of shape "
                        f"{input_shape}; use the data set 'tokens', or another model.")
    inputs = keras.Input(input_shape, dtype="int32")
    x = Positions()(layers.Embedding(classes, WIDTH)(inputs))
    for _ in range(2):
        x = _block(x, causal=True)
    return keras.Model(inputs, layers.Dense(classes)(_normalized(x)))


def patch_side(input_shape: Shape) -> int:
    """Return the largest side, up to 16, of square patches that tile the image with at least 4 in each direction."""
    if len(input_shape) == 3:
        common = math.gcd(*input_shape[:2])
        most = min(MOST_PATCH_SIDE, min(input_shape[:2]) // FEWEST_PATCHES_A_SIDE)
        sides = [side for side in range(2, most + 1) if common % side == 0]
        if sides:
            return sides[-1]
    raise PlanError(f"model 'vit_4x64' takes images whose height and width have a common divisor of 2 to "
                    f"{MOST_PATCH_SIDE} that leaves {FEWEST_PATCHES_A_SIDE} patches a side, (28, 28, 1) say; "
                    f"examples here have shape {input_shape}.")


def _block(x: Any, causal: bool) -> Any:
    """x + attention(norm(x)), then x + mlp(norm(x)), the latter four times as wide inside."""
    normalized = _normalized(x)
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
    x = x + attention(normalized, normalized, use_causal_mask=causal)
    hidden = layers.Dense(4 * WIDTH, activation="gelu")(_normalized(x))
    return x + layers.Dense(WIDTH)(hidden)


def _normalized(x: Any) -> Any:
    return layers.LayerNormalization(epsilon=1e-6)(x)
