"""Adam's coefficients in a run; under the rule adam_sqrt they follow the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.fields import RunFields
from .rules import RULES

LARGEST_STEP = 1 - 1e-9  # of kappa (1 - beta); from here on the scaled beta is 0


@dataclass(frozen=True)
class AdamConstants:
    """Adam's coefficients; the defaults are Keras'."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


def adam_constants(config: RunFields) -> AdamConstants:
    """Return Adam's betas and epsilon in this run; under adam_sqrt they follow kappa.

    There 1 - beta grows by kappa, up to 1, and epsilon shrinks by its square root.

    >>> from types import SimpleNamespace as run
    >>> scaled = adam_constants(run(rule="adam_sqrt", kappa=4.0))
    >>> [round(value, 12) for value in (scaled.beta_1, scaled.beta_2, scaled.epsilon)]
    [0.6, 0.996, 5e-08]
    """
    if not RULES[config.rule].scales_adam:
        return AdamConstants()
    kappa, given = config.kappa, AdamConstants()
    steps = [kappa * (1 - beta) for beta in (given.beta_1, given.beta_2)]
    beta_1, beta_2 = (0.0 if step >= LARGEST_STEP else 1 - step for step in steps)
    return AdamConstants(beta_1, beta_2, given.epsilon / math.sqrt(kappa))
