"""The tuned arm: which learning rates are tried at a batch. Analysis picks among them by validation accuracy.

The rates do not depend on results, so a plan lists them all; every batch has as many, at the same places between the
ends of its range. Quasi-random points cover the range more evenly than random ones, and finer the more there are
(Bousquet et al. 2017, arXiv:1706.03200; Shallue et al. 2019, arXiv:1811.03600). Above the reference batch each trial
warms up as long as the linear rule does: without it, large rates fail at the start and the best one that lasts is low.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import PlanError
from ..schedules.rules import TUNED_RULE

FEWEST_TRIALS = 3
DIGITS = 6  # of a rate, so that its last bit, and with it the run's name, is the same on every machine


def trial_rates(middle: float, trials: int, search: tuple[float, float]) -> list[float]:
    """Return the rates, float[trials]: low (high / low)^u `middle`, u Halton's points in base 2 after the first, 0.

    >>> trial_rates(0.01, 3, (0.1, 10))
    [0.01, 0.00316228, 0.0316228]
    """
    from scipy.stats import qmc
    low, high = search
    points = qmc.Halton(d=1, scramble=False).random(trials + 1)[1:, 0]
    return [float(f"{middle * low * (high / low) ** u:.{DIGITS}g}") for u in points]


def batch_rates(experiment: Mapping[str, Any], base_learning_rate: float, batch: int) -> list[float]:
    """Return the rates tried at a batch, float[trials], around sqrt(kappa) eta0, what the square-root rule would give
    there."""
    middle = math.sqrt(batch / experiment["reference_batch"]) * base_learning_rate
    return trial_rates(middle, experiment["trials"], experiment["search"])


def check(experiment: Mapping[str, Any], where: str) -> None:
    """Raise PlanError where an experiment with a tuned arm cannot be tuned with its trials, search or validation
    data."""
    if TUNED_RULE not in experiment["rules"] or experiment["kind"] != "accuracy":
        return
    trials, search = experiment["trials"], experiment["search"]
    if trials < FEWEST_TRIALS:
        raise PlanError(f"{where}: trials = {trials} leaves the best rate at the edge of those tried; give at least "
                        f"{FEWEST_TRIALS}.")
    if len(search) != 2 or not 0 < search[0] < search[1]:
        raise PlanError(f"{where}: search = {list(search)} must be [low, high], factors of the square-root rule's rate "
                        "with 0 < low < high, for example [0.1, 10].")
    if not experiment["validation_fraction"] > 0:
        raise PlanError(f"{where}: the tuned arm is chosen by validation accuracy and validation_fraction = 0 leaves "
                        "nothing to choose by; raise it, or take \"tuned\" out of rules.")


def runs_per_seed(experiment: Mapping[str, Any]) -> int:
    """Return the number of accuracy runs of one seed at one batch, over all rules."""
    rules = len(experiment["rules"])
    return int(rules + experiment["trials"] - 1) if TUNED_RULE in experiment["rules"] else rules
