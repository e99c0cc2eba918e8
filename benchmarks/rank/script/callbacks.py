"""What of a call of `fit` a run does otherwise or not at all, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ...errors import frames, PlanError, said
from ...text import counted
from .optimizer import highest_rate, schedule
from .running import Fit

Rates = Callable[[int], NDArray[np.float64]]
"""The rates of so many epochs, one for each."""

OWN_STEPS = ("train_step", "compute_loss")  # whose gradient a run takes
OWN_LOOPS = ("make_train_function", "fit", "train_on_batch")
AS_IT_IS = ("History", "ProgbarLogger", "TerminateOnNaN")  # a run keeps curves, shows progress and ends on NaN
FOLLOWED = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau)
MOVING = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)
# Arguments of fit that change what is trained, with the value that changes nothing, and what a run does.
OTHERWISE = (
    ("shuffle", True, "shuffle={value!r}: a run gives every epoch a new order of its examples"),
    ("initial_epoch", 0, "initial_epoch={value}: a run begins with epoch 0"),
    ("validation_freq", 1, "validation_freq={value}: a run evaluates as it does for every model"),
)


def own(model: keras.Model, names: tuple[str, ...]) -> list[str]:
    """Return which of these methods the model has of its own, in place of Keras'."""
    kinds = [kind for kind in (keras.Model, keras.Sequential) if isinstance(model, kind)]
    return [name for name in names if name in vars(model) or all(
        getattr(type(model), name, None) is not getattr(kind, name, None) for kind in kinds)]


def is_called(model: keras.Model) -> bool:
    """Return whether the model has a call, which one that is trained by its train_step alone may leave out."""
    return "call" in vars(model) or type(model).call is not keras.Model.call


def check(fit: Fit) -> None:
    """Refuse what makes several updates a step, and a training loop of the model's own. Raises PlanError."""
    who = f"script {fit.call.path!r} fits a {type(fit.model).__name__}"
    several = [name for name, value in vars(fit.model).items()
               if name != "optimizer" and isinstance(value, keras.optimizers.Optimizer)]
    if several:
        raise PlanError(f"{who} with {counted(len(several), 'optimizer')} beside that of compile "
                        f"({', '.join(sorted(several))}), as a GAN has: a run scales one learning rate with the batch "
                        "and makes one update a step. Study its parts one at a time, each with one optimizer.")
    if loops := own(fit.model, OWN_LOOPS):
        raise PlanError(f"{who} with its own {', '.join(loops)}, a training loop that a run does not call; write its "
                        "step as train_step, whose gradient a run takes, or its loss as one of compile.")


def followed(fit: Fit) -> tuple[Any, ...]:
    """Return the callbacks that a run follows as Keras means them."""
    return tuple(callback for callback in listed(fit.arguments["callbacks"])
                 if type(callback) in FOLLOWED and not _idle(callback, fit))


def _idle(callback: Any, fit: Fit) -> str:
    """Why Keras itself would not act on it; empty where it would."""
    watched, name = callback.monitor, _named(callback)
    validated = fit.arguments["validation_data"] is not None or fit.arguments["validation_split"]
    if watched.startswith("val_") and not validated:
        return f"callback {name} watches {watched}, and fit has no validation data: as in Keras it does nothing"
    if isinstance(callback, keras.callbacks.ReduceLROnPlateau) and schedule(fit.model.optimizer) is not None:
        return f"callback {name}: Keras lowers no rate that follows a schedule"
    return ""


def rates(fit: Fit) -> Rates | None:
    """Return the rates that a LearningRateScheduler sets; None without one, and where something else, too, moves the
    rate."""
    moving = [callback for callback in listed(fit.arguments["callbacks"]) if isinstance(callback, MOVING)]
    if len(moving) != 1 or type(moving[0]) is not MOVING[0] or schedule(fit.model.optimizer) is not None:
        return None
    of, first, own = moving[0].schedule, highest_rate(fit.model.optimizer, 1), int(fit.arguments["epochs"])

    def of_epochs(count: int) -> NDArray[np.float64]:
        found = [first]
        for epoch in range(count):
            try:
                found.append(float(_as_keras_asks(of, epoch, found[-1])))
            except Exception as error:
                if epoch < own:
                    raise PlanError(f"script {fit.call.path!r}: its LearningRateScheduler {said(error)} at epoch "
                                    f"{epoch}.{frames(error)}") from error
                found.append(found[-1])  # a list of the script's epochs, say
        return np.array(found[1:])
    return of_epochs


def _as_keras_asks(of: Callable[..., Any], epoch: int, rate: float) -> Any:
    try:
        return of(epoch, rate)
    except TypeError:
        return of(epoch)


def notes(fit: Fit) -> Iterator[str]:
    """Yield a sentence for each callback and each argument that is not taken over."""
    follows = rates(fit) is not None
    for callback in listed(fit.arguments["callbacks"]):
        if type(callback) in FOLLOWED:
            yield from filter(None, [_idle(callback, fit)])
        elif type(callback) is MOVING[0] and follows:
            continue
        elif (name := _named(callback)) not in AS_IT_IS:
            yield f"callback {name}"
    for name, usual, sentence in OTHERWISE:
        value = fit.arguments[name]
        if value != usual and not (name == "shuffle" and not in_arrays(fit.arguments["x"])):
            yield sentence.format(value=value)
    if fit.arguments["steps_per_epoch"] and in_arrays(fit.arguments["x"]):
        yield f"steps_per_epoch={fit.arguments['steps_per_epoch']}: an epoch of a run is all examples"


def in_arrays(x: Any) -> bool:
    """Return whether x is arrays, one or a structure of them."""
    return all(hasattr(part, "shape") for part in keras.tree.flatten(x))


def listed(callbacks: Any) -> list[Any]:
    """Return what fit is given as callbacks, one, several or none, as a list."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []


def _named(callback: Any) -> str:
    return type(callback).__name__
