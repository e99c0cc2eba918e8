"""What a user's model or data says and a run would not do: each is refused with the fix, none dropped in silence.

Raises PlanError.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ...config.script import is_script
from ...data.arrays import Arrays, by_name
from ...errors import PlanError
from ...runs.run_config import RunConfig
from ..script.callbacks import own, OWN_LOOPS, OWN_STEPS
from .endings import UNCHANGING

INTO_RANGE = frozenset(("SelectV2", "Select", "AddV2", "Maximum", "Minimum", "ClipByValue", "FloorMod"))
LOOKUPS = frozenset(("ResourceGather", "GatherV2", "Gather"))


def check_model(config: RunConfig, model: keras.Model) -> None:
    """Refuse a training loop of the model's own, and what `compile` set where it is not a script's."""
    if found := own(model, (*OWN_STEPS, "test_step", *OWN_LOOPS)) if not is_script(config.model) else ():
        raise PlanError(f"model {config.model!r} defines its own {', '.join(found)}, which a run does not call: it "
                        "takes the gradient of the plan's loss and updates by the plan's optimizer. Write what it does "
                        "as a loss, loss = module:function, or as layers with add_loss, and leave the method out.")
    if getattr(model, "compiled", False) and not is_script(config.model):
        raise PlanError(f"model {config.model!r} is compiled ({_compiled(model)}), and a run trains by the plan's "
                        "optimizer, loss and metrics alone. Leave model.compile out, and write optimizer, loss and "
                        "metrics in the plan.")


def _compiled(model: keras.Model) -> str:
    optimizer = getattr(model, "optimizer", None)
    loss = getattr(model, "loss", None)
    said = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", None)
    return ", ".join(part for part in (f"optimizer {type(optimizer).__name__}" if optimizer is not None else "",
                                       f"loss {said}" if said else "") if part) or "without settings"


def check_tokens(config: RunConfig, forward: Any, x: Arrays) -> None:
    """Refuse fractions that the model looks up as tokens, which become whole by being cut off: uint8 ids, say.

    `forward`: the model's traced call. x: some examples, as the model is given them.
    """
    if not any(_looks_up_fractions(operation) for operation in forward.graph.get_operations()):
        return
    for what, values in by_name(x, "x_train"):
        if np.issubdtype(values.dtype, np.floating) and (values != np.round(values)).any():
            raise PlanError(f"model {config.model!r} looks up {what} of {config.dataset!r} as tokens, which are "
                            f"fractions from {values.min():.3g} to {values.max():.3g}, which would be cut off to whole "
                            "numbers. Arrays of uint8 are taken for pictures and divided by 255: give token ids as "
                            "x.astype('int32').")


def _looks_up_fractions(operation: Any) -> bool:
    if operation.type not in LOOKUPS or len(operation.inputs) < 2:
        return False
    return any(tensor.op.type == "Placeholder" and tensor.dtype.is_floating for tensor in _behind(operation.inputs[1]))


def _behind(tensor: Any) -> list[Any]:
    """The tensor and those that it is made of by changes of type and shape, and by bringing indices into range."""
    found, waiting = [tensor], [tensor]
    while waiting:
        operation = waiting.pop().op
        if operation.type in UNCHANGING or operation.type in INTO_RANGE:
            new = [source for source in operation.inputs if all(source is not other for other in found)]
            found += new
            waiting += new
    return found
