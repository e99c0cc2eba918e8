"""What a rule asks of the run that follows it: optimizer, measured numbers, replicas, room for its warm-up.

Raises PlanError naming the rule, the value and the fix, before any rank starts.
"""

from __future__ import annotations

import math

from ..config.choices import ADAMS
from ..errors import PlanError
from ..schedules.rates import warmup_length_epochs
from ..schedules.rules import RULES
from ..config.fields import RunFields

ADAM_RULES = {"adam_sqrt": ("scales Adam's coefficients, which", "has not; use rule='sqrt'"),
              "surge": ("is derived for Adam-like updates, and", "is none; use rule='noise_scale'")}
PLAIN_OPTIMIZERS = ("sgd", "momentum", "nesterov")
HOW_TO_GET = {
    "noise_scale": "the gradient noise scale Bn in examples. Measure it first: an experiment with rules = ["
                   "'constant'] and, say, noise_batches = [8, 64, 512]; then set noise_scale to the run average in "
                   "its report's section 'Gradient noise'",
    "legw_epochs": "the epochs of warm-up that the reference batch trains with; it is part of the recipe that is "
                   "scaled and has no default",
}


def validate_rule(config: RunFields) -> None:
    """Needs valid batches and placement. Raises PlanError."""
    _validate_optimizer(config)
    for name, how in HOW_TO_GET.items():
        if RULES[config.rule].needs == name and not getattr(config, name) > 0:
            raise PlanError(f"rule={config.rule!r} needs {name}, {how}.")
        if RULES[config.rule].needs != name and getattr(config, name):
            raise PlanError(f"{name}={getattr(config, name):g} has no meaning for rule={config.rule!r}; leave it out.")
    if config.rule == "legw":
        _validate_warmup(config)
    if config.adapts:
        _validate_adascale(config)


def _validate_optimizer(config: RunFields) -> None:
    if config.rule in ADAM_RULES and config.optimizer not in ADAMS:
        why, fix = ADAM_RULES[config.rule]
        raise PlanError(f"rule={config.rule!r} {why} optimizer={config.optimizer!r} {fix}, or choose one of "
                        f"{', '.join(ADAMS)}.")
    if config.adapts and config.optimizer not in PLAIN_OPTIMIZERS:
        raise PlanError(f"rule='adascale' is derived for steps along the gradient, and optimizer={config.optimizer!r} "
                        f"rescales them; choose one of {', '.join(PLAIN_OPTIMIZERS)}.")


def _validate_warmup(config: RunFields) -> None:
    length = warmup_length_epochs(config)
    if length > config.epochs:
        parts = config.replicas * config.accumulation
        fits = math.floor(config.epochs * config.reference_batch / config.legw_epochs) // parts * parts
        raise PlanError(f"rule='legw' warms up for {length:g} epochs at global_batch={config.global_batch}, "
                        f"legw_epochs {config.legw_epochs:g} times kappa {config.kappa:g}, longer than the run of "
                        f"{config.epochs}; the largest batch that fits is {fits}. Leave the batch out, lower "
                        f"legw_epochs, or raise epochs to {math.ceil(length)}.")


def _validate_adascale(config: RunFields) -> None:
    if config.kind != "accuracy" or config.earlier_batches:
        raise PlanError("rule='adascale' decides while training when a run ends, so it belongs to kind='accuracy' and "
                        "to one batch; use rule='constant'.")
    if config.kappa < 1:
        raise PlanError(f"rule='adascale' scales up from reference_batch={config.reference_batch}, not down to "
                        f"global_batch={config.global_batch}; lower reference_batch or leave the batch out.")
    if config.kappa > 1 and config.replicas * config.accumulation == 1:
        ways = config.global_batch // math.gcd(config.global_batch, config.reference_batch)
        raise PlanError("rule='adascale' measures its gain from the gradients of several replicas or micro-batches, "
                        f"and this run has one at global_batch={config.global_batch}; set accumulation = {ways}, or "
                        "use more replicas.")
