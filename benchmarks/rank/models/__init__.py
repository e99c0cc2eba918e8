"""The built-in models, by name: Keras models that end in logits."""

from __future__ import annotations

from collections.abc import Callable

import keras

from ...errors import PlanError, one_of
from . import dense, convolutional

Shape = tuple[int, ...]
Builder = Callable[[Shape, int], keras.Model]

MODELS: dict[str, Builder] = {
    "mlp_128": dense.mlp_128,
    "mlp_512_256_128": dense.mlp_512_256_128,
    "cnn_small": convolutional.cnn_small,
}


def build(name: str, input_shape: Shape, classes: int, seed: int, precision: str = "float32") -> keras.Model:
    """The model with weights drawn from `seed`; the last layer gives logits, (examples, classes)."""
    if name not in MODELS:
        raise PlanError(one_of("model", name, MODELS))
    keras.backend.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    return MODELS[name](input_shape, classes)
