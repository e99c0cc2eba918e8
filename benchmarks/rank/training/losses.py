"""Losses and metrics of single examples, as plain operations, and those that a user's own functions give.

A Keras Loss object would scale by 1 / R under tf.distribute; plain operations do not. Every function here takes
(targets, outputs) and gives one number per example, (n, ...); further axes, as of tokens (n, T), are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from ...config.objectives import ACCURACY, BINARY_CROSS_ENTROPY, CROSS_ENTROPY, LOSSES, metric_name
from ...data import import_function
from ...errors import PlanError
from ...runs.run_config import RunConfig

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Objective:
    """Loss that one configuration trains for, and metrics that its evaluations measure, by their names in records.

    `told`: a function of (inputs, targets) that gives the loss in evaluations, where no function of outputs does.
    """

    loss: Function
    metrics: Mapping[str, Function]
    told: Function | None = None


def objective(config: RunConfig) -> Objective:
    """Return the loss and metrics of a configuration. Raises PlanError when a user's function cannot be imported.

    Each is a function of (targets, outputs) that gives one number per example, (n,).
    """
    built_in = BUILT_IN if config.from_logits else {**BUILT_IN, **OF_PROBABILITIES}
    return Objective(_function(config.loss, "loss", built_in),
                     {metric_name(name): _function(name, "metrics", built_in) for name in config.metrics})


def _function(name: str, setting: str, functions: Mapping[str, Function]) -> Function:
    built_in = functions.get(name)
    own = built_in or import_function(name, setting, error=PlanError)
    what = f"{setting} {name!r}"

    def of_examples(targets: Any, outputs: Any) -> Any:
        if built_in:
            _check_single(what, targets, outputs)
        return per_example(what, own(targets, outputs))
    return of_examples


def per_example(what: str, values: Any) -> Any:
    """Return one number per example, (n,), with further axes averaged; `what` names the function in messages.

    Raises PlanError for a single number, for what is no tensor and for a type that is neither float nor bool.
    """
    try:
        values = tf.convert_to_tensor(values)
    except (TypeError, ValueError):
        raise PlanError(f"{what} returned {type(values).__name__}; it must return a tensor (examples,).") from None
    if values.dtype == tf.bool:
        values = tf.cast(values, tf.float32)
    if not values.dtype.is_floating:
        raise PlanError(f"{what} returned the type {values.dtype.name}; it must return a float type.")
    if not values.shape.rank:
        raise PlanError(f"{what} returned a single number; it must return one per example, (examples,): leave out the "
                        "mean over examples, which is taken here (of a loss object of Keras': reduction=None).")
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank))) if values.shape.rank > 1 else values


def _check_single(what: str, targets: Any, outputs: Any) -> None:
    if not (tf.is_tensor(targets) and tf.is_tensor(outputs)):
        said = [", ".join(value) if isinstance(value, Mapping) else "one" if tf.is_tensor(value)
                else type(value).__name__ for value in (targets, outputs)]
        raise PlanError(f"{what} takes one target and one output, not targets: {said[0]}; outputs: {said[1]}. Give a "
                        "function of your own, package.module:function, that takes both as they are.")


def _matched(name: str, targets: Any, outputs: Any) -> tuple[Any, Any]:
    """Both with the targets' shape and the outputs' type; a last axis of one is the same as none.

    Left to broadcasting, (n,) and (n, 1) would give (n, n). Raises PlanError where the shapes differ otherwise.
    """
    if outputs.shape.rank == targets.shape.rank + 1 and outputs.shape[-1] == 1:
        outputs = outputs[..., 0]
    elif targets.shape.rank == outputs.shape.rank + 1 and targets.shape[-1] == 1:
        targets = targets[..., 0]
    if targets.shape.as_list()[1:] != outputs.shape.as_list()[1:]:
        raise PlanError(f"{name!r} needs targets and outputs of the same shape, not {shown(targets)} and "
                        f"{shown(outputs)}; let the model end in {targets.shape[-1] if targets.shape.rank > 1 else 1} "
                        f"output(s) for each example{_one_hot(targets, outputs)}.")
    return tf.cast(targets, outputs.dtype), outputs


def _one_hot(targets: Any, outputs: Any) -> str:
    whole = targets.dtype.is_integer and outputs.shape.rank == targets.shape.rank + 1
    return f", or use loss = {CROSS_ENTROPY!r} for classes" if whole else ""


def shown(tensor: Any) -> str:
    """Return a tensor's shape and type for messages, such as (examples, 28, 28) int32."""
    sides = ["?" if side is None else str(side) for side in tensor.shape.as_list()[1:]]
    return f"({', '.join(['examples', *sides])}) {tensor.dtype.name}"


def cross_entropy(targets: Any, outputs: Any) -> Any:
    """Return -log softmax(outputs)[target], (n, ...); targets (n, ...) are classes, outputs (n, ..., classes) logits.

    Raises PlanError for targets that are no whole numbers, and for other shapes.
    """
    _check_labels(targets, outputs)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=outputs)


