"""How the arrays of a script's fit travel: by names through feeds, and as Keras has them where its loss takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ...data.arrays import Arrays
from ...errors import DataError


@dataclass(frozen=True)
class Packing:
    """The structure of the inputs' names, of the targets, and of the weights of examples; None where there are none.

    `inputs`: names in the order of the arrays, empty where there is one array.
    """

    inputs: tuple[str, ...]
    targets: Any
    weights: Any

    @classmethod
    def of(cls, model: keras.Model, given: Any, path: str) -> Packing:
        """Return the packing of what a fit was given. Raises DataError for inputs whose names are not known."""
        x, y, weights = given
        return cls(_names(model, x, path), _structure(y), None if weights is None else _structure(weights))

    @property
    def single(self) -> bool:
        """Whether the targets are one array without weights, which travels as it is."""
        return self.weights is None and self.targets == 0

    def unpacked(self, targets: Any) -> tuple[Any, Any]:
        """Return targets and weights as Keras' loss takes them; weights are None where there are none."""
        if self.single:
            return targets, None
        count = len(keras.tree.flatten(self.targets))
        values = [targets[name] for name in sorted(targets)]
        y = keras.tree.pack_sequence_as(self.targets, values[:count])
        return y, None if self.weights is None else keras.tree.pack_sequence_as(self.weights, values[count:])


def _structure(values: Any) -> Any:
    """The structure with numbers for its arrays; 0 of a single array."""
    return keras.tree.pack_sequence_as(values, list(range(len(keras.tree.flatten(values)))))


def _names(model: keras.Model, x: Any, path: str) -> tuple[str, ...]:
    if not keras.tree.is_nested(x):
        return ()
    if isinstance(x, Mapping) and all(isinstance(name, str) and not keras.tree.is_nested(x[name]) for name in x):
        return tuple(x)
    inputs = getattr(model, "inputs", None)
    flat = keras.tree.flatten(x)
    if inputs is None or len(inputs) != len(flat) or isinstance(x, Mapping):
        raise DataError(f"script {path!r} gives fit {len(flat)} inputs as a {type(x).__name__}; a model that is no "
                        "functional one takes several inputs as a dictionary, {'name': array, ...}.")
    return tuple(_layer_name(tensor) for tensor in inputs)


def name_as_layers(model: keras.Model) -> None:
    """Give the inputs of a functional model the names of their layers, by which a run hands them over: Keras looks for
    both names, and `Input()` without one makes two."""
    for tensor in getattr(model, "inputs", None) or ():
        tensor.name = _layer_name(tensor)


def _layer_name(tensor: Any) -> str:
    return str(tensor._keras_history.operation.name)


def pack(packing: Packing, given: Any) -> tuple[Arrays, Arrays]:
    """Return inputs and targets of a part as arrays or mappings of arrays. A part without weights has ones."""
    x, y, weights = given
    inputs = x if not packing.inputs else {name: array for name, array in zip(packing.inputs, (
        [x[name] for name in packing.inputs] if isinstance(x, Mapping) else keras.tree.flatten(x)))}
    flat = keras.tree.flatten(y)
    if packing.single:
        return inputs, flat[0]
    if packing.weights is not None:
        flat += _weights(packing, len(flat[0]), weights)
    return inputs, {f"{place:03d}": array for place, array in enumerate(flat)}


def _weights(packing: Packing, count: int, weights: Any) -> list[Any]:
    if weights is not None:
        return [np.asarray(array) for array in keras.tree.flatten(weights)]
    return [np.ones(count, np.float32) for _ in keras.tree.flatten(packing.weights)]
