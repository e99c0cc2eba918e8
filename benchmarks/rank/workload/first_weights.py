"""Which of a new model's weights come from elsewhere than its seed: from a file, constants, a seed of their own.

Known of what Keras' initializers drew, as long as it was not assigned since; a model with anything else in it, such as
weights that were loaded, is built once more from another seed and compared, which takes as long as building it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[Any]
INITIALIZERS = frozenset(value for value in vars(keras.initializers).values() if isinstance(value, type))


@dataclass(frozen=True)
class Origin:
    """Holds what a variable began with. `variable`: itself, so that no other takes its id. `value`: what its
    initializer gave. `seed`: of a generator's state, None where the model's seed gave it.
    """

    variable: Any
    initializer: Any = None
    value: Any = None
    seed: Any = None


Origins = Mapping[int, Origin]


def built(build: Callable[..., keras.Model], own: bool) -> tuple[keras.Model, list[Array] | None]:
    """Return the model that `build` makes of seed 0, and which of its first values another seed leaves as they are;
    None where it is not a user's `own`."""
    if not own:
        return build(seed=0), None
    with noted() as origins:
        model = build(seed=0)
    return model, fixed(model, origins, lambda: build(seed=1))


@contextmanager
def noted() -> Iterator[Origins]:
    """Note the origin of every variable that is made meanwhile, by its id."""
    found: dict[int, Origin] = {}
    variable, generator = keras.Variable.__init__, keras.random.SeedGenerator.__init__

    def begin_variable(self: Any, initializer: Any, *given: Any, **named: Any) -> None:
        variable(self, initializer, *given, **named)
        try:
            with tf.init_scope():
                found[id(self)] = Origin(self, initializer, self.value.numpy())
        except Exception:  # not made yet, or of a strategy or graph of the user's; another model tells
            found.pop(id(self), None)

    def begin_generator(self: Any, seed: Any = None, *given: Any, **named: Any) -> None:
        generator(self, seed, *given, **named)
        found[id(self.state)] = Origin(self.state, seed=seed)

    keras.Variable.__init__, keras.random.SeedGenerator.__init__ = begin_variable, begin_generator
    try:
        yield found
    finally:
        keras.Variable.__init__, keras.random.SeedGenerator.__init__ = variable, generator


def fixed(model: keras.Model, origins: Origins, again: Callable[[], keras.Model]) -> list[Array]:
    """Return the first values of the variables that do not depend on the seed. `again` builds from another seed."""
    values = [np.asarray(variable.value) for variable in model.variables]
    drawn = []
    for variable, value in zip(model.variables, values):
        origin = origins.get(id(variable))
        told = None if origin is None else _is_drawn(origin, value)
        if told is None:
            return _equal(values, [np.asarray(other.value) for other in again().variables])
        drawn.append(told)
    return [value for value, from_seed in zip(values, drawn) if not from_seed]


def _equal(values: list[Array], others: list[Array]) -> list[Array]:
    return [value for value, other in zip(values, others)
            if value.shape == other.shape and value.tobytes() == other.tobytes()]


def _is_drawn(origin: Origin, value: Array) -> bool | None:
    """Whether the model's seed gave this value; None where that cannot be told without another model."""
    if origin.initializer is None:
        return origin.seed is None
    if type(origin.initializer) not in INITIALIZERS or not np.array_equal(origin.value, value):
        return None
    seed = origin.initializer.get_config().get("seed")
    if not isinstance(seed, (int, type(None))):
        return None  # a generator, which gives other values at each call
    return seed is None and hasattr(origin.initializer, "seed")
