"""How the best rate of a tuned arm grows with its batch: best rate ~ batch^a, one law for each tuned experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...laws.rates.best_rate import best_rates, BestRate, TriedRate
from ...laws.rates.exponent import ExponentPrior, fit_rate_law, prior_for, RateLaw, too_few
from ...laws.rates.surface import fit_rate_surface, RateSurface
from ...statistics.estimate import Estimate, t_critical
from ...statistics.held_out import FARTHEST
from ...tables.outcome import Outcome
from ...tables.results import Results
from ...tables.tuned_rates import Trial, TunedBatch

NEXT = tuple(2.0 ** power for power in range(1, int(math.log2(FARTHEST)) + 1))  # times the largest batch tuned


@dataclass(frozen=True, eq=False)
class TunedLaw:
    """The best rates of one experiment's tuned arm, their law and the surface around them; None with a `note` of what
    they lack."""

    experiment: str
    placement: str
    optimizer: str
    outcome: Outcome
    tuned: tuple[TunedBatch, ...]
    best: tuple[BestRate, ...]
    prior: ExponentPrior
    law: RateLaw | None
    surface: RateSurface | None
    note: str

    @property
    def batches(self) -> tuple[int, ...]:
        """Return the batches at which rates were compared, ascending."""
        return tuple(one.global_batch for one in self.best)

    @property
    def next_rates(self) -> Mapping[int, Estimate]:
        """Return the rate that the law gives to batches beyond those tuned, as far as a law may be believed."""
        if self.law is None:
            return {}
        return {int(factor * self.batches[-1]): self.law.rate(factor * self.batches[-1]) for factor in NEXT}

    def to_json(self) -> dict[str, Any]:
        """Return the exponent, what it was shrunk towards, the best rates and those of the next batches."""
        law, surface = self.law, self.surface
        return {"experiment": self.experiment, "placement": self.placement, "optimizer": self.optimizer,
                "exponent": law.exponent.to_json() if law else None,
                "unshrunk": law.unshrunk.to_json() if law else None, "scatter": law.scatter if law else None,
                "prior": {**self.prior.estimate.to_json(), "source": self.prior.source},
                "best_rates": [{"global_batch": one.global_batch, "learning_rate": one.learning_rate.to_json(),
                                "lies_beyond": one.beyond} for one in self.best],
                "next_rates": [{"global_batch": batch, "learning_rate": rate.to_json()}
                               for batch, rate in self.next_rates.items()],
                "surface": surface.to_json() if surface else None, "note": self.note}


def tuned_laws(results: Results) -> tuple[TunedLaw, ...]:
    """Return the law of each experiment and placement with a tuned arm, in the plan's order."""
    optimizers = dict(zip(results.runs["experiment"], results.runs["optimizer"]))
    groups: dict[tuple[str, str], list[TunedBatch]] = {}
    for one in results.tuned:
        groups.setdefault((one.experiment, one.placement), []).append(one)
    return tuple(_law(own, str(optimizers.get(name, ""))) for (name, _), own in groups.items())


def _law(tuned: Sequence[TunedBatch], optimizer: str) -> TunedLaw:
    first, prior = tuned[0], prior_for(optimizer)
    best = best_rates([_tried(one.global_batch, trial) for one in tuned for trial in one.trials])
    return TunedLaw(first.experiment, first.placement, optimizer, first.chosen.outcome,
                    tuple(sorted(tuned, key=lambda one: one.global_batch)), best, prior, fit_rate_law(best, prior),
                    fit_rate_surface(best), too_few(best))


def _tried(batch: int, trial: Trial) -> TriedRate:
    """A trial that lost a seed counts as one that failed: those that survived are no fair sample."""
    found = trial.validation
    error = math.nan
    if found.has_interval and found.n > 1:
        error = (found.high - found.low) / 2 / float(t_critical(found.n - 1))
    value = math.nan if trial.lost or not trial.completed else -trial.outcome.sign * found.value
    return TriedRate(batch, trial.learning_rate, value, error)
