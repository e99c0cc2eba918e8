"""Learning-rate rules: a rule is a pure function from a configuration to the rate of every step, float32[steps].

Rates are gathered by step inside the compiled loop, so warm-up and decay need no Keras schedule. kappa = B / B0; Bn is
the gradient noise scale in examples, measured before and given by the plan. Only adascale measures while it trains: its
rates are those of the reference batch, which the loop multiplies by the gain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.choices import MEASURED_RULE
from ..config.fields import RunFields
from ..config.optimizers import OPTIMIZERS
from .rule_checks import check_adascale, check_legw

SHARED_RULE = "constant"  # one run of it at the reference batch stands for every rule that has none of its own
TUNED_RULE = "tuned"
PUBLISHED_RULE = "as_published"
Steps = NDArray[np.float64]
ADAMS = ("adam", "adamw")  # the optimizers whose coefficients adam_sqrt scales, and that surge is derived for
PLAIN = tuple(name for name, spec in OPTIMIZERS.items() if spec.stability is not None)  # steps along the gradient
NEEDED = {"noise_scale": "the gradient noise scale Bn in examples. Measure it first: an experiment with rules = ["
                         "'constant'] and, say, noise_batches = [8, 64, 512]; then set noise_scale to the run average "
                         "in its report's section 'Gradient noise'",
          "rate_exponent": "the exponent a of best rate ~ batch^a. Measure it first: an experiment with rules = ["
                           "'tuned'] and three global_batches or more; then set rate_exponent to the exponent in its "
                           "report's section 'How the best rate grows with the batch'",
          "legw_epochs": "the epochs of warm-up that the reference batch trains with; it is part of the recipe that "
                         "is scaled and has no default"}


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


def _power(config: RunFields) -> float:
    """kappa^a.

    >>> from types import SimpleNamespace as run
    >>> _power(run(rate_exponent=0.25, kappa=16.0))
    2.0
    """
    return float(config.kappa ** config.rate_exponent)


def _plan_warmup(config: RunFields) -> float:
    return config.warmup_epochs


def _legw_warmup(config: RunFields) -> float:
    return config.legw_epochs * config.kappa


def _straight(done: Steps) -> Steps:
    return done


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Everything that is known of one rule; its place in RULES is its place in every table, and its colour.

    `factor`: eta(B) / eta0, 1 at B0; `power`: of kappa, where the factor is one and no rule before has the same: what a
    measured exponent is compared with. `words` follows "At ... , batch 512", and `article` follows "Batch 512 loses 2
    points". `warmup_from`: where a gradual warm-up begins, as a multiple of eta0; None: no warm-up. `warmup_epochs`:
    its length. `warmup_shape`: how far the rate has come from there to the peak, elementwise and from 0 to 1, by the
    share of the warm-up's steps that is done. `needs`: the key of the configuration, a measured or chosen number above
    0, without which there is no such rule; NEEDED says how to get it. `optimizers`: the ones it is made for (empty:
    all), and `unfit` why not the others. `own_reference`: its runs at the reference batch are not those of the shared
    rule. `own_budget`: its runs are not as many epochs long as the others'. `adapts`: the gain is measured while
    training, as `RunFields.adapts` says. `scales_adam`: Adam's coefficients follow the batch. `check` raises PlanError
    where a run cannot follow it.
    """

    formula: str
    source: str
    factor: Callable[[RunFields], float]
    words: str
    article: str
    power: float | None = None
    warmup_from: float | None = None
    warmup_epochs: Callable[[RunFields], float] = _plan_warmup
    warmup_shape: Callable[[Steps], Steps] = _straight
    needs: str = ""
    optimizers: tuple[str, ...] = ()
    unfit: str = ""
    own_reference: bool = False
    own_budget: bool = False
    adapts: bool = False
    scales_adam: bool = False
    check: Callable[[RunFields], None] | None = None

    @property
    def warmup(self) -> bool:
        """Whether runs above the reference batch warm up."""
        return self.warmup_from is not None

    @property
    def follows_plan_warmup(self) -> bool:
        """Whether the length of that warm-up is the plan's warmup_epochs."""
        return self.warmup and self.warmup_epochs is _plan_warmup


