"""The table of candidates: what of one experiment decides, once margin, price and deadline are set.

The report's page holds these tables and decides anew from them (`analysis/report/static/decision.js`), by the steps of
`grounds`, `non_inferiority`, `recommendation` and `ties`. What does not depend on the three settings is answered here:
which of two options is slower or ends worse, and on how many replicas a batch and rule is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...benchmarks.schedules.rules import rule_order
from ..statistics.decision_rules import FEWEST_SEEDS
from ..statistics.difference import Difference
from ..statistics.estimate import Estimate
from ..statistics.sequential.spending import levels_at, NOT_WORSE
from ..study.arms import Arm
from ..study.non_inferiority import loss_tests
from ..tables.results import Results
from .grounds import Grounds, not_believed, refusal_at_any_margin
from .options import ALONE, Option
from .placement import at_home
from .recommendation import placed, Recommendation, seeds_at_reference
from .sentences import trained
from .ties import ends_worse, slower


def table_of(arms: Sequence[Arm], options: Sequence[Option], grounds: Grounds, recommended: Recommendation,
             worthwhile: float, results: Results) -> dict[str, Any]:
    """Return the table of one experiment for JSON: its tests, its options and what is known between them.

    options: all that were measured, those left out included. worthwhile: the share that a further replica must bring.
    Times are in seconds; numbers that are not finite are None.
    """
    outcome = arms[0].outcome
    tests = loss_tests(arms)
    levels = _Levels()
    chains = [{"rule": rule, "sharing": rule in tests.sharing, "tests": [
        [batch, *map(_finite, (of.estimate.value, of.standard_error, of.degrees_of_freedom)), of.estimate.n,
         levels.place(of)] for batch, of in chain.items()]} for rule, chain in tests.chains.items()]
    return {"experiment": recommended.experiment, "optimizer": recommended.optimizer, "model": recommended.model,
            "who": trained(recommended.optimizer, recommended.model, recommended.loss),
            "outcome": outcome.name, "percent": outcome.percent, "sign": outcome.sign,
            "margin_size": 1.0 if outcome.percent else outcome.margin / outcome.share, "alpha": outcome.alpha,
            "fewest": FEWEST_SEEDS, "seeds": seeds_at_reference(arms[0]) if arms[0].batches else 0,
            "reference_batch": arms[0].reference_batch, "tested_against": tests.reference_batch,
            "refused": refusal_at_any_margin(arms, results), "chance": _finite(grounds.chance.level),
            "learned": [[one.global_batch, one.rule, one.judged] for one in grounds.learned],
            "left_out": [list(key) for key in not_believed(arms, results)], "chains": chains,
            "looks": levels.to_json(),
            **_options(arms, options, worthwhile)}


class _Levels:
    """The levels of looks that tests were made at, each listed once."""

    def __init__(self) -> None:
        self._whole, self._listed = list[float](), list[list[float]]()

    def place(self, of: Difference) -> int | None:
        """Return where the levels are listed that the test's look has of what is not worse; None without looks."""
        if not of.looks:
            return None
        whole, at_look = levels_at(of.looks, of.estimate.n, NOT_WORSE, of.common_variance)
        self._whole, own = whole.tolist(), at_look.tolist()
        if own not in self._listed:
            self._listed.append(own)
        return self._listed.index(own)

    def to_json(self) -> dict[str, Any] | None:
        """Return whole levels, and of each that is listed the level at the look; None without looks."""
        return {"whole": self._whole, "levels": self._listed} if self._listed else None


def _options(arms: Sequence[Arm], options: Sequence[Option], worthwhile: float) -> dict[str, Any]:
    tested = {(batch, arms[0].rule if arm.shares(batch) else arm.rule): arm.rule
              for arm in reversed(arms) for batch in arm.batches}
    place = arms[0].text("placement")
    home = [at for at, one in enumerate(options) if one.placement == place]
    return {"options": [_option(one, tested[one.global_batch, one.rule], one.placement == place,
                                *_trained_at(one, options, place, worthwhile)) for one in options],
            "slower": _pairs(options, home, lambda one, two: _both_timed(one, two) and slower(one, two)),
            "worse": _pairs(options, home, lambda one, two: ends_worse(one, two, arms))}


def _trained_at(one: Option, options: Sequence[Option], place: str, worthwhile: float) -> tuple[int, str]:
    """Which option its batch and rule are trained at, and why on so many replicas; asked where it is chosen."""
    own = [two for two in options if (two.global_batch, two.rule) == (one.global_batch, one.rule)]
    chosen, why = placed(own, worthwhile)
    return options.index(at_home(chosen, [two for two in own if two.placement == place])), why


def _option(one: Option, arm: str, at_home_place: bool, trained_at: int, why: str) -> dict[str, Any]:
    return {"batch": one.global_batch, "rule": one.rule, "arm": arm, "order": list(rule_order(one.rule)),
            "rate": one.rate, "learning_rate": _finite(one.learning_rate), "placement": one.placement,
            "replicas": one.replicas, "home": at_home_place, "alone": one.timed == ALONE, "timed": one.timed,
            "test": one.outcome.level(one.test), "choosing": _finite(one.choosing), "seconds": _ends(one.seconds),
            "hours": _ends(one.device_hours), "trained_at": trained_at, "why": why}


def _pairs(options: Sequence[Option], home: Sequence[int],
           holds: Callable[[Option, Option], bool]) -> Mapping[str, list[int]]:
    """Option -> the options of which it is so, by their places in the table; those at home alone are compared."""
    found = {str(at): [other for other in home if other != at and holds(options[at], options[other])] for at in home}
    return {at: others for at, others in found.items() if others}


def _both_timed(one: Option, two: Option) -> bool:
    return math.isfinite(one.seconds.value) and math.isfinite(two.seconds.value)


def _ends(of: Estimate) -> list[float | None]:
    return [_finite(of.value), _finite(of.low), _finite(of.high)]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
