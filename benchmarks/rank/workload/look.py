"""Runs a script up to its fit and tells what it gave there, before a plan is multiplied out."""

from __future__ import annotations

import math
from typing import Any

import keras

from ...data.arrays import count
from ..script import callbacks, examples, optimizer, taken as of_script
from ..script.running import fit_of, loop_around
from ..training import keras_optimizers
from ..training.compiled import Compiled


def taken(reference: str) -> dict[str, Any]:
    """Return what a script gives to fit, by the names that planning/scripts.py has. Raises PlanError, DataError."""
    of_script.as_new("float32", of_script.DATA_SEED)
    fit = fit_of(reference, of_script.DATA_SEED)
    callbacks.check(fit)
    precision = keras.config.dtype_policy().name
    given = examples.given(fit, looked_at_twice=True)
    found = of_script.of_fit(fit, given.train)
    keras_optimizers.check(f"the optimizer of script {fit.call.path!r}", optimizer.inner(fit.model.optimizer))
    compiled = Compiled(found)
    if told := compiled.objective(()).told:
        told(found.inputs, found.targets)
    made = examples.dataset(fit, reference, given)
    moved = found.rates is not None or any(hasattr(callback, "factor") for callback in compiled.callbacks)
    name, momentum = optimizer.name_of(fit.model, reference, moved)
    loop, steps = loop_around(fit.path, fit.line), math.ceil(count(made.train_y) / given.batch_size)
    return {"train_examples": count(made.train_y), "test_examples": count(made.test_y), "epochs": found.epochs,
            "batch_size": given.batch_size, "optimizer": name, "momentum": momentum,
            "learning_rate": found.highest_rate(steps), "loss": compiled.loss_name,
            "metrics": compiled.metric_names, "precision": precision,
            "published_way": loop.found and not loop.rebuilds, "notes": [*given.notes, *compiled.notes]}
