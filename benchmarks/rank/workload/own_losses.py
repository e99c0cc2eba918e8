"""Whether a user's loss takes what each output of the model ends in: logits, or probabilities.

A loss of the user's is opaque, so its values are set beside those of Keras' cross-entropies, with from_logits as it
should be and as it should not. What an output adds to the loss shows when that output alone comes from other examples;
a factor of each example, as class weights and sample weights are, is divided out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...data.arrays import each
from ...errors import PlanError
from ..training.losses import Function
from . import endings

SHIFTS = 3  # of the inputs against their targets: by no example, by one, by two
TOLERANCE = 1e-4
FIT, CLEARLY = 1e-3, 50.0  # misfit of what counts as equal, in parts of its size; how many times worse the other way is
SMALLEST = 1e-5  # change of a loss from one example's output to another's that can be told from rounding

Values = npt.NDArray[np.float64]
Traced = Callable[[str, Callable[[], Any]], Any]


def check(what: str, ends: Mapping[str, str], loss: Function, model: keras.Model, x: Any, y: Any,
          traced: Traced) -> None:
    """Raise PlanError where a cross-entropy of Keras in a user's loss takes another ending than the output's.

    what: the loss in messages. `ends`: how each output of the model ends, by name. x, y: SHIFTS examples. `traced` runs
    a function as ranks do, where Keras looks through a softmax in the graph. What is none of Keras' is let be.
    """
    same = each(lambda values: tf.concat([values] * SHIFTS, axis=0), y)
    seen, outputs = traced(what, lambda: _parts(loss, model, x, same, list(ends)))
    for output, ending in ends.items():
        for targets in _targets_of(output, same) if ending not in endings.LOGARITHMS else ():
            if name := _unfit(seen[output], targets, outputs[output], ending in endings.PROBABILITIES):
                raise PlanError(_sentence(what, name, output, ending))


def _parts(loss: Function, model: keras.Model, x: Any, same: Any, names: list[str]) -> tuple[Any, Any]:
    """The loss of each example by the output that is shifted, (SHIFTS n,), with the shifted outputs."""
    shifted = model(each(_shifted, x), training=False)
    named = endings.by_name(shifted)
    straight = endings.by_name(model(each(lambda values: tf.concat([values] * SHIFTS, axis=0), x), training=False)) \
        if len(names) > 1 else named
    losses = {name: loss(same, {**straight, name: named[name]} if isinstance(shifted, Mapping) else shifted)
              for name in names}
    return losses, {name: tf.cast(named[name], tf.float32) for name in names}


def _shifted(values: Any) -> Any:
    return tf.concat([tf.roll(values, shift, axis=0) for shift in range(SHIFTS)], axis=0)


def _targets_of(output: str, targets: Any) -> Iterator[Any]:
    """The targets of an output: those of its name, or the only ones; each of several where there is one output."""
    named = endings.by_name(targets)
    if output in named:
        yield named[output]
    elif output == endings.SINGLE:
        yield from named.values()


def _unfit(seen: Any, targets: Any, outputs: Any, probable: bool) -> str:
    """The cross-entropy of Keras that the loss is with from_logits the wrong way, and not the right one; "" if none."""
    right, wrong = (_keras_values(targets, outputs, from_logits) for from_logits in (not probable, probable))
    values = np.asarray(seen, np.float64)
    for name, unfit in wrong.items():
        fit = right.get(name)
        if _same(values, unfit) and not (fit is not None and _same(values, fit)):
            return name
        if fit is not None and _misfit(values, unfit) < min(FIT, _misfit(values, fit) / CLEARLY):
            return name
    return ""


def _same(seen: Values, other: Values) -> bool:
    return seen.shape == other.shape and bool(np.allclose(seen, other, rtol=TOLERANCE, atol=1e-6))


def _misfit(seen: Values, other: Values) -> float:
    """How far what an output adds to the loss of each example is from a multiple of the other loss, in parts of its
    size; infinite where it adds too little to tell."""
    if seen.shape != other.shape or len(seen) % SHIFTS:
        return np.inf
    ours, theirs = (np.diff(values.reshape(SHIFTS, -1), axis=0) for values in (seen, other))
    sizes = np.square(theirs).sum(axis=0)
    if np.abs(ours).max(axis=0).min() < SMALLEST or sizes.min() < SMALLEST**2:
        return np.inf
    weights = (ours * theirs).sum(axis=0) / sizes
    return float(np.abs(ours - weights * theirs).max() / np.abs(ours).max()) if (weights > 0).all() else np.inf


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


def _sentence(what: str, name: str, output: str, ending: str) -> str:
    probable = bool(ending)
    ends, takes = (f"a {ending}", "logits") if probable else ("logits", "probabilities")
    part = f", of output {output!r}," if output else ""
    return (f"{what}{part} is Keras' {name} with from_logits={probable}, which takes {takes}, and the model ends in "
            f"{ends}. Give it from_logits={not probable}, or let the model end in {takes}.")