# A new rule goes to the end: the colours of the figures go by position.
RULES: dict[str, Rule] = {
    SHARED_RULE: Rule(
        formula="eta0", source="baseline", factor=_constant, words="the constant rate", article="at the constant rate",
        power=0.0),
    "linear": Rule(
        formula="kappa eta0, gradual warm-up", source="Goyal et al. 2017, arXiv:1706.02677", factor=_linear,
        words="the linear rule", article="under the linear rule", power=1.0,
        warmup_from=1.0),
    "sqrt": Rule(
        formula="sqrt(kappa) eta0", source="Krizhevsky 2014, arXiv:1404.5997; Hoffer et al. 2017, arXiv:1705.08741",
        factor=_sqrt, words="the square-root rule", article="under the square-root rule", power=0.5),
    "adam_sqrt": Rule(
        formula="sqrt(kappa) eta0; 1 - beta_i times kappa, epsilon over sqrt(kappa)",
        source="Malladi et al. 2022, arXiv:2205.10287", factor=_sqrt,
        words="the square-root rule that scales Adam's coefficients too", article="where Adam's coefficients scale too",
        optimizers=ADAMS, unfit="scales Adam's coefficients, which {optimizer} has not; use rule='sqrt', or",
        scales_adam=True),
    "legw": Rule(
        formula="sqrt(kappa) eta0, warm-up of kappa times legw_epochs", source="You et al. 2019, arXiv:1901.08256",
        factor=_sqrt, words="the LEGW rule", article="under the LEGW rule", warmup_from=1.0,
        warmup_epochs=_legw_warmup, needs="legw_epochs", check=check_legw),
    "noise_scale": Rule(
        formula="eta0 (1 + Bn/B0) / (1 + Bn/B)", source="McCandlish et al. 2018, arXiv:1812.06162",
        factor=_noise_scale, words="the noise-scale rule", article="under the noise-scale rule", needs="noise_scale"),
    "surge": Rule(
        formula="eta0 (sqrt(Bn/B0) + sqrt(B0/Bn)) / (sqrt(Bn/B) + sqrt(B/Bn))",
        source="Li et al. 2024, arXiv:2405.14578", factor=_surge, words="the surge rule",
        article="under the surge rule", needs="noise_scale", optimizers=ADAMS,
        unfit="is derived for Adam-like updates, and {optimizer} is none; use rule='noise_scale', or"),
    # eta0 is what the gain multiplies; the gain is measured, from 1 to kappa.
    MEASURED_RULE: Rule(
        formula="gain r_t times the reference batch's rate at step tau, tau += r_t, until tau reaches its steps",
        source="Johnson et al. 2020, arXiv:2007.05105", factor=_constant, words="AdaScale's measured rate",
        article="under AdaScale, in more epochs", optimizers=PLAIN, own_budget=True, adapts=True,
        unfit="is derived for steps along the gradient, and {optimizer} rescales them;", check=check_adascale),
    # Each trial is a run of its own, and its eta0 is the rate tried, which warm-up can but begin far below.
    TUNED_RULE: Rule(
        formula="eta0, the best of those tried at this batch, gradual warm-up from 0",
        source="Shallue et al. 2019, arXiv:1811.03600; Goyal et al. 2017, arXiv:1706.02677", factor=_constant,
        words="the tuned rate", article="at rates tuned batch by batch", warmup_from=0.0, own_reference=True),
    # Not a scaling rule: the published comparison that keeps one model's weights from batch to batch.
    PUBLISHED_RULE: Rule(
        formula="eta0, weights carried from batch to batch", source="baseline", factor=_constant,
        words="the constant rate on weights carried from batch to batch",
        article="on weights carried from batch to batch", own_reference=True),
    "measured": Rule(
        formula="kappa^a eta0, a measured by a tuned arm, gradual warm-up", source="the plan's rate_exponent",
        factor=_power, words="the rule whose exponent was measured",
        article="under the rule whose exponent was measured", warmup_from=1.0, needs="rate_exponent"),
}
# What an exponent is compared with.
POWERS = {name: rule.power for name, rule in RULES.items() if rule.power is not None}


def rule_order(name: str) -> tuple[int, str]:
    """Return the sort key of a rule: its place in RULES; rules that are not known, as imported runs have, come last."""
    return (list(RULES).index(name) if name in RULES else len(RULES), name)


def has_own_reference(name: str) -> bool:
    """Return whether the rule's runs at the reference batch are its own, and not those of the shared rule."""
    return name in RULES and RULES[name].own_reference


def has_own_budget(name: str) -> bool:
    """Return whether the rule's runs are not as many epochs long as those of the others."""
    return name in RULES and RULES[name].own_budget


def is_measured(name: str) -> bool:
    """Return whether the rule measures its gain, and with it the number of steps, while training."""
    return name in RULES and RULES[name].adapts
