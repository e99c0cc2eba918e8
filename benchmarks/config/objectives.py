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
LONGEST_NAME = 60


def default_metrics(loss: str) -> tuple[str, ...]:
    """Accuracy where the loss is one of classification, else none."""
    return (ACCURACY,) if loss in (CROSS_ENTROPY, BINARY_CROSS_ENTROPY) else ()


def metric_name(metric: str) -> str:
    """How a metric is called in records: its built-in name or its function's."""
    return metric.rpartition(":")[2]


def check(loss: str, metrics: Sequence[str]) -> None:
    """Raises PlanError for a name that is neither built in nor a function's, or that stands twice."""
    if loss not in LOSSES and ":" not in loss:
        raise PlanError(one_of("loss", loss, LOSSES) + " Or give package.module:function.")
    if not isinstance(metrics, (list, tuple)) or not all(isinstance(metric, str) for metric in metrics):
        raise PlanError(f"metrics={str(metrics)[:200]} must be a list of texts, each the name of a metric.")
    names = [metric_name(metric) for metric in metrics]
    for metric, name in zip(metrics, names):
        if metric not in METRICS and ":" not in metric:
            raise PlanError(one_of("metrics", metric, METRICS) + " Or give package.module:function.")
        if name == "loss" or names.count(name) > 1 or len(name) > LONGEST_NAME:
            raise PlanError(f"metrics={list(metrics)} gives the name {name[:80]!r}, which must be used once, be no "
                            f"longer than {LONGEST_NAME} characters and not be 'loss'; rename the function.")
