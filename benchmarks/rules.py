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

from .decays import factors

if TYPE_CHECKING:
    from .config import RunConfig

Rates = NDArray[np.float32]
LARGEST_STEP = 1 - 1e-9  # of kappa (1 - beta); from here on the scaled beta is 0


@dataclass(frozen=True)
class AdamConstants:
    """Adam's coefficients; the defaults are Keras'."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


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
    "adam_sqrt": Rule("sqrt(kappa) eta0; 1 - beta_i times kappa, epsilon over sqrt(kappa)",
                      "Malladi et al. 2022, arXiv:2205.10287", math.sqrt),
    # Each trial is a run of its own, and its eta0 is the rate tried.
    "tuned": Rule("eta0, the best of those tried at this batch", "Shallue et al. 2019, arXiv:1811.03600",
                  lambda kappa: 1.0),
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

    Warm-up is per iteration: eta_t = eta0 + (peak - eta0) min(1, (t + 1) / T_w), t = 0, 1, ... (Goyal et al. 2017);
    the decay's factor multiplies it.
    """
    peak, warmup = peak_rate(config), warmup_step_count(config)
    t = np.arange(config.steps if steps is None else steps, dtype=np.float64)
    ramp = np.minimum(1.0, (t + 1) / warmup) if warmup else np.ones_like(t)
    rising = config.base_learning_rate + (peak - config.base_learning_rate) * ramp
    return (rising * factors(config, len(t))).astype(np.float32)


def adam_constants(config: RunConfig) -> AdamConstants:
    """Adam's betas and epsilon in this run; under adam_sqrt they follow kappa.

    >>> from types import SimpleNamespace as run
    >>> scaled = adam_constants(run(rule="adam_sqrt", kappa=4.0))
    >>> [round(value, 12) for value in (scaled.beta_1, scaled.beta_2, scaled.epsilon)]
    [0.6, 0.996, 5e-08]
    """
    if config.rule != "adam_sqrt":
        return AdamConstants()
    kappa, given = config.kappa, AdamConstants()
    steps = [kappa * (1 - beta) for beta in (given.beta_1, given.beta_2)]
    beta_1, beta_2 = (0.0 if step >= LARGEST_STEP else 1 - step for step in steps)
    return AdamConstants(beta_1, beta_2, given.epsilon / math.sqrt(kappa))


def flags(config: RunConfig) -> list[str]:
    """What a reader must know about the rates of this run, in plain words."""
    found = []
    warmup = warmup_step_count(config)
    if 0 < warmup < 30:
        found.append(f"warm-up lasts {warmup} steps, fewer than 30: the rate all but starts at its peak")
    if warmup > config.steps > 0 and config.kind == "accuracy":
        found.append(f"warm-up of {warmup} steps is longer than the run of {config.steps}: the peak is never reached")
    constants = adam_constants(config)
    for name, beta in (("beta_1", constants.beta_1), ("beta_2", constants.beta_2)):
        if beta == 0:
            found.append(f"adam_sqrt leaves its domain at kappa = {config.kappa:g}: {name} would fall to 0 or below, "
                         "and is held at 0")
    late = [epoch for epoch in config.decay_epochs if epoch >= config.epochs]
    if late and config.kind == "accuracy":
        found.append(f"decay at epoch {late[0]:g} never comes: the run ends after {config.epochs}")
    return found
