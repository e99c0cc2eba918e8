"""How a model ends: in a softmax or a sigmoid, which a loss of logits would apply a second time, or in neither.

Found in the traced graph, back through operations that only change type or shape; and, where a model writes a softmax
or a sigmoid out in other operations, by the values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...config.objectives import ACCURACY, BINARY_CROSS_ENTROPY, CROSS_ENTROPY, is_cross_entropy
from ...errors import PlanError
from ...runs.run_config import RunConfig

OPERATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "log-softmax", "LogSigmoid": "log-sigmoid"}
UNCHANGING = frozenset(("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "Transpose", "StridedSlice",
                        "EnsureShape", "StopGradient", "Snapshot"))
PROBABILITIES, LOGARITHMS = ("softmax", "sigmoid"), ("log-softmax", "log-sigmoid")
NEITHER = ""
PROBE = 30.0
TOLERANCE = 1e-4

Function = Callable[[Any, Any], Any]


def ending(model: keras.Model, forward: Any, x: Any, outputs: Any) -> str:
    """Return the ending of a model with one output, of OPERATIONS, or NEITHER; NEITHER for several outputs.

    `forward`: its traced call. `x`, `outputs`: some examples and what the model gives for them, (n, ...).
    """
    if not tf.is_tensor(outputs):
        return NEITHER
    return OPERATIONS.get(_last_operation(forward.outputs[0]), "") or _by_values(model, x, outputs)


def _last_operation(tensor: Any) -> str:
    """The kind of the operation that made a tensor of a graph, other than changes of type and shape."""
    operation = tensor.op
    while operation.type in UNCHANGING and operation.inputs:
        operation = operation.inputs[0].op
    if operation.type == "Neg" and operation.inputs[0].op.type == "Softplus":
        return "LogSigmoid"  # log s(z) = -log(1 + exp(-z))
    return str(operation.type)


def _by_values(model: keras.Model, x: Any, outputs: Any) -> str:
    values = np.asarray(outputs, np.float64)
    if values.ndim > 1 and values.shape[-1] > 1:
        if _sum_to_one(values):
            return "softmax"
        if (values <= 0).all() and _sum_to_one(np.exp(values)):
            return "log-softmax"
    return "sigmoid" if _within(values) and _stays_within(model, x) else NEITHER


def _within(values: Any) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _sum_to_one(values: Any) -> bool:
    return _within(values) and bool(np.allclose(values.sum(axis=-1), 1, atol=1e-3))


def _stays_within(model: keras.Model, x: Any) -> bool:
    """Whether large last weights of either sign leave all outputs in [0, 1], which no output without a bound does.

    The weights are put back.
    """
    last = list(model.trainable_variables)[-2:]
    kept = [variable.numpy() for variable in last]
    draws = [np.random.default_rng(0).standard_normal(values.shape) for values in kept]
    try:
        seen = []
        for sign in (PROBE, -PROBE):
            for variable, values in zip(last, draws):
                variable.assign(sign * values)
            seen.append(np.asarray(tf.function(lambda: model(x, training=False), autograph=False)(), np.float64))
    finally:
        for variable, values in zip(last, kept):
            variable.assign(values)
    return all(map(_within, seen)) and not np.array_equal(seen[0], seen[1])


def check(config: RunConfig, found: str, targets: Any, outputs: Any) -> None:
    """Raise PlanError where a loss or metric of the suite's own takes another ending than the model's."""
    if not tf.is_tensor(outputs):
        return
    if config.from_logits:
        _check_logits(config, found, by_sign=_decides_by_sign(targets, outputs))
    elif found not in PROBABILITIES:
        seen = np.asarray(outputs, np.float64)
        raise PlanError(f"from_logits = false says that model {config.model!r} ends in probabilities, and its outputs "
                        + ("are logarithms of them" if found in LOGARITHMS else
                           f"on the first examples run from {seen.min():.3g} to {seen.max():.3g}")
                        + ". Leave from_logits out, which takes outputs as logits, or let the last layer be a "
                        + ("sigmoid." if config.loss == BINARY_CROSS_ENTROPY else "softmax."))


def _decides_by_sign(targets: Any, outputs: Any) -> bool:
    """Whether the accuracy goes by an output's sign, and not by the largest output."""
    return outputs.shape.rank != targets.shape.rank + 1 or outputs.shape[-1] == 1


