"""What an answer that ignores the inputs reaches on the test data: a model that does no better has learned nothing.

Of classes it is the most common one of the training data, by its share among the test targets; of a cross-entropy the
shares of the classes as probabilities; of a regression the mean of the training targets.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config.objectives import ACCURACY, BINARY_CROSS_ENTROPY, CROSS_ENTROPY
from ...config.script import is_script, PREFIX
from ...data.arrays import Arrays
from ...runs.run_config import RunConfig

Targets = npt.NDArray[Any]
CHUNK = 8192
LEAST_SHARE = 1e-7  # of a class that the training data lack, so that its logarithm is finite


def baselines(config: RunConfig, train: Arrays, test: Arrays) -> dict[str, float | None]:
    """Return `baseline_accuracy` and `baseline_loss`; None where the configuration has no such value, where there are
    several outputs, or where a user's loss takes no answer of its targets' shape."""
    found: dict[str, float | None] = {"baseline_accuracy": None, "baseline_loss": None}
    if not (isinstance(train, np.ndarray) and isinstance(test, np.ndarray) and train.size and test.size):
        return found
    if ACCURACY in config.metrics:
        found["baseline_accuracy"] = most_common_share(train, test)
    loss = constant_loss(config, train, test) if not is_script(config.loss) else \
        _of_script(config.loss.removeprefix(PREFIX), train, test)
    found["baseline_loss"] = loss if math.isfinite(loss) else None
    return found


def most_common_share(train: Targets, test: Targets) -> float:
    """Return the share of the test targets that are the training targets' most common class; of tokens the most common
    token, and of targets from 0 to 1 their nearer end.

    >>> most_common_share(np.array([0, 2, 2]), np.array([2, 2, 2, 1]))
    0.75
    """
    given, asked = (part.argmax(axis=-1) if is_one_hot(part) else
                    (part > 0.5).astype(np.int64) if part.dtype.kind == "f" else part for part in (train, test))
    classes, counts = np.unique(given, return_counts=True)
    return float(np.mean(asked == classes[np.argmax(counts)]))


def is_one_hot(targets: Targets) -> bool:
    """Return whether every row has one 1 and else zeros."""
    return targets.ndim == 2 and targets.shape[1] > 1 and bool((np.sort(targets, axis=1)[:, -2:] == (0, 1)).all()
                                                               and (targets.sum(axis=1) == 1).all())


def _of_script(name: str, train: Targets, test: Targets) -> float:
    """The same of a loss of Keras' that has no other form; NaN of others."""
    if name == CROSS_ENTROPY and train.dtype.kind in "iu":
        return _entropy(train, test)
    mean = train.mean(axis=0, dtype=np.float64)
    difference = np.asarray(test - mean)
    return {"mean_squared_error": float(np.mean(np.square(difference))),
            "mean_absolute_error": float(np.mean(np.abs(difference)))}.get(name, math.nan)


def constant_loss(config: RunConfig, train: Targets, test: Targets) -> float:
    """Return the mean loss over the test targets of the best-known answer without inputs; NaN where there is none."""
    if config.loss == CROSS_ENTROPY:
        return _entropy(train, test)
    mean = train.mean(axis=0, dtype=np.float64)
    if config.loss == BINARY_CROSS_ENTROPY:
        share = np.clip(mean, LEAST_SHARE, 1 - LEAST_SHARE)
        return float(-np.mean(test * np.log(share) + (1 - test) * np.log1p(-share)))
    if config.loss == "mean_squared_error":
        return float(np.mean(np.square(test - mean)))
    if config.loss == "mean_absolute_error":
        return float(np.mean(np.abs(test - mean)))
    return _of_own_function(config, mean, test) if train.dtype.kind == "f" else math.nan


def _entropy(train: Targets, test: Targets) -> float:
    counts = np.bincount(train.ravel(), minlength=int(test.max()) + 1)
    shares = np.maximum(counts / counts.sum(), LEAST_SHARE)
    return float(-np.mean(np.log(shares[test.ravel()])))


def _of_own_function(config: RunConfig, mean: Targets, test: Targets) -> float:
    """A user's loss of the mean in place of outputs; it may want outputs of another shape, and raise anything."""
    import tensorflow as tf
    from ..training import losses
    loss, total = losses.objective(config).loss, 0.0
    try:
        for start in range(0, len(test), CHUNK):
            targets = tf.constant(test[start:start + CHUNK])
            answers = tf.broadcast_to(tf.constant(mean, targets.dtype), tf.shape(targets))
            total += float(tf.reduce_sum(loss(targets, answers)))
    except Exception:  # what its loss is then is not known
        return math.nan
    return total / len(test)
