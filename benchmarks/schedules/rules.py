"""Learning-rate rules: a rule is a pure function from a configuration to the rate of every step, float32[steps].

Rates are gathered by step inside the compiled loop, so warm-up and decay need no Keras schedule. kappa = B / B0; Bn is
the gradient noise scale in examples, measured before and given by the plan. Only adascale measures while it trains: its
rates are those of the reference batch, which the loop multiplies by the gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..config.fields import RunFields


def _constant(config: RunFields) -> float:
    return 1.0


def _linear(config: RunFields) -> float:
    return config.kappa


def _sqrt(config: RunFields) -> float:
    return math.sqrt(config.kappa)


def _noise_scale(config: RunFields) -> float:
    """(1 + Bn/B0) / (1 + Bn/B): kappa while B << Bn, and never above 1 + Bn/B0.

    >>> from types import SimpleNamespace as run
    >>> _noise_scale(run(noise_scale=96.0, reference_batch=32, global_batch=96))
    2.0
    """
    noise = config.noise_scale
    return (1 + noise / config.reference_batch) / (1 + noise / config.global_batch)


def _surge(config: RunFields) -> float:
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
    factor: Callable[[RunFields], float]
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

TUNED_RULE = "tuned"
