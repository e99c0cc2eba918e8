"""Any optimizer of Keras' inside the compiled loop: its own `apply`, with the averaged gradient and the step's rate.

Keras' own way under tf.distribute would sum gradients that are averaged already, and assign to variables of all
replicas from each. Here `apply` sees this replica's values in a stateless scope, and the new ones are assigned to this
replica's copies, as the suite's own updates are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from ...config import optimizers
from ...config.script import is_script
from ...data import import_function
from ...errors import frames, PlanError, said
from ...runs.run_config import RunConfig
from ..script.optimizer import inner
from . import optimizers as own_optimizers
from .optimizers import Optimizer

# Of Keras' class for TensorFlow, which assigns to its variables; the class below it works on any values.
FOR_TENSORFLOW = ("assign", "assign_add", "assign_sub", "_apply_weight_decay", "_backend_update_step")
_TENSORFLOW, _ANY = (next(kind for kind in keras.optimizers.Optimizer.__mro__ if name in vars(kind))
                     for name in ("_all_reduce_sum_gradients", "_backend_apply_gradients"))
REFUSED = {
    "use_ema": "evaluates an average of the weights, and a run evaluates the weights",
    "gradient_accumulation_steps": "takes several batches for an update; write the plan's accumulation instead",
    "loss_scale_factor": "divides gradients of a scaled loss, and a run scales float16 by itself",
}
NOT_TAKEN = {
    "MultiOptimizer": "has an optimizer for each group of layers, and a run sets one rate",
    # Its update keeps `momentum.value`, which under TensorFlow is the variable itself and has changed when it is used.
    "ScheduleFreeAdamW": "does not make the published update under TensorFlow (it reads a value after it changed it), "
                         "so that a run would train otherwise than fit does",
}
Make = Callable[[], Any]


def create(config: RunConfig, model: keras.Model) -> Optimizer:
    """Return the optimizer of a run on a model's weights; call inside the strategy's scope. Raises PlanError."""
    if ":" not in config.optimizer:
        return own_optimizers.create(config, [variable.value for variable in model.trainable_variables])
    if is_script(config.optimizer):
        own = inner(model.optimizer)
        return KerasOptimizer(own, model.trainable_variables, copies(own, f"the optimizer of {config.model!r}"))
    new = partial(make, config.optimizer)
    return KerasOptimizer(new(), model.trainable_variables, new)


def make(name: str) -> Any:
    """Return a new optimizer of Keras' by its name in a configuration, keras:NAME ... or module:function. Raises
    PlanError."""
    if optimizers.is_own(name):
        function = import_function(name, "optimizer", error=PlanError)
        return _made(f"optimizer {name!r}", function)
    words, arguments = optimizers.keras_call(name)
    kind = getattr(keras.optimizers, words, None)
    if kind is None:
        raise PlanError(f"optimizer={name!r}: Keras {keras.__version__} has no {words}.")
    return _made(f"optimizer {name!r}", lambda: kind(**arguments))


def _made(what: str, function: Make) -> Any:
    try:
        found = function()
    except (Exception, SystemExit) as error:
        raise PlanError(f"{what} {said(error)}.{frames(error)}") from error
    check(what, found)
    return found


def check(what: str, optimizer: Any) -> None:
    """Refuse what is no optimizer of Keras', and settings that a run's update cannot follow. Raises PlanError."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise PlanError(f"{what} is a {type(optimizer).__name__}; it must be a keras.optimizers.Optimizer.")
    if why := NOT_TAKEN.get(type(optimizer).__name__):
        raise PlanError(f"{what} is {type(optimizer).__name__}, which {why}; choose another.")
    for name, why in REFUSED.items():
        if getattr(optimizer, name, None):
            raise PlanError(f"{what} has {name}={getattr(optimizer, name)!r}, which {why}; leave it out.")


class KerasOptimizer(Optimizer):
    """An optimizer of Keras' on a model's weights; make it inside the strategy's scope.

    `fresh`: makes one like it, for the values with which its slots begin.
    """

    def __init__(self, optimizer: Any, variables: Sequence[Any], fresh: Make) -> None:
        super().__init__([variable.value for variable in variables], copies=0)
        self._keras, self._variables, self._fresh = optimizer, list(variables), fresh
        self._scope, self._rate = tf.distribute.get_strategy(), tf.constant(0.0)
        self._keras.build(self._variables)
        own = (self._keras._iterations, self._keras._learning_rate)
        self._kept = [variable for variable in self._keras.variables if all(variable is not one for one in own)]
        self._places = [place for place, variable in enumerate(self._keras.variables)
                        if any(variable is one for one in self._kept)]
        self._keras._learning_rate = lambda: self._rate  # whatever it was: rates are the run's
        self.slots = [[variable.value for variable in self._kept]]

    def reset(self) -> None:
        """Slots as in a new optimizer on the weights as they are."""
        with self._scope.scope():
            new = self._fresh()
            new.build(self._variables)
        for slot, place in zip(self.slots[0], self._places):
            slot.assign(new.variables[place].value)

    def apply(self, gradients: Sequence[Any], rate: Any, step: Any) -> None:
        """Make one update of this replica's weights and slots by Keras' `apply`."""
        changing = [*self._variables, *self._kept]
        counter = self._keras._iterations
        self._rate = tf.cast(rate, self.weights[0].dtype)
        values = [(variable, tf.convert_to_tensor(variable.value)) for variable in changing]
        values.append((counter, tf.cast(step, counter.dtype)))
        with _on_values(), keras.StatelessScope(state_mapping=values) as new:
            self._keras.apply(list(gradients))
            found = [new.get_current_value(variable) for variable in changing]
        for variable, value in zip(changing, found):
            held = variable.value
            tf.raw_ops.AssignVariableOp(resource=held.handle, value=tf.cast(value, held.dtype))


@contextmanager
def _on_values() -> Iterator[None]:
    """Let Keras' optimizers work on values rather than on TensorFlow's variables meanwhile; classes that override one
    of these methods go on to what is below."""
    before = {name: vars(_TENSORFLOW)[name] for name in (*FOR_TENSORFLOW, "_var_key")}
    by_variable = before["_var_key"]
    for name in FOR_TENSORFLOW:
        setattr(_TENSORFLOW, name, vars(_ANY)[name])
    _TENSORFLOW._var_key = lambda self, variable: by_variable(self, getattr(variable, "_value", variable))
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(_TENSORFLOW, name, method)


def copies(optimizer: Any, what: str) -> Make:
    """Return a function that makes optimizers like this one, with a fixed rate. Raises PlanError where its class says
    too little of itself."""
    def made(config: Any) -> Any:
        return type(optimizer).from_config(config)
    try:
        new = partial(made, {**optimizer.get_config(), "learning_rate": 0.0})
        new()
    except Exception as error:
        raise PlanError(f"{what} ({type(optimizer).__name__}) {said(error)} when it was made anew; give its class "
                        "get_config, with the arguments of its __init__.") from error
    return new
