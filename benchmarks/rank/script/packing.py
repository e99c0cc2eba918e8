"""How the arrays of a script's fit travel: by names through feeds, and as Keras has them where its model and its loss
take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ...data.arrays import Arrays
from . import texts

SINGLE = ""  # the name of inputs that are one array


@dataclass(frozen=True)
class Packing:
    """The structure of the inputs' names, of the targets, and of the weights of examples; None where there are none.

    `inputs`: names in the order of the arrays, empty where there is one array. `given`: the structure in which the
    model takes them, None where that is by these names. `texts`: the names of those that are texts.
    """

    inputs: tuple[str, ...]
    targets: Any
    weights: Any
    given: Any = None
    texts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: keras.Model, given: Any) -> Packing:
        """Return the packing of what a fit was given."""
        x, y, weights = given
        names, structure = _names(model, x)
        texts_of = (name for name, array in zip(names or (SINGLE,), _flat(names, x)) if texts.are(array))
        return cls(names, None if y is None else _structure(y), None if weights is None else _structure(weights),
                   structure, frozenset(texts_of))

    @property
    def single(self) -> bool:
        """Whether the targets are one array without weights, which travels as it is."""
        return self.weights is None and self.targets == 0

    def unpacked(self, targets: Any) -> tuple[Any, Any]:
        """Return targets and weights as Keras' loss takes them; None where there are none."""
        if self.targets is None:
            return None, None
        if self.single:
            return targets, None
        count = len(keras.tree.flatten(self.targets))
        values = [targets[name] for name in sorted(targets)]
        y = keras.tree.pack_sequence_as(self.targets, values[:count])
        return y, None if self.weights is None else keras.tree.pack_sequence_as(self.weights, values[count:])

    def step_data(self, x: Any, y: Any) -> Any:
        """Return what fit would give to a train_step."""
        targets, weights = self.unpacked(y)
        return keras.utils.pack_x_y_sample_weight(self.as_given(x), targets, weights)

    def as_given(self, x: Any) -> Any:
        """Return inputs as the model takes them; those that did not travel, as a train_step gives them, as they are."""
        if not self.inputs:
            return self._text(SINGLE, x)
        if not isinstance(x, Mapping) or set(x) != set(self.inputs):
            return x
        found = {name: self._text(name, x[name]) for name in self.inputs}
        return found if self.given is None else keras.tree.pack_sequence_as(self.given, list(found.values()))

    def _text(self, name: str, values: Any) -> Any:
        travelled = name in self.texts and getattr(values, "dtype", None) == texts.TYPE
        return texts.decoded(values) if travelled else values

    def let_take(self, model: keras.Model) -> None:
        """Let the model be called with inputs as they travel, where its own code takes them otherwise."""
        if self.given is None and not self.texts:
            return
        kind = type(model)

        def call(self_: Any, x: Any, *given: Any, **named: Any) -> Any:
            return kind.__call__(self_, self.as_given(x), *given, **named)
        names = {"__call__": call, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        object.__setattr__(model, "__class__", type(kind.__name__, (kind,), names))  # Python looks it up in the class


def _structure(values: Any) -> Any:
    """The structure with numbers for its arrays; 0 of a single array."""
    return keras.tree.pack_sequence_as(values, list(range(len(keras.tree.flatten(values)))))


def _names(model: keras.Model, x: Any) -> tuple[tuple[str, ...], Any]:
    """The names by which inputs travel, and the structure in which the model takes them, None of names."""
    if not keras.tree.is_nested(x):
        return (), None
    if isinstance(x, Mapping) and all(isinstance(name, str) and not keras.tree.is_nested(x[name]) for name in x):
        return tuple(x), None
    inputs, flat = getattr(model, "inputs", None) or (), keras.tree.flatten(x)
    layers = len(inputs) == len(flat) and all(hasattr(one, "_keras_history") for one in inputs)
    names = [_layer_name(tensor) for tensor in inputs] if layers and not isinstance(x, Mapping) else \
        [f"{place:03d}" for place in range(len(flat))]
    return tuple(names), _structure(x)


def name_as_layers(model: keras.Model) -> None:
    """Give the inputs of a functional model the names of their layers, by which a run hands them over: Keras looks for
    both names, and `Input()` without one makes two."""
    for tensor in getattr(model, "inputs", None) or ():
        if hasattr(tensor, "_keras_history"):  # which an attribute of the user's of this name has not
            tensor.name = _layer_name(tensor)


def _layer_name(tensor: Any) -> str:
    return str(tensor._keras_history.operation.name)


def pack(packing: Packing, given: Any) -> tuple[Arrays, Arrays]:
    """Return inputs and targets of a part as arrays or mappings of arrays. A part without weights has ones, and zeros
    stand for targets that there are not."""
    x, y, weights = given
    arrays = [texts.encoded(array) if name in packing.texts else array
              for name, array in zip(packing.inputs or (SINGLE,), _flat(packing.inputs, x))]
    inputs = dict(zip(packing.inputs, arrays)) if packing.inputs else arrays[0]
    if packing.targets is None:
        return inputs, np.zeros(len(arrays[0]), np.float32)
    flat = keras.tree.flatten(y)
    if packing.single:
        return inputs, flat[0]
    if packing.weights is not None:
        flat += _weights(packing, len(flat[0]), weights)
    return inputs, {f"{place:03d}": array for place, array in enumerate(flat)}


def _flat(names: tuple[str, ...], x: Any) -> list[Any]:
    """The arrays of inputs in the order of their names."""
    by_name = isinstance(x, Mapping) and set(names) == set(x)
    return [x[name] for name in names] if by_name else keras.tree.flatten(x)


def _weights(packing: Packing, count: int, weights: Any) -> list[Any]:
    if weights is not None:
        return [np.asarray(array) for array in keras.tree.flatten(weights)]
    return [np.ones(count, np.float32) for _ in keras.tree.flatten(packing.weights)]
