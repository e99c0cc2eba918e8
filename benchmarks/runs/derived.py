"""What a reader must know about the rates of a run, in plain words; each ends up in the record's warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..schedules.adam import adam_constants
from ..schedules.rates import peak_rate, warmup_length_epochs, warmup_step_count
from ..schedules.stability import stability_bound, weight_kept_per_epoch
from .run_config import RunConfig
from .run_warnings import PEAK_NEVER_REACHED


def derived(config: RunConfig) -> dict[str, Any]:
    """Return what follows from the configuration, for records and people."""
    return {
        "replica_batch": config.replica_batch, "steps_per_epoch": config.steps_per_epoch, "steps": config.steps,
        "peak_learning_rate": peak_rate(config), "warmup_steps": warmup_step_count(config),
        "kappa": config.kappa, "weight_kept_per_epoch": weight_kept_per_epoch(config), "shape": config.shape,
        "alone": config.alone, "flags": flags(config),
    }


def flags(config: RunConfig) -> list[str]:
    """Return what a reader must know about the rates of this run, in plain words; empty where there is nothing."""
    found = []
    warmup = warmup_step_count(config)
    if 0 < warmup < 30:
        found.append(f"warm-up lasts {warmup} steps, fewer than 30: the rate all but starts at its peak")
    if warmup > config.steps > 0 and config.kind == "accuracy":
        found.append(PEAK_NEVER_REACHED.sentence(warmup=warmup, steps=config.steps))
    constants = adam_constants(config)
    for name, beta in (("beta_1", constants.beta_1), ("beta_2", constants.beta_2)):
        if beta == 0:
            found.append(f"adam_sqrt leaves its domain at kappa = {config.kappa:g}: {name} would fall to 0 or below, "
                         "and is held at 0")
    if config.decay in ("cosine", "polynomial") and warmup_length_epochs(config) > config.warmup_epochs:
        found.append(f"decay begins after {config.warmup_epochs:g} epochs, before the warm-up of "
                     f"{warmup_length_epochs(config):g} epochs ends: the peak is never reached")
    late = [epoch for epoch in config.decay_epochs if epoch >= config.epochs]
    if late and config.kind == "accuracy":
        found.append(f"decay at epoch {late[0]:g} never comes: the run ends after {config.epochs}")
    return found


def instabilities(config: RunConfig, sharpness: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the sentences of `instability` for the record's rows of sharpness; rows within the bound give none."""
    found = (instability(config, row["learning_rate"], row["eigenvalue"]) for row in sharpness)
    return [sentence for sentence in found if sentence]


def instability(config: RunConfig, rate: float, eigenvalue: float) -> str:
    """Return a sentence where the rate is beyond the bound of stability at the sharpness measured; else "".

    `eigenvalue`: the top Hessian eigenvalue lambda where training ended, `rate`: that of the last step.
    """
    bound = stability_bound(config.optimizer, config.momentum)
    if bound is None or not rate * eigenvalue > bound:
        return ""
    return (f"rate times top Hessian eigenvalue is {rate * eigenvalue:.3g} at the end, beyond the {bound:.3g} at which "
            f"{config.optimizer} is stable on a quadratic")
