"""The learning rate of every step of a run: the rule's peak, the warm-up that leads to it, and the decay after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.fields import RunFields
from .decays import factors
from .rules import RULES

Rates = NDArray[np.floating[Any]]


def peak_rate(config: RunFields) -> float:
    """Return the rule's eta(B), reached after warm-up.

    >>> from types import SimpleNamespace as run
    >>> peak_rate(run(rule="sqrt", kappa=16.0, base_learning_rate=0.01))
    0.04
    """
    return RULES[config.rule].factor(config) * config.base_learning_rate


def warmup_length_epochs(config: RunFields) -> float:
    """Return the epochs of warm-up: warmup_epochs, under legw kappa legw_epochs; 0 without warm-up and at kappa = 1."""
    if not RULES[config.rule].warmup or config.kappa == 1:
        return 0.0
    return RULES[config.rule].warmup_epochs(config)


def warmup_step_count(config: RunFields) -> int:
    """Return T_w = max(1, epochs of warm-up times the steps of one) for a rule with warm-up and kappa > 1, else 0."""
    if not RULES[config.rule].warmup or config.kappa == 1:
        return 0
    return max(1, round(warmup_length_epochs(config) * config.steps_per_epoch))


def rates(config: RunFields, steps: int | None = None, dtype: type[np.floating[Any]] = np.float32) -> Rates:
    """Return the learning rate of each step of the last phase, `dtype`[steps].

    Warm-up is per iteration: eta_t = start + (peak - start) f(min(1, (t + 1) / T_w)), t = 0, 1, ..., from start = eta0
    (Goyal et al. 2017), when tuned from 0, with the rule's shape f, f(s) = s where it has no other; the decay's factor
    multiplies it. Under adascale: those of the reference batch's run, float32[its steps].
    """
    rule, peak, warmup = RULES[config.rule], peak_rate(config), warmup_step_count(config)
    count = config.steps if steps is None or config.adapts else steps
    t = np.arange(count, dtype=np.float64)
    ramp = np.minimum(1.0, (t + 1) / warmup) if warmup else np.ones_like(t)
    start = (rule.warmup_from or 0.0) * config.base_learning_rate
    rising = start + (peak - start) * rule.warmup_shape(ramp)
    return (rising * factors(config, len(t))).astype(dtype)
