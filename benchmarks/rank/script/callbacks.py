"""What of a call of `fit` a run does otherwise or not at all, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from ...errors import PlanError
from .running import Fit

OWN_LOOPS = ("train_step", "test_step", "compute_loss", "make_train_function", "fit")
AS_IT_IS = ("History", "ProgbarLogger", "TerminateOnNaN")  # a run keeps curves, shows progress and ends on NaN
# Arguments of fit that change what is trained, with the value that changes nothing, and what a run does.
OTHERWISE = (
    ("shuffle", True, "shuffle={value!r}: a run gives every epoch a new order of its examples"),
    ("initial_epoch", 0, "initial_epoch={value}: a run begins with epoch 0"),
    ("validation_freq", 1, "validation_freq={value}: a run evaluates as it does for every model"),
)


def own_loops(model: keras.Model) -> list[str]:
    """Return the methods by which a model trains in a way of its own, which a run does not call."""
    return [name for name in OWN_LOOPS
            if name in vars(model) or getattr(type(model), name, None) is not getattr(keras.Model, name, None)]


def check(fit: Fit) -> None:
    """Refuse a training loop of the model's own. Raises PlanError."""
    if own := own_loops(fit.model):
        raise PlanError(f"script {fit.call.path!r} fits a {type(fit.model).__name__} with its own {', '.join(own)}, "
                        "which a run does not call: it takes the gradient of the loss that compile was given, for one "
                        "optimizer. Several optimizers, as of a GAN, cannot be taken over; write anything else as a "
                        "loss of compile, or as layers with add_loss.")


def notes(fit: Fit) -> Iterator[str]:
    """Yield a sentence for each callback and each argument that is not taken over."""
    for name in dict.fromkeys(map(_named, _listed(fit.arguments["callbacks"]))):
        if name not in AS_IT_IS:
            yield f"callback {name}"
    for name, usual, sentence in OTHERWISE:
        value = fit.arguments[name]
        if value != usual and not (name == "shuffle" and not _in_arrays(fit.arguments["x"])):
            yield sentence.format(value=value)
    if fit.arguments["steps_per_epoch"] and _in_arrays(fit.arguments["x"]):
        yield f"steps_per_epoch={fit.arguments['steps_per_epoch']}: an epoch of a run is all examples"


def _in_arrays(x: Any) -> bool:
    return all(hasattr(part, "shape") for part in keras.tree.flatten(x))


def _listed(callbacks: Any) -> list[Any]:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []


def _named(callback: Any) -> str:
    return type(callback).__name__
