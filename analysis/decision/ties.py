"""Which options are tied: nothing shows that one is slower, or less accurate, than the best of them.

The fastest of several measured times is the fastest by chance where they lie close together, so a repeat of the study
would take another one. Every option that is not shown to be slower than the fastest by more than SAME_TIME is as fast;
of these, every one that is not shown to reach a worse result is as good. Which of the tied ones is taken follows a rule
that does not depend on the noise: the smallest batch, then the rule that comes first in the registry of rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...benchmarks.config.strategies import STRATEGIES
from ...benchmarks.schedules.rules import rule_order
from ..statistics.decision_rules import significant
from ..statistics.difference import difference, paired_difference
from ..study.arms import Arm
from ..study.batch_gaps import chosen_metric
from ..study.example_sampling import gap_between
from .options import Option

SAME_TIME = 0.05


def as_fast(options: Sequence[Option]) -> list[Option]:
    """Return the options that are not shown to take longer than the fastest by more than SAME_TIME; a time that was
    measured once is taken as it stands. All of them must have a finite time."""
    fastest = min(options, key=lambda one: one.seconds.value)
    return [one for one in options if not slower(one, fastest)]


def slower(one: Option, fastest: Option) -> bool:
    """Return whether the interval of the ratio of both times lies above 1 + SAME_TIME, by launch where they share
    launches."""
    limit = math.log1p(SAME_TIME)
    common = [key for key in one.times if key in fastest.times]
    paired = len(common) == len(one.times) == len(fastest.times)
    first, second = (np.log([times[key] for key in (common if paired else times)])
                     for times in (one.times, fastest.times))
    of = paired_difference(first, second) if paired else difference(first, second)
    return (of.estimate.low if of.estimate.has_interval else of.estimate.value) > limit


def as_good(options: Sequence[Option], arms: Sequence[Arm]) -> list[Option]:
    """Return the options whose result on the data that choose is not shown to be worse than the best one's."""
    best = max(options, key=lambda one: one.outcome.sign * one.choosing)
    return [one for one in options if one is best or not ends_worse(one, best, arms)]


def ends_worse(one: Option, best: Option, arms: Sequence[Arm]) -> bool:
    """Return whether the result of one option, on the data that choose, is shown to be worse than another's."""
    by_rule: Mapping[str, Arm] = {arm.rule: arm for arm in arms}
    first, second = (arm.at_end(chosen_metric(arm))[of.global_batch]
                     for of in (best, one) if (arm := by_rule[of.rule]))
    lost = gap_between(first, second, one.outcome)
    return lost.estimate.value > 0 and significant(lost.p_value, lost.estimate.n)


def taken(options: Sequence[Option]) -> Option:
    """Return the one of several tied options that the rule takes."""
    return min(options, key=lambda one: (one.global_batch, rule_order(one.rule)))


def placement_order(one: Option) -> tuple[int, str]:
    """Return the sort key of placements that are tied: the strategy's place in the registry, then the name."""
    names = list(STRATEGIES)
    strategy = next((name for name in names if one.placement.startswith(name)), "")
    return (names.index(strategy) if strategy else len(names), one.placement)
