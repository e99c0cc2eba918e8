"""Bounds of stability of a step, and what weight decay leaves of a weight after an epoch."""

from __future__ import annotations

from ..config.fields import RunFields
from .rates import peak_rate


def stability_bound(optimizer: str, momentum: float) -> float | None:
    """The eta lambda_max beyond which the update diverges on a quadratic; None for optimizers that rescale gradients.

    2 for gradient descent, 2 (1 + m) with momentum and 2 (1 + m) / (1 + 2 m) with Nesterov's: where a root of z^2 - (1
    + m - eta lambda) z + m, or of z^2 - (1 + m)(1 - eta lambda) z + m (1 - eta lambda), reaches -1.

    >>> stability_bound("momentum", 0.9)
    3.8
    """
    m = momentum
    return {"sgd": 2.0, "momentum": 2 * (1 + m), "nesterov": 2 * (1 + m) / (1 + 2 * m)}.get(optimizer)


def weight_kept_per_epoch(config: RunFields) -> float | None:
    """(1 - eta wd)^(N / B): what decoupled decay alone leaves of a weight after an epoch at the peak rate.

    None without decoupled decay: lars adds its decay to the gradient. Its logarithm, about -eta wd N / B, stays under
    the linear rule and shrinks as kappa^-1/2 under the square-root rule: decay and batch change together.

    >>> from types import SimpleNamespace as run
    >>> weight_kept_per_epoch(run(optimizer="adamw", weight_decay=0.5, rule="constant", base_learning_rate=1.0,
    ...                    train_examples=64, global_batch=32))
    0.25
    """
    if not config.weight_decay or config.optimizer not in ("adamw", "lamb"):
        return None
    shrink = 1 - peak_rate(config) * config.weight_decay
    return float(shrink ** (config.train_examples / config.global_batch)) if shrink > 0 else 0.0
