"""The tuned arm: which learning rates are tried at a batch. Analysis picks among them by validation accuracy.

The rates do not depend on results, so a plan lists them all; every batch has as many, at the same places between the
ends of its range. Quasi-random points cover the range more evenly than random ones, and finer the more there are
(Bousquet et al. 2017, arXiv:1706.03200; Shallue et al. 2019, arXiv:1811.03600). Above the reference batch each trial
warms up as long as the linear rule does: without it, large rates fail at the start and the best one that lasts is low.

Under `halve_after` a plan lists how far each rate may be tried, and rates beyond those as well; which of these runs are
asked for is decided from records (`analysis/study/tuning/halving.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PlanError
from ..schedules.rules import TUNED_RULE
from .derived_keys import FEWEST_AT_A_LOOK, most_seeds, SEED_KEYS, seed_looks

FEWEST_TRIALS = 3
FEWEST_HALVED = 4
MOST_BEYOND = 3
"""Rates on either side of a plan's that may be tried beyond them, where the best one is the lowest or highest."""
HALVE_AFTER = "halve_after"
HALVING_KEYS = ("kind", "rules", "trials", HALVE_AFTER, *SEED_KEYS)
TO_THE_END = 0  # of `stops_after`
DIGITS = 6  # of a rate, so that its last bit, and with it the run's name, is the same on every machine


@dataclass(frozen=True)
class Halving:
    """Lengths to which the rates of a tuned arm are tried. epochs: after each of which the better half goes on; trials:
    rates at the start; counts: numbers of seeds at which rates are compared, the first of them until only those are
    left that are trained to the end."""

    epochs: tuple[int, ...]
    trials: int
    counts: tuple[int, ...]

    @property
    def seeds(self) -> int:
        """Return how many seeds decide which rates go on."""
        return self.counts[0]

    @property
    def stops(self) -> tuple[int, ...]:
        """Return the lengths to which rates are tried, as `stops_after` has them; the last one is the whole run."""
        return (*self.epochs, TO_THE_END)

    @property
    def places(self) -> tuple[float, ...]:
        """Return the place of each trial in the searched range, of which the ends are 0 and 1; first those of the plan,
        then those beyond them by even steps, by turns below and above.

        >>> Halving((2,), 4, (3,)).places[:6]
        (0.5, 0.25, 0.75, 0.125, -0.125, 1.0)
        """
        own, step = places(self.trials), 1 / self.trials
        beyond = [(min(own) - step * k, max(own) + step * k) for k in range(1, MOST_BEYOND + 1)]
        return (*own, *(place for pair in beyond for place in pair))

    def expected(self, trial: int, stops_after: int, seed: int) -> bool:
        """Return whether a trial is expected to be trained so far with this seed, the first one being 0, before
        anything is known: those in the middle of the range, half as many at each length; and to the end one more, which
        is beside the best. Seeds beyond those that decide which go on are for two that are not told apart."""
        at = self.stops.index(stops_after)
        count = self.trials // 2**at + (stops_after == TO_THE_END) if seed < self.seeds else 2
        nearest = sorted(range(self.trials), key=lambda one: (abs(self.places[one] - 0.5), one))
        return trial in nearest[:count]


def halving(experiment: Mapping[str, Any]) -> Halving | None:
    """Return how an experiment's tuned arm is halved; None where every rate is trained to the end."""
    if not experiment.get(HALVE_AFTER) or TUNED_RULE not in experiment["rules"] \
            or experiment.get("kind", "accuracy") != "accuracy":
        return None
    most = most_seeds(experiment)
    counts = (min(FEWEST_AT_A_LOOK, most), *(seed_looks(experiment) or (most,)))
    return Halving(tuple(experiment[HALVE_AFTER]), int(experiment["trials"]), tuple(dict.fromkeys(counts)))


def places(trials: int) -> list[float]:
    """Return the places of the rates in the searched range: Halton's points in base 2 after the first, 0."""
    from scipy.stats import qmc
    return [float(u) for u in qmc.Halton(d=1, scramble=False).random(trials + 1)[1:, 0]]


def trial_rates(middle: float, trials: int, search: tuple[float, float]) -> list[float]:
    """Return the rates of a plan that is not halved, float[trials].

    >>> trial_rates(0.01, 3, (0.1, 10))
    [0.01, 0.00316228, 0.0316228]
    """
    return rates_at(middle, places(trials), search)


def rates_at(middle: float, at: Sequence[float], search: tuple[float, float]) -> list[float]:
    """Return the rates at these places u of the searched range: low (high / low)^u `middle`."""
    low, high = search
    return [float(f"{middle * low * (high / low) ** u:.{DIGITS}g}") for u in at]


def batch_rates(experiment: Mapping[str, Any], base_learning_rate: float, batch: int) -> list[float]:
    """Return the rates that may be tried at a batch, around sqrt(kappa) eta0, what the square-root rule would give
    there: as many as there are trials, and under `halve_after` those beyond them."""
    middle = math.sqrt(batch / experiment["reference_batch"]) * base_learning_rate
    halved = halving(experiment)
    return rates_at(middle, halved.places if halved else places(experiment["trials"]), experiment["search"])


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
    if experiment[HALVE_AFTER]:
        _check_halving(experiment, where)


def _check_halving(experiment: Mapping[str, Any], where: str) -> None:
    """Check that rates can be halved where the plan says, and that there are enough of them. Raises PlanError."""
    after, trials, epochs = list(experiment[HALVE_AFTER]), experiment["trials"], experiment["epochs"]
    if after != sorted(set(after)) or not 0 < after[0] <= after[-1] < epochs:
        raise PlanError(f"{where}: halve_after = {after} must be whole epochs, ascending, above 0 and below epochs = "
                        f"{epochs}, such as [{max(1, epochs // 4)}].")
    if trials < (fewest := max(FEWEST_HALVED, 2**(len(after) + 1))):
        raise PlanError(f"{where}: trials = {trials} halved after {after} leaves fewer than two rates to compare at "
                        f"the end; give at least {fewest} trials, or fewer epochs in halve_after.")
    for key in ("strategies", "replicas", "nodes"):
        if len(experiment[key]) > 1:
            raise PlanError(f"{where}: halve_after = {after} with {key} = {list(experiment[key])}: rates are compared "
                            "at one placement as they come in; give one, and take the rates found for the others.")


def runs_per_seed(experiment: Mapping[str, Any]) -> int:
    """Return the most accuracy runs that one seed may have at one batch, over all rules."""
    rules = len(experiment["rules"])
    if TUNED_RULE not in experiment["rules"]:
        return rules
    halved = halving(experiment)
    return rules - 1 + (len(halved.places) * len(halved.stops) if halved else int(experiment["trials"]))
