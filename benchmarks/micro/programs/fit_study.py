"""The accuracy runs of a plan by `model.fit`, one after another in one process, as one would without this suite.

Request: configs [RunConfig as JSON], cores, evaluation_batches: seed s evaluates in batches of the s-th, taken in turn;
every_evaluation: false leaves out all evaluations but the last.
Answer: a row for each run with its seconds and its test accuracy.

The same models, seeds' initial weights, rates by step, epochs and evaluations. `fit` shuffles by itself and trains on
the last, smaller batch as well. A run that goes on from another's end is trained on that model right after it, so that
`fit` need not repeat the beginning either.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ... import data
from ...runs.run_config import from_json, RunConfig
from ...schedules.phases import evaluation_steps, first_phase, Phase, phases
from ...schedules.rates import rates
from .answer import prepare, Request, serve


def measure(request: Request) -> dict[str, Any]:
    """Return what the requested runs came to when `fit` trained them."""
    configs = [from_json(values) for values in request["configs"]]
    prepare(request["cores"], len(request["cores"]))
    rows, batches = [], request["evaluation_batches"]
    for beginning, others in chains(configs):
        rows += _train(beginning, others, batches[beginning.seed % len(batches)], request["every_evaluation"])
    return {"rows": rows}


def chains(configs: Iterable[RunConfig]) -> list[tuple[RunConfig, list[RunConfig]]]:
    """Return each run of one batch, with the runs that go on from its end. Raises KeyError where one lacks its
    beginning.

    A beginning is known by what changes weights: model, optimizer, seed, batch and rates.
    """
    found: dict[str, tuple[RunConfig, list[RunConfig]]] = {}
    for config in sorted(configs, key=lambda one: len(one.earlier_batches)):
        key = first_phase(config).run_id
        if config.earlier_batches:
            found[key][1].append(config)
        else:
            found[key] = (config, [])
    return list(found.values())


def _train(beginning: RunConfig, others: Sequence[RunConfig], evaluation_batch: int,
           every_evaluation: bool) -> list[dict[str, Any]]:
    import keras
    import tensorflow as tf

    from ...rank import models

    began = time.perf_counter()
    keras.backend.clear_session()
    split = _split(beginning)
    model = models.build(beginning.model, split.input_shape, split.classes, beginning.seed)
    # Under the global seed that gave these weights, `fit` would shuffle every epoch into the very same order.
    tf.random.set_seed(None)
    rows = []
    for config in (beginning, *others):
        accuracies = [accuracy for phase in phases(config)[1 if config.earlier_batches else 0:]
                      for accuracy in _fit(model, config, phase, split, evaluation_batch, every_evaluation)]
        now = time.perf_counter()
        rows.append({"run_id": config.run_id, "seconds": now - began, "test_accuracy": accuracies[-1],
                     "evaluations": len(accuracies), "evaluation_batch": evaluation_batch})
        began = now
    return rows


_splits: dict[tuple[str, float, int], data.Split] = {}


def _split(config: RunConfig) -> data.Split:
    key = (config.dataset, config.validation_fraction, config.train_subset)
    if key not in _splits:
        _splits[key] = data.split(data.load(config.dataset), *key[1:])
    return _splits[key]


def _fit(model: Any, config: RunConfig, phase: Phase, split: data.Split, evaluation_batch: int,
         every_evaluation: bool) -> list[float]:
    """One phase, compiled anew. Returns the test accuracy of each evaluation."""
    import keras
    import tensorflow as tf

    steps_per_epoch = -(-config.train_examples // phase.global_batch)
    steps = evaluation_steps(steps_per_epoch, phase.epochs)
    table = tf.constant(rates(config, steps[-1]))

    class ByStep(keras.optimizers.schedules.LearningRateSchedule):
        """The rule's rate of each step."""

        def __call__(self, step: Any) -> Any:
            return tf.gather(table, tf.minimum(tf.cast(step, tf.int32), table.shape[0] - 1))

    class Evaluate(keras.callbacks.Callback):
        """All three parts after the steps at which this suite evaluates."""

        wanted = frozenset(steps if every_evaluation else steps[-1:])
        step = 0

        def __init__(self) -> None:
            super().__init__()
            self.accuracies: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.step += 1
            if self.step in self.wanted:
                results = [self.model.evaluate(x, y, batch_size=evaluation_batch, verbose=0)
                           for x, y in (split.train_subset, split.validation, split.test)]
                self.accuracies.append(float(results[-1][1]))

    rate = float(table[0]) if bool(tf.reduce_all(table == table[0])) else ByStep()
    optimizers = {"sgd": lambda: keras.optimizers.SGD(rate),
                  "adam": lambda: keras.optimizers.Adam(rate)}
    model.compile(optimizer=optimizers[config.optimizer](), metrics=["accuracy"],
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    evaluate = Evaluate()
    model.fit(*split.train, batch_size=phase.global_batch, epochs=phase.epochs, verbose=0, callbacks=[evaluate])
    return evaluate.accuracies


if __name__ == "__main__":
    sys.exit(serve(measure))
