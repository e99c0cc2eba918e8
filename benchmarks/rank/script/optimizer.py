"""The optimizer that a script gave to `compile`, as a configuration names it, and its schedule of rates."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ...config.optimizers import keras_name, KERAS_RATES
from ...errors import PlanError
from ...text import listed

NOT_ARGUMENTS = ("name", "learning_rate")
LINEAR = ("SGD", "Lion")  # whose state is moved by the sum of a batch's gradients, however it is summed up
CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")
PLAIN = (bool, int, float, str, type(None))


def inner(optimizer: Any) -> Any:
    """Return the optimizer within a LossScaleOptimizer, whose scaling a run does itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def name_of(model: keras.Model, reference: str, moved: bool = False) -> tuple[str, float]:
    """Return the optimizer's name in a configuration, and its momentum: the suite's own where its update is the same,
    else one of Keras' with its arguments, else the script itself, `reference`, for a class of the user's. `moved`:
    whether a callback may change the rate."""
    optimizer = inner(model.optimizer)
    kind, arguments = type(optimizer), _arguments(optimizer)
    if getattr(keras.optimizers, kind.__name__, None) is not kind or kind.__name__ not in KERAS_RATES \
            or not all(isinstance(value, PLAIN) for value in arguments.values()) or _excludes(optimizer):
        return reference, 0.0
    constrained = any(variable.constraint is not None for variable in model.trainable_variables)
    momentum = arguments.get("momentum", 0.0)
    # The suite rescales velocities where the rate changes.
    moving = momentum and (moved or schedule(optimizer) is not None)
    if not constrained and not moving and kind.__name__ == "SGD" and set(arguments) <= {"momentum", "nesterov"}:
        own = "sgd" if not momentum else "nesterov" if arguments.get("nesterov") else "momentum"
        return own, float(momentum) or 0.9
    if not constrained and kind.__name__ == "Adam" and not arguments and keras.backend.floatx() != "float64":
        return "adam", 0.9  # whose betas Keras rounds to float32, which float64 would see
    return keras_name(kind.__name__, arguments), 0.9


def _arguments(optimizer: Any) -> dict[str, Any]:
    """What the optimizer was made with beside Keras' defaults."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(type(optimizer)).parameters.items()}
    try:
        config = optimizer.get_config()
    except Exception:  # of a class of the user's that does not say
        return {}
    return {name: value for name, value in config.items()
            if name not in NOT_ARGUMENTS and name in defaults and value != defaults[name]
            and not (name == "weight_decay" and not value and not defaults[name])}


def _excludes(optimizer: Any) -> bool:
    """Whether weights are excluded from decay, which no argument says."""
    return bool(getattr(optimizer, "_exclude_from_weight_decay", None)
                or getattr(optimizer, "_exclude_from_weight_decay_pattern", None))


def of_repeated_tokens(model: keras.Model) -> list[str]:
    """Return, in a sentence, what Keras' update of embeddings is otherwise than the published one, which a run makes;
    none where both are the same. Keras under TensorFlow hands an optimizer the gradient of each occurrence of a token,
    and it squares or clips these before they are added up."""
    optimizer = inner(model.optimizer)
    layers = [layer.name for layer in model._flatten_layers()
              if isinstance(layer, keras.layers.Embedding) and layer.trainable]
    clips = any(getattr(optimizer, name, None) is not None for name in CLIPPING)
    if not layers or type(optimizer).__name__ in LINEAR and not clips:
        return []
    return [f"how Keras updates {listed(layers)} by {type(optimizer).__name__}: of a token that a batch has several "
            "times it squares or clips the gradient of each occurrence by itself, and a run adds them up first, as the "
            "update is published"]


def check(model: keras.Model, path: str) -> None:
    """Refuse what an update of a run cannot do. Raises PlanError."""
    optimizer = inner(getattr(model, "optimizer", None))
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise PlanError(f"script {path!r} calls fit of a model that compile gave no Keras optimizer "
                        f"({type(optimizer).__name__}); give it one.")
    if "horovod" in type(optimizer).__module__ or hasattr(optimizer, "_hvd"):
        raise PlanError(f"script {path!r} wraps its optimizer by Horovod, and a run averages gradients itself: give "
                        "compile the optimizer alone, and the plan strategies = [\"horovod\"].")


def schedule(optimizer: Any) -> Any:
    """Return the schedule of rates that an optimizer was given, a function of the step; None for a fixed rate."""
    rate = getattr(inner(optimizer), "_learning_rate", None)
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def scheduled(of: Any, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the schedule's rates at these steps of the script, float64, which may lie between whole steps."""
    rates = tf.function(lambda given: tf.map_fn(lambda step: tf.cast(of(step), tf.float64), given,
                                                fn_output_signature=tf.float64), autograph=False)
    return np.asarray(rates(tf.constant(steps, tf.float32)))


def highest_rate(optimizer: Any, steps: int) -> float:
    """Return the fixed rate, or the highest of the schedule's first `steps`."""
    of = schedule(optimizer)
    highest = inner(optimizer).learning_rate if of is None else \
        scheduled(of, np.linspace(0, max(steps - 1, 0), min(max(steps, 1), 512)).round()).max()
    return float(str(np.float32(highest)))  # the number that was written, 0.001 say
