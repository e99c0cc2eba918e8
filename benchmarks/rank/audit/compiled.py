"""What `compile` was given: loss and the end of the model, optimizer, rate and accumulation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import keras
import numpy as np

from ..own_fit.settings import learning_rate, placement
from ..script.callbacks import in_arrays, listed
from ..script.optimizer import inner
from ..workload import endings, flops
from .examples import picked
from .facts import Facts

MOST_EPOCHS = 100
# Callbacks by the names of their classes: those that set the rate, and those that write files.
OF_THE_RATE = ("LearningRate", "Warmup", "Schedule")
CLOSE = 1e-3  # to 1, of probabilities in half precision


def look(model: keras.Model, arguments: Mapping[str, Any], facts: Facts) -> None:
    """Fill in what the model and its optimizer tell."""
    strategy, replicas, _ = placement(model)
    facts.strategy, facts.replicas = strategy, replicas
    optimizer = inner(model.optimizer)
    facts.optimizer = type(optimizer).__name__
    facts.accumulation = int(getattr(optimizer, "gradient_accumulation_steps", None) or 1)
    facts.learning_rate = learning_rate(model)
    facts.epochs = int(arguments["epochs"])
    facts.normalizes = any("Normalization" in type(layer).__name__ and "Batch" in type(layer).__name__
                           for layer in model._flatten_layers())
    _loss(model, facts)
    x = arguments["x"]
    first = picked(x, slice(None, 8)) if in_arrays(x) else None
    if first is None and hasattr(x, "element_spec"):
        with suppress(StopIteration):
            batch = next(x.as_numpy_iterator())
            first = picked(batch[0] if isinstance(batch, tuple) else batch, slice(None, 8))
    if first is not None:
        _outputs(model, first, facts)


def _loss(model: keras.Model, facts: Facts) -> None:
    loss = getattr(model, "loss", None)
    if isinstance(loss, (dict, list, tuple)):
        facts.skipped += ("the loss: the model has several outputs",)
        return
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    facts.loss = str(name)
    plain = facts.loss.lower().replace("_", "")
    if isinstance(loss, str) or type(loss).__module__.startswith("keras"):
        facts.sparse = plain.startswith("sparsecategorical")
        if "crossentropy" in plain:
            config: dict[str, Any] = {}
            with suppress(Exception):
                config = {} if isinstance(loss, str) or loss is None else loss.get_config()
            given = config.get("from_logits")
            facts.sparse = facts.sparse and config.get("ignore_class") is None  # whose label may be any number
            facts.from_logits = bool(given) if given is not None else bool(
                getattr(loss, "_fn_kwargs", {}).get("from_logits", False))


def _outputs(model: keras.Model, x: Any, facts: Facts) -> None:
    """How the model ends, and whether what it gives are probabilities."""
    found = model(x, training=False)
    if keras.tree.is_nested(found):
        return
    values = np.asarray(found, np.float64)
    facts.classes = int(values.shape[-1])
    facts.ending = endings.endings(model, flops.forward(model, x), x, found)[endings.SINGLE]
    inside = bool((values >= -CLOSE).all() and (values <= 1 + CLOSE).all())
    whole = bool(np.allclose(values.sum(axis=-1), 1, atol=10 * CLOSE)) or values.shape[-1] == 1
    facts.probabilities = inside and whole or facts.ending in endings.PROBABILITIES


def rates(model: keras.Model, callbacks: Any, facts: Facts) -> None:
    """Fill in the rate of each epoch, as the script's own callbacks set it; they are called without training."""
    own = [one for one in listed(callbacks) if any(word in type(one).__name__ for word in OF_THE_RATE)]
    found = []
    try:
        for one in own:
            one.set_model(model)
            one.set_params({"epochs": facts.epochs, "steps": steps_of(facts), "verbose": 0})
            one.on_train_begin()
        for epoch in range(min(facts.epochs, MOST_EPOCHS)):
            for one in own:
                one.on_epoch_begin(epoch)
                one.on_train_batch_begin(0)
            found.append(learning_rate(model))
            for one in own:
                one.on_train_batch_end(0, {})
                one.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0})
    except Exception as error:
        facts.skipped += (f"the rate by epoch: a callback of the script raises {type(error).__name__} without a "
                          "training",)
    facts.rates = tuple(rate for rate in found if rate is not None)


def steps_of(facts: Facts) -> int | None:
    """Return the steps of an epoch of one process."""
    return -(-facts.seen // facts.batch) if facts.seen and facts.batch else None
