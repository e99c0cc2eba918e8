"""Which batches are shown to lose less than the margin, over all arms of an experiment at once.

A recommendation takes the fastest batch of any arm, so an error in any arm is an error of the recommendation. Each arm
is a chain of tests from the smallest batch up, which ends at the first that is not shown, and all chains share one
level (`ordered_chains`). The rates of a tuned arm are chosen by other seeds than they are tested on, so they are one
chain, not one for each rate. Replicas at the same global batch compute the same steps, so they add no test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...benchmarks.schedules.rules import has_own_reference, TUNED_RULE
from ..statistics.decision_rules import not_worse
from ..statistics.difference import Difference
from ..statistics.multiple_testing import ordered_chains
from .arms import Arm
from .batch_gaps import chosen_metric, gap_at_end


def standard(arms: Sequence[Arm]) -> Arm:
    """Return the arm whose reference batch every option is compared with.

    This is the tuned arm where its reference batch has the better mean by validation, else the first arm, whose
    reference batch the rules share. A batch that merely equals a badly tuned reference is no gain.
    """
    def merit(arm: Arm) -> float:
        ends = arm.at_end(chosen_metric(arm))
        value = float(ends[arm.reference_batch].mean()) if arm.reference_batch in ends else math.nan
        return -math.inf if math.isnan(value) else arm.outcome.sign * value

    return max([arms[0], *(arm for arm in arms[1:] if arm.rule == TUNED_RULE)], key=merit)


@dataclass(frozen=True)
class LossTests:
    """Everything that decides which batches of one experiment are not worse, whatever the margin.

    chains: rule -> batch -> what it loses against the standard's reference batch, in the order of the tests. sharing:
    the rules under which that reference batch itself is listed, first of all.
    """

    reference_batch: int
    chains: Mapping[str, Mapping[int, Difference]]
    sharing: frozenset[str]

    def p_values(self, margin: float) -> dict[str, dict[int, float]]:
        """Return rule -> batch -> the adjusted p value of losing the margin or more."""
        return {rule: dict(zip(chain, p_values)) for (rule, chain), p_values
                in zip(self.chains.items(), _adjusted(self.chains, margin))}

    def kept(self, margin: float, alpha: float) -> dict[str, tuple[int, ...]]:
        """Return, for each rule, the batches shown to lose less than the margin at this level."""
        return {rule: (self.reference_batch, *batches) if rule in self.sharing else batches
                for rule, batches in _kept(self.chains, margin, alpha).items()}


def loss_tests(arms: Sequence[Arm]) -> LossTests:
    """Return the tests against the reference batch of the standard arm, by validation where such data were split off,
    else by the test data. `arms` are those of one experiment, one or more, one for each rule."""
    best = standard(arms)
    chains = {arm.rule: _losses(arm, best, chosen_metric(arm), _tested(arm, best)) for arm in arms}
    sharing = frozenset(arm.rule for arm in arms
                        if arm is best or not (has_own_reference(arm.rule) or has_own_reference(best.rule)))
    return LossTests(best.reference_batch, chains, sharing)


def against_own_reference(arms: Sequence[Arm], metric: str = "") -> dict[str, tuple[int, ...]]:
    """Return, for each rule, the larger batches shown to be not worse than the reference batch of the same arm, by
    `metric`, or else by the test data. `arms` are those of one experiment, one for each rule."""
    chains = {arm.rule: _losses(arm, arm, metric or arm.outcome.test, arm.larger) for arm in arms}
    return _kept(chains, arms[0].outcome.margin, arms[0].outcome.alpha) if arms else {}


def _tested(arm: Arm, best: Arm) -> tuple[int, ...]:
    """The batches above the reference in order, and last the arm's own reference batch where that is another run than
    the standard's: a chain that ends there is not shortened by it."""
    own = has_own_reference(arm.rule) is not has_own_reference(best.rule)
    return (*arm.larger, arm.reference_batch) if own and arm.reference_batch in arm.batches else arm.larger


def _losses(arm: Arm, best: Arm, metric: str, batches: Sequence[int]) -> dict[int, Difference]:
    if best.reference_batch not in best.at_end(metric):
        return {}
    return {batch: gap_at_end(arm, best, batch, metric) for batch in batches}


def _adjusted(chains: Mapping[str, Mapping[int, Difference]], margin: float) -> tuple[tuple[float, ...], ...]:
    return ordered_chains([[of.below(margin) for of in chain.values()] for chain in chains.values()])


def _kept(chains: Mapping[str, Mapping[int, Difference]], margin: float, alpha: float) -> dict[str, tuple[int, ...]]:
    kept = {}
    for (rule, chain), p_values in zip(chains.items(), _adjusted(chains, margin)):
        shown = [bool(not_worse(p_value, of.estimate.n, alpha)) for p_value, of in zip(p_values, chain.values())]
        upto = shown.index(False) if False in shown else len(shown)
        kept[rule] = tuple(list(chain)[:upto])
    return kept
