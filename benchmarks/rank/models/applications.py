"""The published image models of keras.applications, by their names there, untrained and ending in logits."""

from __future__ import annotations

import inspect
import re

import keras
from keras import layers

from ...errors import PlanError

LEAST_SIZE = re.compile(r"at least (\d+)x(\d+)")
PIXEL_SCALE = 255.0
Shape = tuple[int, ...]


def names() -> tuple[str, ...]:
    """Return the names of the models as keras.applications has them: ResNet50, VGG16, EfficientNetB0, ..."""
    return tuple(sorted(name for name, value in vars(keras.applications).items() if inspect.isfunction(value)))


def build(name: str, input_shape: Shape, classes: int) -> keras.Model:
    """Return the model as published, for inputs of `input_shape` (height, width, channels) between 0 and 1.

    Models that would scale pixels of 0 to 255 themselves have that left out, or get such pixels. Raises PlanError."""
    function = getattr(keras.applications, name)
    if len(input_shape) != 3:
        raise PlanError(f"model {name!r} takes images of (height, width, channels), not examples of shape "
                        f"{input_shape}; choose another model or data set.")
    options = {"include_preprocessing": False} if "include_preprocessing" in inspect.signature(function).parameters \
        else {}
    try:
        model = function(weights=None, classes=classes, classifier_activation=None, input_shape=input_shape, **options)
    except ValueError as error:
        raise PlanError(_refusal(name, input_shape, str(error))) from error
    if not any(isinstance(layer, layers.Rescaling) for layer in model.layers):
        return model
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, model(layers.Rescaling(PIXEL_SCALE)(inputs)))


def _refusal(name: str, input_shape: Shape, reason: str) -> str:
    least = LEAST_SIZE.search(reason)
    if least:
        return (f"model {name!r} refuses images of {input_shape[0]} x {input_shape[1]}: the least is {least[1]} x "
                f"{least[2]}. Choose a model for small images, or a data set of larger ones.")
    return f"model {name!r} refuses inputs of shape {input_shape}: {' '.join(reason.split())[:300]}"
