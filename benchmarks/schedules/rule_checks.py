"""What single rules ask of the run that follows them, before any rank starts."""

from __future__ import annotations

import math

from ..config.fields import RunFields
from ..errors import PlanError


def check_legw(config: RunFields) -> None:
    """Check that the run is as long as its warm-up. Raises PlanError with the largest batch that fits."""
    length = config.legw_epochs * config.kappa if config.kappa != 1 else 0.0
    if length > config.epochs:
        parts = config.replicas * config.accumulation
        fits = math.floor(config.epochs * config.reference_batch / config.legw_epochs) // parts * parts
        raise PlanError(f"rule='legw' warms up for {length:g} epochs at global_batch={config.global_batch}, "
                        f"legw_epochs {config.legw_epochs:g} times kappa {config.kappa:g}, longer than the run of "
                        f"{config.epochs}; the largest batch that fits is {fits}. Leave the batch out, lower "
                        f"legw_epochs, or raise epochs to {math.ceil(length)}.")


def check_adascale(config: RunFields) -> None:
    """Check that there is a larger batch, and several gradients to measure the gain by. Raises PlanError."""
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