def _check_logits(config: RunConfig, found: str, by_sign: bool) -> None:
    harmless = config.loss == CROSS_ENTROPY and found == "log-softmax"  # whose softmax is that of the logits
    if found and is_cross_entropy(config.loss) and not harmless:
        second = "sigmoid" if config.loss == BINARY_CROSS_ENTROPY else "softmax"
        raise PlanError(f"model {config.model!r} ends in a {found}, and loss {config.loss!r} takes logits: it would "
                        f"train through a second {second}. Leave the {found} out of the last layer{_or_say(found)}.")
    if found in PROBABILITIES and by_sign and ACCURACY in config.metrics:
        raise PlanError(f"model {config.model!r} ends in a {found}, and metric {ACCURACY!r} takes logits, whose sign "
                        f"decides: it would count every example as a yes. Leave the {found} out of the last "
                        f"layer{_or_say(found)}.")


def _or_say(found: str) -> str:
    return ", or say from_logits = false in the plan, which takes probabilities" if found in PROBABILITIES else ""


def check_own_loss(config: RunConfig, found: str, values: Any, targets: Any, outputs: Any) -> None:
    """Raise PlanError where a user's loss is one of Keras' cross-entropies and from_logits does not fit the ending.

    `values`: the loss of each example as a training step finds it, where Keras looks through a softmax in the graph;
    its numbers are compared with those of Keras' functions on `outputs`. A loss that is none of them is let be.
    """
    if not (tf.is_tensor(targets) and tf.is_tensor(outputs)) or found in LOGARITHMS:
        return
    probable = found in PROBABILITIES
    right, wrong = (_keras_values(targets, outputs, from_logits) for from_logits in (not probable, probable))
    seen = np.asarray(values, np.float64)
    for name, unfit in wrong.items():
        fit = right.get(name)
        if _same(seen, unfit) and not (fit is not None and _same(seen, fit)):
            ends, takes = (f"a {found}", "logits") if probable else ("logits", "probabilities")
            raise PlanError(f"loss {config.loss!r} is Keras' {name} with from_logits={probable}, which takes {takes}, "
                            f"and model {config.model!r} ends in {ends}. Give it from_logits={not probable}, or let "
                            f"the model end in {takes}.")


def _same(seen: Any, other: Any) -> bool:
    return seen.shape == other.shape and bool(np.allclose(seen, other, rtol=TOLERANCE, atol=1e-6))


def _keras_values(targets: Any, outputs: Any, from_logits: bool) -> dict[str, Any]:
    """Keras' cross-entropies of each example, (n,), of those that take such targets and outputs."""
    found = {}
    labels = targets.dtype.is_integer and outputs.shape.rank == targets.shape.rank + 1
    several = labels and outputs.shape[-1] > 1
    one_hot = tf.one_hot(targets, outputs.shape[-1]) if several else tf.cast(targets, "float32")
    if not labels and outputs.shape.rank == one_hot.shape.rank + 1 and outputs.shape[-1] == 1:
        one_hot = one_hot[..., None]
    for name, function, expected in (
            ("sparse_categorical_crossentropy", keras.losses.sparse_categorical_crossentropy, targets),
            ("categorical_crossentropy", keras.losses.categorical_crossentropy, one_hot),
            ("categorical_focal_crossentropy", keras.losses.categorical_focal_crossentropy, one_hot),
            ("binary_crossentropy", keras.losses.binary_crossentropy, one_hot),
            ("binary_focal_crossentropy", keras.losses.binary_focal_crossentropy, one_hot)):
        if name.startswith("sparse") and not labels or "categorical" in name and outputs.shape[-1] == 1:
            continue
        try:
            values = np.asarray(function(expected, outputs, from_logits=from_logits), np.float64)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError):  # of other shapes
            continue
        found[name] = values.reshape(len(values), -1).mean(axis=1)
    return found