def cross_entropy_of_probabilities(targets: Any, outputs: Any) -> Any:
    """Return -log of the target's output, as Keras takes it from what a softmax gives; shapes and errors as of
    `cross_entropy`.

    Of a softmax in the same graph Keras takes the logits, so that nothing is lost where a probability is almost 0.
    """
    _check_labels(targets, outputs)
    return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=False)


def _check_labels(targets: Any, outputs: Any) -> None:
    """Raise PlanError unless they are classes, (n, ...), and one number for each class, (n, ..., classes)."""
    if not targets.dtype.is_integer or outputs.shape.rank != targets.shape.rank + 1 \
            or targets.shape.as_list()[1:] != outputs.shape.as_list()[1:-1]:
        raise PlanError(f"{CROSS_ENTROPY!r} takes {LOSSES[CROSS_ENTROPY]}; the targets are {shown(targets)} and the "
                        f"outputs {shown(outputs)}. {_instead(targets, outputs)}")


def _instead(targets: Any, outputs: Any) -> str:
    if targets.dtype.is_integer and outputs.shape.rank > targets.shape.rank + 1:
        return ("The model gives several rows of outputs for each target: before its last layer put "
                "keras.layers.Flatten(), or a pooling over all places such as GlobalAveragePooling2D().")
    return "For one-hot labels use y.argmax(axis=-1); for a regression choose loss = 'mean_squared_error'."


def binary_cross_entropy(targets: Any, outputs: Any) -> Any:
    """Return -y log s - (1 - y) log(1 - s), (n, ...), with y the target and s = sigmoid(output).

    A last axis of one is dropped where the other has none. Raises PlanError where the shapes differ otherwise.
    """
    targets, outputs = _matched(BINARY_CROSS_ENTROPY, targets, outputs)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=outputs)


def binary_cross_entropy_of_probabilities(targets: Any, outputs: Any) -> Any:
    """Return -y log p - (1 - y) log(1 - p) with p = output, as Keras takes it from what a sigmoid gives, in p's shape.

    The output stays the tensor that it is: Keras finds the logits of a sigmoid in the same graph by it. Raises
    PlanError where the shapes differ by more than a last axis of one.
    """
    matched, _ = _matched(BINARY_CROSS_ENTROPY, targets, outputs)
    return keras.ops.binary_crossentropy(tf.reshape(matched, tf.shape(outputs)), outputs, from_logits=False)


def squared_error(targets: Any, outputs: Any) -> Any:
    """Return (target - output)^2, (n, ...); a last axis of one is dropped where the other has none.

    Raises PlanError where the shapes differ otherwise.
    """
    targets, outputs = _matched("mean_squared_error", targets, outputs)
    return tf.square(targets - outputs)


def absolute_error(targets: Any, outputs: Any) -> Any:
    """Return |target - output|, (n, ...); a last axis of one is dropped where the other has none.

    Raises PlanError where the shapes differ otherwise.
    """
    targets, outputs = _matched("mean_absolute_error", targets, outputs)
    return tf.abs(targets - outputs)


def accuracy(targets: Any, outputs: Any) -> Any:
    """Return 1 where the largest logit is the target's, or where a single logit's sign is, else 0; float32, (n, ...).

    Raises PlanError for float targets with several logits, and for a single one where the shapes do not match.
    """
    if outputs.shape.rank == targets.shape.rank + 1 and outputs.shape[-1] != 1:
        if not targets.dtype.is_integer:
            raise PlanError(f"{ACCURACY!r} needs whole numbers as targets, not {shown(targets)}.")
        largest = tf.argmax(outputs, axis=-1)  # in 64 bits: of 32 GPUs compare none, and send them to the host
        return tf.cast(tf.equal(largest, tf.cast(targets, largest.dtype)), tf.float32)
    return _same_side(targets, outputs, 0.0)


def accuracy_of_probabilities(targets: Any, outputs: Any) -> Any:
    """Return 1 where the largest probability is the target's, or a single one is above 1/2 as the target is, else 0.

    Shapes, type and errors are those of `accuracy`.
    """
    if outputs.shape.rank == targets.shape.rank + 1 and outputs.shape[-1] != 1:
        return accuracy(targets, outputs)
    return _same_side(targets, outputs, 0.5)


def _same_side(targets: Any, outputs: Any, of: float) -> Any:
    targets, outputs = _matched(ACCURACY, targets, outputs)
    return tf.cast(tf.equal(outputs > of, targets > 0.5), tf.float32)


BUILT_IN: dict[str, Function] = {
    CROSS_ENTROPY: cross_entropy, BINARY_CROSS_ENTROPY: binary_cross_entropy,
    "mean_squared_error": squared_error, "mean_absolute_error": absolute_error, ACCURACY: accuracy,
}
OF_PROBABILITIES: dict[str, Function] = {
    CROSS_ENTROPY: cross_entropy_of_probabilities, BINARY_CROSS_ENTROPY: binary_cross_entropy_of_probabilities,
    ACCURACY: accuracy_of_probabilities,
}
