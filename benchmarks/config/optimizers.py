"""OPTIMIZERS: everything that the suite knows of each update rule, apart from the update itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Decay = Literal["none", "coupled", "decoupled"]


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """One optimizer.

    `words`: its name in a sentence. `default_rate`: Keras' learning rate; None where Keras has no such optimizer.
    `default_decay`: Keras' weight decay. `momentum`: whether the key momentum acts. `decay`: whether weight decay is
    added to the gradient (coupled), applied beside it (decoupled), or not taken. `adaptive`: whether each weight has a
    step size of its own. `stability`: momentum -> the eta lambda_max beyond which the update diverges on a quadratic;
    None for optimizers that rescale gradients.
    """

    words: str
    default_rate: float | None
    default_decay: float = 0.0
    momentum: bool = False
    decay: Decay = "none"
    adaptive: bool = False
    stability: Callable[[float], float] | None = None


def _heavy_ball_bound(momentum: float) -> float:
    """Return 2 (1 + m): where a root of z^2 - (1 + m - eta lambda) z + m reaches -1."""
    return 2 * (1 + momentum)


def _nesterov_bound(momentum: float) -> float:
    """Return 2 (1 + m) / (1 + 2 m): where a root of z^2 - (1 + m)(1 - eta lambda) z + m (1 - eta lambda) reaches -1."""
    return 2 * (1 + momentum) / (1 + 2 * momentum)


OPTIMIZERS: dict[str, OptimizerSpec] = {
    "sgd": OptimizerSpec(words="SGD", default_rate=0.01, stability=lambda momentum: 2.0),
    "momentum": OptimizerSpec(words="SGD with momentum", default_rate=0.01, momentum=True,
                              stability=_heavy_ball_bound),
    "nesterov": OptimizerSpec(words="nesterov", default_rate=0.01, momentum=True, stability=_nesterov_bound),
    "adam": OptimizerSpec(words="Adam", default_rate=0.001, adaptive=True),
    "adamw": OptimizerSpec(words="adamw", default_rate=0.001, default_decay=0.004, decay="decoupled", adaptive=True),
    "lars": OptimizerSpec(words="lars", default_rate=None, momentum=True, decay="coupled"),
    "lamb": OptimizerSpec(words="lamb", default_rate=0.001, decay="decoupled", adaptive=True),
}


def decaying() -> tuple[str, ...]:
    """Return the names of the optimizers that take a weight_decay."""
    return tuple(name for name, spec in OPTIMIZERS.items() if spec.decay != "none")


def is_adaptive(name: str) -> bool:
    """Return whether this optimizer gives each weight a step size of its own; False for one that is not known."""
    return name in OPTIMIZERS and OPTIMIZERS[name].adaptive
