"""The loss and the metrics that a script gave to `compile`, one number per example, with Keras' own values.

Keras averages a loss over the batch; here every loss of `compile` is asked for its values without that reduction, with
loss weights and the weights of examples, so that replicas and evaluations can average rightly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...config.objectives import ACCURACY, LONGEST_NAME, metric_name
from ...config.script import PREFIX
from ...errors import frames, PlanError, said
from ...planning.scripts import rate_elsewhere
from ...runs.run_config import RunConfig
from ...text import listed
from ..script import taken
from ..script.callbacks import is_called, own, OWN_STEPS
from ..script.optimizer import highest_rate, schedule
from ..strategies.base import Strategy
from . import monitors
from .losses import Objective, per_example
from .monitors import Monitors
from .own_step import OwnStep

AVERAGING = ("sum_over_batch_size", "mean")
NOT_TAKEN = "not taken over from the script: {note}"
SAME = 1e-4  # of two ways to sum up a loss, in parts of it
OF_A_BATCH = ("its loss {names} gives one number for a batch, which is no mean over its examples: every replica takes "
              "it of its own part, as Keras does under tf.distribute, and evaluations of 2,048 examples at a time")
ACCURACIES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")


class Compiled:
    """Losses and metrics that `compile` was given, taken apart on some examples."""

    def __init__(self, given: taken.Model) -> None:
        """Build the losses and metrics on some examples. Raises PlanError for what is no mean over examples."""
        self.given, self._path, self._packing = given, given.path, given.packing
        model, path = given.keras, given.path
        self.names = {"loss": "loss"}  # what Keras calls a measurement -> its name in a record
        self.by_step = bool(own(model, OWN_STEPS)) and (
            given.packing.targets is None or getattr(model, "_compile_loss", None) is None)
        self.of_batches: list[str] = []  # losses that give one number for a batch
        self._metrics: dict[str, Callable[..., Any]] = {}
        self.left_out: list[str] = []
        if given.packing.targets is None or self.by_step and not is_called(model):
            return
        y, weights = self._packing.unpacked(given.targets)
        outputs = model(given.inputs, training=False)
        if any(getattr(output, "_keras_mask", None) is not None for output in keras.tree.flatten(outputs)):
            raise self._refused("its model masks its outputs, and Keras then divides by the batch's own number of "
                                "valid places", "Let the model end in outputs without a mask, or weigh examples")
        try:
            if not self.by_step:
                self._loss = self._losses(model, y, outputs, weights)
                self._loss(y, outputs, weights)
                self.of_batches = [entry.loss.name for entry in self._loss._flat_losses if entry.loss.of_batch]
                self._mean = not self.of_batches or self._is_mean(y, outputs)
            self._metrics, self.left_out = self._metrics_of(model, y, outputs)
        except PlanError:
            raise
        except Exception as error:  # Keras says here what does not fit
            raise PlanError(f"script {path!r}: what compile was given {said(error)} on the first examples."
                            f"{frames(error)}") from error

    @property
    def own_step(self) -> OwnStep | None:
        """The model's own training step; None where Keras' is that of the loss."""
        model = self.given.keras
        return OwnStep(model, self._packing, self._path) if own(model, OWN_STEPS) else None

    @property
    def _judge(self) -> OwnStep | None:
        """The model's own step where a run is judged by the loss that it tells."""
        return self.own_step if self.by_step else None

    @property
    def callbacks(self) -> list[Any]:
        """The callbacks that a run follows: those of the script that watch what it measures. Raises PlanError."""
        found = [callback for callback in self.given.callbacks if self._measured(callback)]
        for callback in found:
            monitors.check(callback, self.given.keras, self._path)
        return found

    def _measured(self, callback: Any) -> bool:
        return callback.monitor.removeprefix("val_") in self.names

    def monitors(self, strategy: Strategy) -> Monitors | None:
        """Return what follows the epochs of a run, inside the strategy's scope; None where nothing does."""
        if not (found := self.callbacks):
            return None
        rate = 1.0 if schedule(self.given.keras.optimizer) else highest_rate(self.given.keras.optimizer, 1)
        return Monitors(found, self.names, self.given.keras, rate, strategy)

    @property
    def loss_name(self) -> str:
        """The losses by name, for people and for the configuration."""
        if step := self._judge:
            return step.teller
        return "+".join(dict.fromkeys(str(entry.loss.name) for entry in self._loss._flat_losses))

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names of the metrics as a configuration has them: accuracy, and all others as the script's."""
        return tuple(name if name == ACCURACY else PREFIX + name for name in self._metrics)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what of the script is not taken over."""
        idle = (one for one in self.given.callbacks if not self._measured(one))
        asked = own(self.given.keras, ("test_step",)) and not self.by_step
        return (*self.given.notes, *(f"callback {type(one).__name__} watches {one.monitor}, which a run does not "
                                     "measure" for one in idle),
                *["its own test_step: evaluations take the loss and the metrics of compile"] * bool(asked),
                *(f"metric {name} is no mean over examples" for name in self.left_out),
                *([] if self.by_step or self._mean else [OF_A_BATCH.format(names=listed(self.of_batches))]))

    def notes_of(self, config: RunConfig) -> list[str]:
        """Return what a reader of a run's record must know of what the script says and the run does otherwise."""
        left = config.train_examples % config.global_batch if config.kind == "accuracy" else 0
        left -= config.left_over(config.global_batch)
        partial_batch = [f"the last {left} examples of each epoch's order are left out, which fit takes as a smaller "
                         "batch"] if left else []
        names = listed(type(one).__name__ for one in self.callbacks)
        judged = [f"{names} of the script watched the test data, by which this run is judged: choosing by it makes it "
                  "look better than on data that was never seen"] if names and not config.validation_fraction else []
        judge = self._judge
        of = "those of compile" if judge is None else f"those that its {judge.teller} tells" + (
            ", with the model in training mode" if judge.teller == "train_step" else "")
        told = [f"its own train_step or compute_loss gave the gradient; losses of evaluations are {of}"] \
            if self.own_step else []
        return [*told, *(NOT_TAKEN.format(note=note) for note in (*self.notes, *self._elsewhere(config))),
                *partial_batch, *judged]

    def _elsewhere(self, config: RunConfig) -> list[str]:
        """That the script's rate is taken at another batch than its own."""
        if config.kind != "accuracy":
            return []
        batch = taken.of_data(config.model).batch_size
        rate = self.given.highest_rate(math.ceil(config.train_examples / batch))
        return [rate_elsewhere(batch, rate)] * (batch != config.reference_batch
                                                and math.isclose(rate, config.base_learning_rate, rel_tol=1e-6))

    def objective(self, metrics: tuple[str, ...]) -> Objective:
        """Return the loss and these metrics as functions of targets and outputs that give one number per example."""
        missing = [name for name in map(metric_name, metrics) if name not in self._metrics]
        if missing:
            raise self._refused(f"its compile has no metric {', '.join(missing)}", "Run the plan anew")
        measured = {metric_name(name): self._metrics[metric_name(name)] for name in metrics}
        if step := self._judge:
            return Objective(_of_no_outputs, measured, step.told)
        return Objective(self._of_examples, measured)

    def _of_examples(self, targets: Any, outputs: Any) -> Any:
        y, weights = self._packing.unpacked(targets)
        return self._loss(y, outputs, weights)

    def _losses(self, model: keras.Model, y: Any, outputs: Any, weights: Any) -> Any:
        """Keras' own sum of losses, each replaced by its values for single examples."""
        found = getattr(model, "_compile_loss", None)
        if found is None:
            raise self._refused("its compile has no loss", "Give compile a loss")
        found(y, outputs, weights)  # builds it
        found = _copied(found)  # the model's own stays as it is, for a train_step that calls it
        for entry in found._flat_losses:
            reduction = getattr(entry.loss, "reduction", None)
            if reduction not in AVERAGING and (reduction != "mean_with_sample_weight" or weights is not None):
                raise self._refused(f"its loss {entry.loss.name} has reduction={reduction!r}, which is no mean over "
                                    "the batch's examples, so that its gradient depends on how a batch is shared out",
                                    "Leave reduction out")
        found._flat_losses = [entry._replace(loss=_OfExamples(entry.loss, self._path)) for entry in found._flat_losses]
        found.__class__ = _without_metrics(type(found))
        return found

    def _is_mean(self, y: Any, outputs: Any) -> bool:
        """Whether losses that give one number for a batch are means over its examples. Raises PlanError for a sum."""
        def of(rows: slice) -> float:
            return float(tf.reduce_mean(self._loss(*(keras.tree.map_structure(lambda array: array[rows], part)
                                                     for part in (y, outputs)), None)))
        count = len(keras.tree.flatten(outputs)[0])
        whole, first, rest = of(slice(None)), of(slice(1)), of(slice(1, None))
        if np.isclose(whole, (first + (count - 1) * rest) / count, rtol=SAME, atol=0):
            return True
        if np.isclose(whole, first + rest, rtol=SAME, atol=0):
            raise self._refused(f"its loss {listed(self.of_batches)} is a sum over the batch's examples, so that its "
                                "gradient grows with the batch and depends on how one is shared out",
                                "Return the mean over examples, or one value for each")
        return False

    def _metrics_of(self, model: keras.Model, y: Any, outputs: Any) -> tuple[dict[str, Callable[..., Any]], list[str]]:
        """The metrics that are means over examples, by name, and the names of the others."""
        compiled = getattr(model, "_compile_metrics", None)
        found: dict[str, Callable[..., Any]] = {}
        left_out: list[str] = []
        if compiled is None:
            return found, left_out
        compiled.build(y, outputs)
        several = len(keras.tree.flatten(outputs)) > 1
        for place, name, metric in _flat(compiled):
            if not isinstance(metric, keras.metrics.MeanMetricWrapper) or not np.ndim(
                    _value(compiled, place, metric, y, outputs)):  # a single number of all examples, as of an R2
                left_out.append(name)
                continue
            said = name
            if name in ACCURACIES and not several and ACCURACY not in found:
                name = ACCURACY
            if name != "loss" and name not in found:
                self.names[said] = name[:LONGEST_NAME]
                found[name[:LONGEST_NAME]] = self._metric(compiled, place, name, metric)
        return found, left_out

    def _metric(self, compiled: Any, place: int, name: str, metric: Any) -> Callable[..., Any]:
        def of_examples(targets: Any, outputs: Any) -> Any:
            y, _ = self._packing.unpacked(targets)
            return per_example(f"metric {name!r}", _value(compiled, place, metric, y, outputs))
        return of_examples

    def _refused(self, why: str, fix: str) -> PlanError:
        return PlanError(f"script {self._path!r} cannot be taken over: {why}. {fix}.")


