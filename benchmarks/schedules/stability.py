"""Bounds of stability of a step, and what weight decay leaves of a weight after an epoch."""

from __future__ import annotations

from ..config.fields import RunFields
from ..config.optimizers import OPTIMIZERS
from .rates import peak_rate


def stability_bound(optimizer: str, momentum: float) -> float | None:
    """Return the eta lambda_max beyond which the update diverges on a quadratic.

    None for optimizers that rescale gradients, and for those that are not known, as imported runs may have.

    >>> stability_bound("momentum", 0.9)
    3.8
    """
    spec = OPTIMIZERS.get(optimizer)
    return spec.stability(momentum) if spec and spec.stability else None


def weight_kept_per_epoch(config: RunFields) -> float | None:
    """Return (1 - eta wd)^(N / B), what decoupled decay alone leaves of a weight after an epoch at the peak rate.

    None without decoupled decay: lars adds its decay to the gradient. Its logarithm, about -eta wd N / B, stays under
    the linear rule and shrinks as kappa^-1/2 under the square-root rule: decay and batch change together.

    >>> from types import SimpleNamespace as run
    >>> weight_kept_per_epoch(run(optimizer="adamw", weight_decay=0.5, rule="constant", base_learning_rate=1.0,
    ...                    train_examples=64, global_batch=32))
    0.25
    """
    if not config.weight_decay or OPTIMIZERS[config.optimizer].decay != "decoupled":
        return None
    shrink = 1 - peak_rate(config) * config.weight_decay
    return float(shrink ** (config.train_examples / config.global_batch)) if shrink > 0 else 0.0
