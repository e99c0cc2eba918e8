"""What a model is trained for and judged by: the losses and metrics that a plan may name, without TensorFlow.

Their operations are in `rank/losses.py`. A name is a built-in one or "package.module:function".
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import one_of, PlanError

CROSS_ENTROPY = "sparse_categorical_crossentropy"
BINARY_CROSS_ENTROPY = "binary_crossentropy"
LOSSES = {
    CROSS_ENTROPY: "labels (N,) or tokens (N, T) against logits with one more axis, the classes",
    BINARY_CROSS_ENTROPY: "targets of 0 and 1 against logits of the same shape",
    "mean_squared_error": "targets against outputs of the same shape",
    "mean_absolute_error": "targets against outputs of the same shape",
}
ACCURACY = "accuracy"
METRICS = {
    ACCURACY: "fraction right: the largest logit, or the sign of a single one",
    "mean_squared_error": "mean of (target - output)^2",
    "mean_absolute_error": "mean of |target - output|",
}
SHORT_NAMES = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "bce": BINARY_CROSS_ENTROPY,
               "acc": ACCURACY, "binary_accuracy": ACCURACY, "sparse_categorical_accuracy": ACCURACY,
               "categorical_accuracy": ACCURACY, "cross_entropy": CROSS_ENTROPY, "crossentropy": CROSS_ENTROPY}
"""What else losses and metrics are called -> their names here."""
LONGEST_NAME = 60


def default_metrics(loss: str) -> tuple[str, ...]:
    """Return accuracy alone where the loss is one of classification, else no metric."""
    return (ACCURACY,) if is_cross_entropy(loss) else ()


def is_cross_entropy(loss: str) -> bool:
    """Return whether it is one of the suite's own losses that take logits, or probabilities where a plan says so."""
    return loss in (CROSS_ENTROPY, BINARY_CROSS_ENTROPY)


def metric_name(metric: str) -> str:
    """Return the name of a metric in records: its built-in name or its function's."""
    return metric.rpartition(":")[2]


def check(loss: str, metrics: Sequence[str], from_logits: bool = True) -> None:
    """Raise PlanError for a name that is neither built in nor a function's, or that a metric of this run already has.

    A metric's name may not be "loss" or longer than LONGEST_NAME characters either. `from_logits`: false where the
    model ends in probabilities, which matters to the cross-entropies and the accuracy alone; false without any of them
    is an error.
    """
    if loss not in LOSSES and ":" not in loss:
        raise PlanError(one_of("loss", loss, LOSSES) + _instead(loss) + " Or give package.module:function.")
    if not isinstance(metrics, (list, tuple)) or not all(isinstance(metric, str) for metric in metrics):
        raise PlanError(f"metrics={str(metrics)[:200]} must be a list of texts, each the name of a metric.")
    names = [metric_name(metric) for metric in metrics]
    for metric, name in zip(metrics, names):
        if metric not in METRICS and ":" not in metric:
            raise PlanError(one_of("metrics", metric, METRICS) + _instead(metric) + " Or give package.module:function.")
        if name == "loss" or names.count(name) > 1 or len(name) > LONGEST_NAME:
            raise PlanError(f"metrics={list(metrics)} gives the name {name[:80]!r}, which must be used once, be no "
                            f"longer than {LONGEST_NAME} characters and not be 'loss'; rename the function.")
    if not from_logits and not is_cross_entropy(loss) and ACCURACY not in metrics:
        raise PlanError(f"from_logits = false has no meaning for loss={loss!r} without metric {ACCURACY!r}; it belongs "
                        f"to {CROSS_ENTROPY}, {BINARY_CROSS_ENTROPY} and {ACCURACY}. Leave it out: a function of your "
                        "own takes the outputs as they are.")


def _instead(name: str) -> str:
    """What is written here for a name that Keras takes; "" for others."""
    plain = name.strip().lower()
    if plain in SHORT_NAMES:
        return f" {name!r} is called {SHORT_NAMES[plain]!r} here."
    if plain == "categorical_crossentropy":
        return (f" For one-hot labels give whole numbers, y.argmax(axis=-1), and {CROSS_ENTROPY!r}, which is the same "
                "loss.")
    return ""
