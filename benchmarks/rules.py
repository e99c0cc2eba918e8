"""Learning-rate rules: a rule is a pure function from a configuration to the rate of every step, float32[steps].

Rates are gathered by step inside the compiled loop, so warm-up and decay need no Keras schedule. kappa = B / B0; Bn is
the gradient noise scale in examples, measured before and given by the plan. Only adascale measures while it trains: its
rates are those of the reference batch, which the loop multiplies by the gain.
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


def _constant(config: RunConfig) -> float:
    return 1.0


def _linear(config: RunConfig) -> float:
    return config.kappa


def _sqrt(config: RunConfig) -> float:
    return math.sqrt(config.kappa)


def _noise_scale(config: RunConfig) -> float:
    """(1 + Bn/B0) / (1 + Bn/B): kappa while B << Bn, and never above 1 + Bn/B0.

    >>> from types import SimpleNamespace as run
    >>> _noise_scale(run(noise_scale=96.0, reference_batch=32, global_batch=96))
    2.0
    """
    noise = config.noise_scale
    return (1 + noise / config.reference_batch) / (1 + noise / config.global_batch)


def _surge(config: RunConfig) -> float:
    """(sqrt(Bn/B0) + sqrt(B0/Bn)) / (sqrt(Bn/B) + sqrt(B/Bn)): sqrt(kappa) while B << Bn, largest at B = Bn.

    >>> from types import SimpleNamespace as run
    >>> _surge(run(noise_scale=64.0, reference_batch=16, global_batch=64))
    1.25
    """
    def spread(batch: int) -> float:
        return math.sqrt(config.noise_scale / batch) + math.sqrt(batch / config.noise_scale)
    return spread(config.reference_batch) / spread(config.global_batch)


@dataclass(frozen=True)
class Rule:
    """How the peak rate follows the batch (eta(B) / eta0, 1 at B0), and whether a gradual warm-up leads to it.

    `warmup_from`: where that begins, as a multiple of eta0; None: no warm-up. `needs`: the key of the configuration, a
    measured or chosen number above 0, without which there is no such rule.
    """

    formula: str
    source: str
    factor: Callable[[RunConfig], float]
    warmup_from: float | None = None
    needs: str = ""

    @property
    def warmup(self) -> bool:
        return self.warmup_from is not None


RULES: dict[str, Rule] = {
    "constant": Rule("eta0", "baseline", _constant),
    "linear": Rule("kappa eta0, gradual warm-up", "Goyal et al. 2017, arXiv:1706.02677", _linear, warmup_from=1.0),
    "sqrt": Rule("sqrt(kappa) eta0", "Krizhevsky 2014, arXiv:1404.5997; Hoffer et al. 2017, arXiv:1705.08741", _sqrt),
    "adam_sqrt": Rule("sqrt(kappa) eta0; 1 - beta_i times kappa, epsilon over sqrt(kappa)",
                      "Malladi et al. 2022, arXiv:2205.10287", _sqrt),
    "legw": Rule("sqrt(kappa) eta0, warm-up of kappa times legw_epochs", "You et al. 2019, arXiv:1901.08256", _sqrt,
                 warmup_from=1.0, needs="legw_epochs"),
    "noise_scale": Rule("eta0 (1 + Bn/B0) / (1 + Bn/B)", "McCandlish et al. 2018, arXiv:1812.06162", _noise_scale,
                        needs="noise_scale"),
    "surge": Rule("eta0 (sqrt(Bn/B0) + sqrt(B0/Bn)) / (sqrt(Bn/B) + sqrt(B/Bn))", "Li et al. 2024, arXiv:2405.14578",
                  _surge, needs="noise_scale"),
    # eta0 is what the gain multiplies; the gain is measured, from 1 to kappa.
    "adascale": Rule("gain r_t times the reference batch's rate at step tau, tau += r_t, until tau reaches its steps",
                     "Johnson et al. 2020, arXiv:2007.05105", _constant),
    # Each trial is a run of its own, and its eta0 is the rate tried, which warm-up can but begin far below.
    "tuned": Rule("eta0, the best of those tried at this batch, gradual warm-up from 0",
                  "Shallue et al. 2019, arXiv:1811.03600; Goyal et al. 2017, arXiv:1706.02677", _constant,
                  warmup_from=0.0),
    # Not a scaling rule: the published comparison that keeps one model's weights from batch to batch.
    "as_published": Rule("eta0, weights carried from batch to batch", "baseline", _constant),
}


def peak_rate(config: RunConfig) -> float:
    """The rule's eta(B), reached after warm-up.

    >>> from types import SimpleNamespace as run
    >>> peak_rate(run(rule="sqrt", kappa=16.0, base_learning_rate=0.01))
    0.04
    """
    return RULES[config.rule].factor(config) * config.base_learning_rate


def warmup_length_epochs(config: RunConfig) -> float:
    """Epochs of warm-up: warmup_epochs, under legw kappa legw_epochs; 0 without warm-up and at kappa = 1."""
    if not RULES[config.rule].warmup or config.kappa == 1:
        return 0.0
    return config.legw_epochs * config.kappa if config.rule == "legw" else config.warmup_epochs


def warmup_step_count(config: RunConfig) -> int:
    """T_w = max(1, epochs of warm-up times floor(N / B)) for a rule with warm-up and kappa > 1, else 0."""
    if not RULES[config.rule].warmup or config.kappa == 1:
        return 0
    return max(1, round(warmup_length_epochs(config) * config.steps_per_epoch))


def rates(config: RunConfig, steps: int | None = None) -> Rates:
    """The learning rate of each step of the last phase, float32[steps].

    Warm-up is per iteration: eta_t = start + (peak - start) min(1, (t + 1) / T_w), t = 0, 1, ..., from start = eta0
    (Goyal et al. 2017), when tuned from 0; the decay's factor multiplies it. Under adascale: those of the reference
    batch's run, float32[its steps].
    """
    peak, warmup = peak_rate(config), warmup_step_count(config)
    count = config.steps if steps is None or config.adapts else steps
    t = np.arange(count, dtype=np.float64)
    ramp = np.minimum(1.0, (t + 1) / warmup) if warmup else np.ones_like(t)
    start = (RULES[config.rule].warmup_from or 0.0) * config.base_learning_rate
    rising = start + (peak - start) * ramp
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


def stability_bound(optimizer: str, momentum: float) -> float | None:
    """The eta lambda_max beyond which the update diverges on a quadratic; None for optimizers that rescale gradients.

    2 for gradient descent, 2 (1 + m) with momentum and 2 (1 + m) / (1 + 2 m) with Nesterov's: where a root of z^2 - (1
    + m - eta lambda) z + m, or of z^2 - (1 + m)(1 - eta lambda) z + m (1 - eta lambda), reaches -1.

    >>> stability_bound("momentum", 0.9)
    3.8
    """
    m = momentum
    return {"sgd": 2.0, "momentum": 2 * (1 + m), "nesterov": 2 * (1 + m) / (1 + 2 * m)}.get(optimizer)


def weight_kept_per_epoch(config: RunConfig) -> float | None:
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
