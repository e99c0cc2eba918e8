"""The built-in models, by name, and those of keras.applications by theirs: Keras models that end in logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras

from ...config.script import is_script
from ...data import import_function
from ...data.arrays import Classes, Shapes
from ...data.user_function import own_code
from ...errors import frames, one_of, PlanError, said
from ..script import taken
from . import applications, convolutional, dense, keskar, residual, transformers

Builder = Callable[[Shapes, Classes], keras.Model]

MODELS: dict[str, Builder] = {
    "mlp_128": dense.mlp_128,
    "mlp_512_256_128": dense.mlp_512_256_128,
    "cnn_small": convolutional.cnn_small,
    "resnet_20": residual.resnet_20,
    "keskar_c1": keskar.keskar_c1,
    "keskar_c2": keskar.keskar_c2,
    "vit_4x64": transformers.vit_4x64,
    "causal_2x64": transformers.causal_2x64,
}


def build(name: str, input_shape: Shapes, classes: Classes, seed: int, precision: str = "float32") -> keras.Model:
    """Return the model with weights drawn from `seed`; the last layer gives logits, (examples, classes), or one output
    for each example where `classes` is 0, a regression.

    `name`: a built-in name, one of keras.applications, or "package.module:function" of a function
    (input_shape, classes) -> keras.Model, whose arguments are mappings by name where there are several inputs or
    outputs. `precision`: the dtype of all, or mixed_float16 and mixed_bfloat16, which calculate in 16 bits with
    variables of 32. Of a script, what it gives to fit. Raises PlanError.
    """
    if is_script(name):
        return taken.model(name, seed, precision)
    builder = _builder(name)
    keras.backend.set_floatx("float32" if precision.startswith("mixed_") else precision)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    return builder(input_shape, classes)


def _builder(name: str) -> Builder:
    if name in MODELS:
        return lambda input_shape, classes: MODELS[name](*_single(name, input_shape, classes))
    if name in applications.names():
        return lambda input_shape, classes: applications.build(name, *_single(name, input_shape, classes))
    if ":" not in name:
        raise PlanError(one_of("model", name, (*MODELS, *applications.names())) + " Or give package.module:function.")
    return partial(_from_function, name, import_function(name, "model", error=PlanError))


def _single(name: str, input_shape: Shapes, classes: Classes) -> tuple[tuple[int, ...], int]:
    """The arguments of a built-in model, which has one input and one output. Raises PlanError."""
    for what, value in (("inputs", input_shape), ("outputs", classes)):
        if isinstance(value, Mapping):
            raise PlanError(f"model {name!r} has one of each and the data set has several {what} "
                            f"({', '.join(value)}); give a model of your own, package.module:function.")
    return input_shape, classes or 1


def _how_to_take_them(name: str, builder: Builder) -> str:
    """Return the first line to write where a function of the user's does not take what it is called with, else ""."""
    try:
        inspect.signature(builder).bind(None, None)
    except TypeError:
        return f" Write def {name.rpartition(':')[2]}(input_shape, classes):, whether it uses them or not."
    except ValueError:  # a function of a compiled module, which does not tell
        pass
    return ""


def _from_function(name: str, builder: Builder, input_shape: Shapes, classes: Classes) -> keras.Model:
    try:
        with own_code():
            model = builder(input_shape, classes)
    except (Exception, SystemExit) as error:
        raise PlanError(f"model {name!r} {said(error)}; it is called with input_shape={input_shape} and "
                        f"classes={classes}.{_how_to_take_them(name, builder)}{frames(error)}") from error
    if not isinstance(model, keras.Model):
        raise PlanError(f"model {name!r} returned {type(model).__name__}; it must return a keras.Model that ends in "
                        + (f"{classes} logits." if classes else "the outputs that the loss takes."))
    return model


def draws(layer: Any) -> bool:
    """Return whether a layer draws random numbers in training."""
    if getattr(layer, "seed_generator", None) is None and getattr(layer, "generator", None) is None:
        return False
    known = [rate for name in ("rate", "stddev", "dropout", "recurrent_dropout")
             if isinstance(rate := getattr(layer, name, None), (int, float))]
    return any(known) if known else True
