"""One card for each experiment with an accuracy or loss: what to train with, what it costs and saves, and how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...decision.decision import Decision
from ...decision.options import ALONE, Option
from ...decision.recommendation import Recommendation
from ...decision.sentences import published, trained
from ...statistics.estimate import Estimate
from ...statistics.ratio import quotient
from ...study.arms import Arm
from ...study.batch_gaps import gap_at_end
from ...study.non_inferiority import standard
from ...study.study import Study
from ...study.timing.steadiness import unsteady_points
from ...tables.outcome import Outcome


@dataclass(frozen=True)
class Lost:
    """Loss of a batch on the test data under a rule against the reference batch, paired by seed."""

    rule: str
    global_batch: int
    lost: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return the loss for decision.json; that of an accuracy is a fraction."""
        return {"rule": self.rule, "global_batch": self.global_batch, "gap": self.lost.to_json()}


@dataclass(frozen=True)
class Card:
    """Answer for one experiment, and the numbers that its pictures show.

    reference: the option at the reference batch that was timed as the recommended one was. lost: of every larger batch.
    share_of_time: training time of the recommended option over that of `reference`; unknown where both are one, or the
    launches that timed them vary too widely (`unsteady`). timed: options at the recommended batch and rule that were
    timed alike. decide: the keys of a plan that would decide what is open, "" where nothing is. published: what a model
    trained on from batch to batch would make believe, "" where it was not tried.
    """

    recommendation: Recommendation
    outcome: Outcome
    seeds: int
    rules: tuple[str, ...]
    reference_batch: int
    reference: Option | None
    kept: tuple[int, ...]
    lost: tuple[Lost, ...]
    apart: tuple[tuple[str, int, str], ...]
    share_of_time: Estimate | None
    unsteady: bool
    timed: tuple[Option, ...]
    decide: tuple[str, ...]
    published: str = ""

    @property
    def experiment(self) -> str:
        """Return the name of the experiment."""
        return self.recommendation.experiment

    @property
    def option(self) -> Option | None:
        """Return the recommended option; None where nothing is recommended."""
        return self.recommendation.option

    @property
    def trained(self) -> str:
        """Return in words what was trained, such as Adam on mlp_128."""
        one = self.recommendation
        return trained(one.optimizer, one.model, one.loss)

    def to_json(self) -> dict[str, Any]:
        """Return the card's numbers for decision.json; options are named by batch, rule and placement."""
        timed = [{"global_batch": one.global_batch, "rule": one.rule, "placement": one.placement,
                  "seconds": one.seconds.to_json()} for one in self.timed]
        return {"experiment": self.experiment, "trained": self.trained, "seeds": self.seeds, "rules": list(self.rules),
                "reference_batch": self.reference_batch, "kept_batches": list(self.kept),
                "lost": [one.to_json() for one in self.lost],
                "share_of_time": self.share_of_time.to_json() if self.share_of_time else None,
                "launches_vary_too_widely": self.unsteady, "timed": timed, "decide": list(self.decide),
                "published": self.published}

    @property
    def own_loss(self) -> Estimate | None:
        """Return what the recommended batch loses; None at the reference batch."""
        chosen = self.option
        found = (one.lost for one in self.lost if chosen and (one.rule, one.global_batch)
                 == (chosen.rule, chosen.global_batch))
        return next(found, None)


def cards_of(study: Study, decided: Decision) -> tuple[Card, ...]:
    """Return a card for each recommendation or refusal, in the plan's order of experiments."""
    arms = study.arms_by_experiment
    unsteady = {(point.placement, point.global_batch) for point in unsteady_points(study.timing)}
    return tuple(_card(one, arms[one.experiment],
                       [option for option in decided.options if option.experiment == one.experiment], unsteady,
                       decided.plan_lines.get(one.experiment, ()), published(study.results, arms[one.experiment][0]))
                 for one in decided.recommendations)


def _card(one: Recommendation, arms: Sequence[Arm], options: Sequence[Option], unsteady: set[tuple[str, int]],
          decide: tuple[str, ...], published: str) -> Card:
    first, best = arms[0], standard(arms)
    chosen, reference = one.option, best.reference_batch
    alike = [option for option in options if chosen and (option.placement, option.timed)
             == (chosen.placement, chosen.timed)]
    base = min((option for option in alike if option.global_batch == reference),
               key=lambda option: option.seconds.value, default=None)
    kept = sorted({option.global_batch for option in options if option.not_worse and option.global_batch > reference})
    doubtful = bool(chosen and base and chosen.timed == ALONE and any(
        (option.placement, option.global_batch) in unsteady for option in (chosen, base)))
    share = quotient(chosen.seconds, base.seconds) if chosen and base and chosen is not base and not doubtful else None
    return Card(one, first.outcome, int(first.runs["seed"].nunique()), tuple(arm.rule for arm in arms), reference, base,
                tuple(kept), _lost(arms, best), tuple((arm.rule, batch, what) for arm in arms
                                                      for batch, what in arm.apart.items()),
                share if share and math.isfinite(share.value) else None, doubtful,
                _timed(chosen, base, options), decide, published)


def _lost(arms: Sequence[Arm], best: Arm) -> tuple[Lost, ...]:
    metric = best.outcome.test
    if best.reference_batch not in best.at_end(metric):
        return ()
    found = [Lost(arm.rule, batch, gap_at_end(arm, best, batch, metric).estimate) for arm in arms
             for batch in arm.larger]
    return tuple(replace(one, lost=one.lost.within(-best.outcome.span, best.outcome.span).per("seeds"))
                 for one in found if math.isfinite(one.lost.value))


def _timed(chosen: Option | None, base: Option | None, options: Sequence[Option]) -> tuple[Option, ...]:
    """The reference batch, then the chosen batch and rule wherever its time was taken in the chosen one's way."""
    if chosen is None:
        return ()
    same = [one for one in options if (one.global_batch, one.rule) == (chosen.global_batch, chosen.rule)]
    alone = [one for one in same if one.timed == ALONE]
    several = len({one.replicas for one in alone}) > 1 and any(one.replicas == chosen.replicas for one in alone)
    shown = alone if several else [one for one in same if one.timed == chosen.timed]
    first = [base] if base and base.timed == shown[0].timed and base.global_batch != chosen.global_batch else []
    ordered = sorted(shown, key=lambda one: (one.fewest_first, one.seconds.value))
    return tuple(one for one in (*first, *ordered) if math.isfinite(one.seconds.value))