class _OfExamples:
    """A loss of Keras' without its mean over the batch: (n,) for targets and outputs (n, ...). One that gives a single
    number for a batch gives it for each example, so that their mean is that number. `of_batch`: whether it does."""

    def __init__(self, loss: Any, path: str) -> None:
        self.name, self._loss, self._what = loss.name, _copied(loss), f"the loss {loss.name} of script {path!r}"
        self._loss.reduction = None
        self.of_batch: bool | None = None  # not known before its first call

    def __call__(self, target: Any, output: Any, weights: Any = None) -> Any:
        if self.of_batch is None:
            self.of_batch = not tf.cast(self._loss(target, output), self._loss.dtype).shape.rank
        values = tf.cast(self._loss(target, output, None if self.of_batch else weights), self._loss.dtype)
        if self.of_batch:
            if weights is not None:
                raise PlanError(f"{self._what} returns a single number for a batch, and fit has weights of examples, "
                                "by whose mean Keras then multiplies it: no example counts for more than another. "
                                "Return one value per example, or leave the weights out.")
            return tf.broadcast_to(values, tf.shape(keras.tree.flatten(output)[0])[:1])
        return per_example(self._what, values)


def _value(compiled: Any, place: int, metric: Any, y: Any, outputs: Any) -> Any:
    """What the function of a metric makes of targets and outputs."""
    target, output = (compiled._flatten_y(part)[place] for part in (y, outputs))
    return metric._fn(target, output, **metric._fn_kwargs)


def _copied(thing: Any) -> Any:
    """One like it with the same parts; Keras' objects refuse copy.copy."""
    made = object.__new__(type(thing))
    made.__dict__.update(vars(thing))
    return made


def _without_metrics(kind: type[Any]) -> type[Any]:
    """The class of a sum of losses that keeps no running means, which a compiled loop would have to carry."""
    return type(kind.__name__, (kind,), {"metrics": property(lambda self: [None] * len(self._flat_losses))})


def _of_no_outputs(targets: Any, outputs: Any) -> Any:
    raise PlanError("the loss of a model's own step is told of inputs and targets.")


def _flat(compiled: Any) -> Iterator[tuple[int, str, Any]]:
    """The place of the output, the name and the metric, of all that compile was given."""
    for group in (compiled._flat_metrics, compiled._flat_weighted_metrics):
        for place, metrics in enumerate(group):
            for metric in metrics.metrics if metrics else ():
                yield place, f"{metrics.output_name}_{metric.name}" if metrics.output_name else metric.name, metric
