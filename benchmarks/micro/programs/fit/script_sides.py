"""What a script gives to fit, trained by this suite and by Keras own fit: the sides of against_fit/scripts.py."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ....config.script import ScriptCall
from ....data.arrays import each
from ....data.order import epoch_order
from ....rank.feeds.resident import Resident
from ....rank.in_progress import RunInProgress, Segment
from ....rank.script import examples, taken
from ....rank.script.running import fit_of
from ....rank.session import Session
from ....rank.strategies.base import Strategy
from ....rank.training.program import advance
from ....rank.workload import look
from ....runs.run_config import RunConfig
from ..answer import seconds_of
from ..ways import EpochSeconds


class Script:
    """A script by its name, and what it gives to fit."""

    def __init__(self, name: str) -> None:
        self.reference = ScriptCall(name).reference
        self.taken = look.taken(self.reference)
        self.precision = self.taken["precision"]

    def config(self, batch: int, seed: int = 0) -> RunConfig:
        """Return the configuration of an accuracy run of it."""
        found = self.taken
        return RunConfig(experiment="micro", kind="accuracy", dataset=self.reference, model=self.reference,
                         loss="script:loss", metrics=tuple(found["metrics"]), optimizer=found["optimizer"],
                         momentum=found["momentum"], base_learning_rate=found["learning_rate"], global_batch=batch,
                         reference_batch=batch, train_examples=found["train_examples"], validation_fraction=0.0,
                         seed=seed, epochs=found["epochs"], precision=self.precision, last_batch="keep")


class BySuite:
    """This suite's side."""

    def __init__(self, script: Script) -> None:
        self._script = script
        taken.as_new(script.precision, taken.DATA_SEED)
        self._session = Session(Strategy(), [], [], 1, lambda: "")

    def repeated(self, batch: int, steps: int) -> Callable[[int], float]:
        """Return a function that gives the seconds of so many epochs of `steps` batches of the script's rows, which
        are repeated."""
        config, count = self._script.config(batch), steps * batch
        run = RunInProgress(config, self._session)
        x, y = (each(lambda values: _typed(np.resize(values, (count, *values.shape[1:])), config), part)
                for part in run.examples.split.train)
        program, feed = run.program, Resident(x, y, self._session.strategy)
        loop, rates = program.loop(batch, feed.layout(batch)), run.rates(1)

        def epoch(number: int) -> float:
            feed.set_order(epoch_order(0, number, count), 0)
            return advance(loop, feed.parts(0, steps, batch), rates)
        return lambda epochs: seconds_of(lambda: [epoch(number) for number in range(epochs)])

    def accuracy(self, seed: int) -> float:
        """Return the test accuracy after the script's epochs from the weights of this seed."""
        batch = self._script.taken["batch_size"]
        config = self._script.config(batch, seed)
        run = RunInProgress(config, self._session)
        run.program.reset(seed)  # which another seed has trained
        steps, rates = config.epoch_steps(batch), run.rates(config.epoch_steps(batch) * config.epochs)
        for epoch in range(config.epochs):
            first = epoch * steps
            run.set_order(epoch, first)
            run.advance(Segment(batch, 0, first, first + steps, last=config.left_over(batch)), rates)
        return float(run.examples.evaluation.metrics(run.program)["test_accuracy"])


class ByFit:
    """Keras' side: the script's own compiled model and its examples."""

    def __init__(self, script: Script) -> None:
        self._script = script
        taken.as_new(script.precision, taken.DATA_SEED)
        fit = fit_of(script.reference, taken.DATA_SEED)
        found = examples.given(fit)
        self._train, self._test, self._batch = found.train, found.test, found.batch_size
        self._model, self._epochs = fit.model, int(fit.arguments["epochs"])
        self._model(keras.tree.map_structure(lambda values: values[:1], self._train[0]), training=False)
        self._model.optimizer.build(self._model.trainable_variables)
        self._slots = [np.asarray(variable.value) for variable in self._model.optimizer.variables]

    def repeated(self, batch: int, steps: int) -> Callable[[int], float]:
        """Return a function that gives the seconds of so many epochs of `steps` batches of the script's rows, without
        what `fit` does once a call."""
        x, y, weights = keras.tree.map_structure(
            lambda values: None if values is None else np.resize(values, (steps * batch, *values.shape[1:])),
            self._train, none_is_leaf=True)

        def seconds(epochs: int) -> float:
            clock = EpochSeconds()
            with open(os.devnull, "w") as screen, contextlib.redirect_stdout(screen):
                self._model.fit(x, y, sample_weight=weights, batch_size=batch, epochs=epochs, callbacks=[clock])
            return clock.total
        return seconds

    def accuracy(self, seed: int) -> float:
        """Return the test accuracy after the script's epochs from the weights of this seed; `fit` shuffles by
        itself."""
        script = self._script
        for variable, value in zip(self._model.variables, taken.first_weights(script.reference, seed,
                                                                              script.precision)):
            variable.assign(value)
        for variable, value in zip(self._model.optimizer.variables, self._slots):
            variable.assign(value)
        # Under the seed that gave these weights, `fit` would shuffle every epoch into the very same order.
        tf.random.set_seed(None)
        x, y, weights = self._train
        self._model.fit(x, y, sample_weight=weights, batch_size=self._batch, epochs=self._epochs, verbose=0)
        x, y, weights = self._test
        found = self._model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
        return float(found["accuracy"])


def _typed(values: Any, config: RunConfig) -> Any:
    """As a feed has it: floats in the run's type."""
    return values.astype(config.dtype) if values.dtype.kind == "f" else values
