"""One tiny training step on real examples before any rank starts: what a user's functions get wrong is named here.

Raises PlanError: one sentence with the function, what it did and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ...config.objectives import ACCURACY, BINARY_CROSS_ENTROPY, CROSS_ENTROPY, LOSSES, metric_name
from ...config.script import is_script
from ...data.arrays import Arrays, Classes, each
from ...errors import BatchscaleError, frames, PlanError, said
from ...runs.run_config import RunConfig
from ..script import taken
from ..script.callbacks import is_called
from ..training import gradients, keras_optimizers, losses
from ..training.compiled import Compiled
from . import endings, flops, ignored, own_losses

EXAMPLES = 3
Gradient = Callable[[Any, Any], Any]  # (inputs, targets) -> loss and gradients
OF_EXAMPLES = (" A metric gives one value for each example, whose mean is taken: keras.metrics' functions do; its "
               "objects, such as AUC() and F1Score(), are of all examples together and cannot be had here.")
COMPILED = re.compile(r"numpy|[Ss]ymbolic|as a Python|[Ee]ager|KerasTensor")


class Tried(NamedTuple):
    """A trial's yield: the model's call on one example as a concrete function, whose operations may be counted, None of
    a script's model that has no call; and the gradient of a step, from inputs and targets."""

    forward: Any
    gradient: Gradient


def check_step(config: RunConfig, model: keras.Model, x: Arrays, y: Arrays, classes: Classes) -> Tried:
    """Outputs, ending, loss, gradient and metrics of the first examples, traced as in a run. x, y: at least 3 of them.
    """
    ignored.check_model(config, model)
    if is_script(config.model):
        return _check_script(config, model, *(each(lambda values: tf.constant(values[:EXAMPLES]), part)
                                              for part in (x, y)))
    _check_targets(config, y)
    first = each(lambda values: values[:EXAMPLES], x)
    x, y = (each(lambda values: tf.constant(values[:EXAMPLES]), part) for part in (x, y))
    outputs = _outputs(config, model, x)
    forward = flops.forward(model, x)
    ignored.check_tokens(config, forward, first)
    _check_logits(config, y, outputs, classes)
    ends = endings.endings(model, forward, x, outputs)
    endings.check(config, ends.get(endings.SINGLE, endings.NEITHER), y, outputs)
    objective = losses.objective(config)
    for name, function in ((f"loss {config.loss!r}", objective.loss),
                           *((f"metric {name!r}", objective.metrics[metric_name(name)])
                             for name in config.metrics)):
        _check_values(name, function, y, outputs, finite=function is objective.loss)
    if config.loss not in LOSSES:
        own_losses.check(f"loss {config.loss!r}", ends, objective.loss, model, x, y, _traced)
    gradient = _gradient(model, objective.loss)
    _check_gradient(config, model, gradient, x, y)
    keras_optimizers.create(config, model)
    return Tried(forward, gradient)


def _check_script(config: RunConfig, model: keras.Model, x: Arrays, y: Arrays) -> Tried:
    """The same of what a script gave to compile, whose losses take their own targets and endings."""
    compiled = Compiled(taken.of(model))
    own, objective = compiled.own_step, compiled.objective(config.metrics)
    called = is_called(model)
    outputs = _outputs(config, model, x) if called else None
    forward = flops.forward(model, x) if called else None
    if objective.told is None:
        _check_values(f"the loss of {config.model!r}", objective.loss, y, outputs, finite=True,
                      alone=not compiled.of_batches)
    else:
        _check_told(config.model, objective.told, x, y)
    for name, function in objective.metrics.items():
        _check_values(f"metric {name!r} of {config.model!r}", function, y, outputs, finite=False)
    if own and config.sharpness_examples:
        raise PlanError(f"sharpness_examples belongs to the loss of compile, and {config.model!r} trains by a "
                        "train_step or compute_loss of its own; leave it out.")
    gradient = own.gradients if own else _gradient(model, objective.loss)
    _check_gradient(config, model, gradient, x, y)
    keras_optimizers.create(config, model)
    return Tried(forward, gradient)


def _check_told(model: str, told: losses.Function, x: Arrays, y: Arrays) -> None:
    """A finite loss of what a step of the model's own tells."""
    values = _traced(f"a step of {model!r}", lambda: told(x, y))
    if not np.isfinite(values).all():
        raise PlanError(f"the loss that a step of {model!r} tells is {float(values[0])} on the first {EXAMPLES} "
                        "examples at the initial weights; scale the inputs, or keep zeros out of logarithms.")


def check_classes(config: RunConfig, y: Arrays) -> None:
    """Refuse float targets where the loss takes classes, before a model is asked for 0 of them."""
    if config.loss != CROSS_ENTROPY or isinstance(y, Mapping) or np.issubdtype(y.dtype, np.integer):
        return
    rows = np.asarray(y).reshape(len(y), -1)
    one_hot = rows.shape[1] > 1 and bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())
    fix = ("They look one-hot: use y.argmax(axis=-1)." if one_hot else
           "Use y.astype('int32') where they are classes; for a regression choose loss = 'mean_squared_error'.")
    raise PlanError(f"{CROSS_ENTROPY!r} takes {LOSSES[CROSS_ENTROPY]}, in whole numbers; the targets of "
                    f"{config.dataset!r} are ({', '.join(['examples', *map(str, y.shape[1:])])}) {y.dtype}. {fix}")


