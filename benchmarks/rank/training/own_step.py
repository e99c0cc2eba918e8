"""A model's own `train_step` or `compute_loss`: its gradient, taken before its optimizer would apply it.

The step runs as it is written, but with an optimizer that keeps what it is told to apply: that gradient is averaged
over replicas and applied as every other is. What the step assigns to variables, statistics and random states, is
assigned to this replica's copies; its metrics are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src.losses import loss as keras_losses

from ...data.arrays import leaves
from ...errors import BatchscaleError, frames, PlanError, said
from ..script.callbacks import own
from ..script.packing import Packing
from ..script.stand_ins import replaced


class OwnStep:
    """The training step of a script's model, as a gradient."""

    def __init__(self, model: keras.Model, packing: Packing, path: str) -> None:
        self._model, self._packing, self._path = model, packing, path

    def gradients(self, x: Any, y: Any, scale: Any = None, share: float = 1.0) -> tuple[Any, list[Any]]:
        """Return the loss that the step tells, or 0, and its gradient for each trainable weight, None where there is
        none.

        `scale`: what its `scale_loss` multiplies by, and `share`: what the gradient counts for against that of other
        replicas. Raises PlanError where the step applies no gradient, or several.
        """
        kept = _Kept(self._model.optimizer, scale, self._path)
        told, scope = self._run("train_step", x, y, kept)
        for variable in self._model.non_trainable_variables:
            value = scope.get_current_value(variable)
            if value is not None:
                held = variable.value
                tf.raw_ops.AssignVariableOp(resource=held.handle, value=tf.cast(value, held.dtype))
        by_variable = kept.by_variable()
        found = [by_variable.get(id(variable)) for variable in self._model.trainable_variables]
        loss = _loss(told)
        return tf.zeros([], keras.backend.floatx()) if loss is None else loss, \
            [None if one is None else share * kept.unscaled(one) for one in found]

    @property
    def teller(self) -> str:
        """The step that tells the loss of examples: the model's own test_step, else its train_step."""
        return "test_step" if own(self._model, ("test_step",)) else "train_step"

    def told(self, x: Any, y: Any) -> Any:
        """Return the loss that the teller tells of these examples, for each of them, (n,); nothing is changed by it.
        Raises PlanError where it tells none."""
        found = _loss(self._run(self.teller, x, y, _Kept(self._model.optimizer, None, self._path))[0])
        if found is None:
            raise PlanError(f"script {self._path!r}: its compile has no loss on targets, and its {self.teller} tells "
                            "none, so that nothing would judge a run. Let it return {'loss': loss}.")
        return tf.broadcast_to(found, tf.shape(leaves(y)[0])[:1])

    def _run(self, step: str, x: Any, y: Any, optimizer: Any) -> tuple[Any, Any]:
        """What a step of the model's own returns, and the scope that has the values it would assign."""
        with _for_one(self._model, optimizer), keras.StatelessScope(collect_losses=True) as scope:
            # Keras asks the scope for the weights that it regularizes, and a tape for those that can be assigned to.
            scope.state_mapping.update({id(one): one.value for one in self._model.trainable_variables})
            try:
                return getattr(self._model, step)(self._packing.step_data(x, y)), scope
            except BatchscaleError:
                raise
            except Exception as error:  # of the user's code
                raise PlanError(f"script {self._path!r}: {step} {said(error)}.{frames(error)}") from error


def _loss(told: Any) -> Any:
    """The loss among what a step returns: that of this name, or the only one; None without any."""
    found = dict(told) if isinstance(told, Mapping) else {}
    loss = found.get("loss", next(iter(found.values())) if len(found) == 1 else None)
    return None if loss is None else tf.reduce_mean(tf.cast(loss, keras.backend.floatx()))


class _Kept:
    """Stands for the model's optimizer and keeps the gradient that it is given, once."""

    def __init__(self, optimizer: Any, scale: Any, path: str) -> None:
        self._optimizer, self._scale, self._path, self._scaled = optimizer, scale, path, False
        self._pairs: list[tuple[Any, Any]] | None = None

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Keep the gradient in place of applying it."""
        if trainable_variables is None:
            raise self._refused("applies a gradient without saying of which weights",
                                "Give apply the trainable_variables")
        if self._pairs is not None:
            raise self._refused("applies a gradient more than once", "A run makes one update a step")
        self._pairs = list(zip(grads, trainable_variables, strict=True))

    def apply_gradients(self, grads_and_vars: Any, **_: Any) -> None:
        """Keep the gradient in place of applying it."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss, scaled as the run scales it for float16."""
        self._scaled = self._scale is not None
        return loss if self._scale is None else loss * tf.cast(self._scale, loss.dtype)

    def unscaled(self, gradient: Any) -> Any:
        """Return a gradient of the loss without its scale."""
        found = tf.convert_to_tensor(gradient)
        return found / tf.cast(self._scale, found.dtype) if self._scaled else found

    def by_variable(self) -> dict[int, Any]:
        """Return the gradient by the identity of the weight. Raises PlanError where there is none."""
        if self._pairs is None:
            raise self._refused("applies no gradient by the optimizer of compile",
                                "Apply one by self.optimizer.apply(gradients, self.trainable_variables)")
        return {id(variable): gradient for gradient, variable in self._pairs}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def _refused(self, what: str, fix: str) -> PlanError:
        return PlanError(f"script {self._path!r}: its train_step {what}, and a run averages the gradient of one update "
                         f"over replicas. {fix}.")


@contextmanager
def _for_one(model: keras.Model, stand_in: Any) -> Iterator[None]:
    """Let the model find the stand-in as its optimizer meanwhile, and its losses be those of one replica: under
    tf.distribute Keras divides them by the replicas, whose gradients it adds up."""
    before = model.__dict__["optimizer"]
    model.__dict__["optimizer"] = stand_in
    try:
        with replaced([(keras_losses, name, lambda value: value)
                       for name in ("scale_loss_for_distribution", "unscale_loss_for_distribution")]):
            yield
    finally:
        model.__dict__["optimizer"] = before
