"""How a model ends: in a softmax or a sigmoid, which a loss of logits would apply a second time, or in neither.

Found in the traced graph, back through operations that only change type or shape; and, where a model writes a softmax
or a sigmoid out in other operations, by the values.
"""

from __future__ import annotations

from collections.abc import Mapping
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
SINGLE = ""
PROBE = 30.0


def endings(model: keras.Model, forward: Any, x: Any, outputs: Any) -> dict[str, str]:
    """Return the ending of each output by name, of OPERATIONS, or NEITHER; of a single output by SINGLE.

    `forward`: the model's traced call. `x`, `outputs`: some examples and what the model gives for them, (n, ...) or a
    mapping from names to such; a model of other outputs has no endings.
    """
    named = by_name(outputs)
    last = forward.graph.structured_outputs if isinstance(outputs, Mapping) else {SINGLE: forward.outputs[0]}
    return {name: OPERATIONS.get(_last_operation(last[name]), "") or _by_values(model, x, values, name)
            for name, values in named.items()}


def by_name(outputs: Any) -> dict[str, Any]:
    """Return the tensors of outputs or targets by name, a single one by SINGLE; {} for lists and the like."""
    named = dict(outputs) if isinstance(outputs, Mapping) else {SINGLE: outputs}
    return named if all(map(tf.is_tensor, named.values())) else {}


def _last_operation(tensor: Any) -> str:
    """The kind of the operation that made a tensor of a graph, other than changes of type and shape."""
    operation = tensor.op
    while operation.type in UNCHANGING and operation.inputs:
        operation = operation.inputs[0].op
    if operation.type == "Neg" and operation.inputs[0].op.type == "Softplus":
        return "LogSigmoid"  # log s(z) = -log(1 + exp(-z))
    return str(operation.type)


def _by_values(model: keras.Model, x: Any, outputs: Any, name: str) -> str:
    values = np.asarray(outputs, np.float64)
    if values.ndim > 1 and values.shape[-1] > 1:
        if _sum_to_one(values):
            return "softmax"
        if (values <= 0).all() and _sum_to_one(np.exp(values)):
            return "log-softmax"
    return "sigmoid" if name == SINGLE and _within(values) and _stays_within(model, x) else NEITHER


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
    if not (tf.is_tensor(outputs) and tf.is_tensor(targets)):
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