def _check_targets(config: RunConfig, y: Arrays) -> None:
    """Targets of yes and no where the loss or the accuracy takes them as such."""
    binary, strict = config.loss == BINARY_CROSS_ENTROPY, ACCURACY in config.metrics
    if isinstance(y, Mapping) or config.loss == CROSS_ENTROPY or not binary and np.issubdtype(y.dtype, np.integer):
        return
    if (binary or strict) and not (np.isin(y, (0, 1)) if strict else (0 <= y) & (y <= 1)).all():
        told = f"metric {ACCURACY!r}" if strict else f"loss {config.loss!r}"
        raise PlanError(f"{told} takes targets {'0 and 1' if strict else 'from 0 to 1'}, or classes in whole numbers; "
                        f"those of {config.dataset!r} run from {y.min():g} to {y.max():g}. Choose other ones, such as "
                        "mean_absolute_error.")


def _outputs(config: RunConfig, model: keras.Model, x: Arrays) -> Any:
    what = f"model {config.model!r}"
    if not model.built:
        raise PlanError(f"{what} is not built: it has no weights before its first call. Call it in the function, once, "
                        "on keras.Input(input_shape).")
    shapes = each(lambda values: losses.shown(values), x)
    outputs = _traced(f"{what} on inputs {shapes}", lambda: model(x, training=False))
    for tensor in tf.nest.flatten(outputs):
        if not tf.is_tensor(tensor) or tensor.shape.rank == 0 or tensor.shape[0] != EXAMPLES:
            told = tuple(tensor.shape) if tf.is_tensor(tensor) else type(tensor).__name__
            raise PlanError(f"{what} gives {told} for {EXAMPLES} examples; every output must have one row for each "
                            "example.")
    return outputs


def _check_logits(config: RunConfig, targets: Any, outputs: Any, classes: Classes) -> None:
    """As many logits as classes; of tokens, at least as many."""
    if config.loss != CROSS_ENTROPY or not tf.is_tensor(outputs) or not isinstance(classes, int) or not classes:
        return
    logits = outputs.shape[-1]
    if logits < classes or logits != classes and targets.shape.rank == 1:
        raise PlanError(f"model {config.model!r} gives outputs of shape {tuple(outputs.shape[1:])} on "
                        f"{config.dataset!r}; it must end in {classes} logits, one for each class.")


def _check_values(what: str, function: losses.Function, targets: Any, outputs: Any, finite: bool,
                  alone: bool = True) -> None:
    """One finite number per example, which does not change when another example leaves the batch; not `alone`: it is
    the number of a whole batch."""
    call = f"{what}, called with targets {_told(targets)} and outputs {_told(outputs)},"
    values = _traced(call, lambda: function(targets, outputs), "" if finite else OF_EXAMPLES)
    if values.shape[0] != EXAMPLES:
        raise PlanError(f"{what} returned {values.shape[0]} values for {EXAMPLES} examples; it must return one for "
                        "each.")
    first = (tf.nest.map_structure(lambda values: values[:-1], part) for part in (targets, outputs))
    fewer = _traced(call, lambda: function(*first))
    if fewer.shape[0] != EXAMPLES - 1 or alone and not np.allclose(fewer, values[:-1], rtol=1e-4, equal_nan=True):
        raise PlanError(f"{what} gives an example another value when the batch has fewer others, so it is no loss of "
                        "single examples and would depend on the number of replicas; look for a mean over axis 0, or "
                        f"for (n,) against (n, 1), which gives (n, n): targets {_told(targets)}, outputs "
                        f"{_told(outputs)}.")
    if finite and not np.isfinite(values).all():
        raise PlanError(f"{what} is {np.asarray(values).tolist()} on the first {EXAMPLES} examples at the initial "
                        "weights; scale the inputs, or keep zeros out of logarithms and divisions.")


def _gradient(model: keras.Model, loss: losses.Function) -> Gradient:
    return partial(gradients.gradients, model, loss, [variable.value for variable in model.trainable_variables])


def _check_gradient(config: RunConfig, model: keras.Model, gradient: Gradient, x: Arrays, y: Arrays) -> None:
    if not model.trainable_variables:
        raise PlanError(f"model {config.model!r} has no trainable weights.")
    missing: list[str] = []

    def step() -> Any:
        found = gradient(x, y)[1]
        missing.extend(v.path for v, g in zip(model.trainable_variables, found) if g is None)
        return [tf.convert_to_tensor(gradient) for gradient in found if gradient is not None]

    what = f"a training step of model {config.model!r} with loss {config.loss!r}"
    found = _traced(what, step)
    if missing:
        raise PlanError(f"loss {config.loss!r} gives no gradient to {', '.join(missing[:5])} of model "
                        f"{config.model!r}; let the loss use every output and no argmax or rounding, or set the "
                        "layer's trainable = False.")
    if not all(np.isfinite(gradient).all() for gradient in found):
        raise PlanError(f"{what} gives a gradient that is not finite at the initial weights; scale the inputs, or keep "
                        "zeros out of square roots, logarithms and divisions.")


def _traced(what: str, function: Callable[[], Any], rule: str = "") -> Any:
    """The function's value, traced as ranks trace it. Raises PlanError with what it raised, and the rule."""
    try:
        return tf.function(function, autograph=False)()
    except BatchscaleError:
        raise
    except (Exception, SystemExit) as error:  # a user's code raises anything
        hint = ("; it is compiled, so it must use TensorFlow or keras.ops and be without .numpy()"
                if COMPILED.search(str(error)) else "")
        raise PlanError(f"{what} {said(error)}{hint}.{rule}{frames(error)}") from error


def _told(values: Any) -> str:
    if isinstance(values, dict):
        return ", ".join(f"{name} {_told(value)}" for name, value in values.items())
    return losses.shown(values) if tf.is_tensor(values) else type(values).__name__
