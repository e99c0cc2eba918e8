"""Learning-rate rules: a rule is a pure function from a configuration to the rate of every step, float32[steps].

Rates are gathered by step inside the compiled loop, so warm-up and decay need no Keras schedule. kappa = B / B0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .config import RunConfig

Rates = NDArray[np.float32]


@dataclass(frozen=True)
class Rule:
    """How the peak rate follows kappa = B / B0, and whether a gradual warm-up leads to it."""

    formula: str
    source: str
    factor: Callable[[float], float]
    warmup: bool = False


RULES: dict[str, Rule] = {
    "constant": Rule("eta0", "baseline", lambda kappa: 1.0),
    "linear": Rule("kappa eta0, gradual warm-up", "Goyal et al. 2017, arXiv:1706.02677",
                   lambda kappa: kappa, warmup=True),
    "sqrt": Rule("sqrt(kappa) eta0", "Krizhevsky 2014, arXiv:1404.5997; Hoffer et al. 2017, arXiv:1705.08741",
                 math.sqrt),
    # Not a scaling rule: the published comparison that keeps one model's weights from batch to batch.
    "as_published": Rule("eta0, weights carried from batch to batch", "baseline", lambda kappa: 1.0),
}


def peak_rate(config: RunConfig) -> float:
    """The rule's eta(B), reached after warm-up.

    >>> from types import SimpleNamespace as run
    >>> peak_rate(run(rule="sqrt", kappa=16.0, base_learning_rate=0.01))
    0.04
    """
    return RULES[config.rule].factor(config.kappa) * config.base_learning_rate


def warmup_step_count(config: RunConfig) -> int:
    """T_w = max(1, warmup_epochs floor(N / B)) for a rule with warm-up and kappa > 1, else 0."""
    if not RULES[config.rule].warmup or config.kappa == 1:
        return 0
    return max(1, round(config.warmup_epochs * config.steps_per_epoch))


def rates(config: RunConfig, steps: int | None = None) -> Rates:
    """The learning rate of each step of the last phase, float32[steps].

    Warm-up is per iteration: eta_t = eta0 + (peak - eta0) min(1, (t + 1) / T_w), t = 0, 1, ... (Goyal et al. 2017).
    """
    peak, warmup = peak_rate(config), warmup_step_count(config)
    t = np.arange(config.steps if steps is None else steps, dtype=np.float64)
    ramp = np.minimum(1.0, (t + 1) / warmup) if warmup else np.ones_like(t)
    return (config.base_learning_rate + (peak - config.base_learning_rate) * ramp).astype(np.float32)


def flags(config: RunConfig) -> list[str]:
    """What a reader must know about the rates of this run, in plain words."""
    found = []
    warmup = warmup_step_count(config)
    if 0 < warmup < 30:
        found.append(f"warm-up lasts {warmup} steps, fewer than 30: the rate all but starts at its peak")
    if warmup > config.steps > 0 and config.kind == "accuracy":
        found.append(f"warm-up of {warmup} steps is longer than the run of {config.steps}: the peak is never reached")
    return found
