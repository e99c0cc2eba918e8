"""The ten claims about batch size, each with its verdict, in order.

Claims about accuracy are judged for every experiment and rule, by the loss where an experiment has no accuracy; the
headline is the first experiment that has the numbers, under the constant rule, and the others stand beside it. The
headlines of the claims about training share one error rate: at most 5 % of studies in which nothing is true have any
that is supported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...benchmarks.config.optimizers import is_adaptive
from ...benchmarks.schedules.rules import has_own_budget, TUNED_RULE
from ..study.arms import Arm, load_arms
from ..tables.results import Results
from .accuracy import drops_then_stagnates, ends_worse, faster_at_first
from .contrast import adam_less_sensitive, deeper_shows_more, depth_pairs, optimizer_pairs
from .generalization import generalizes_better, strongest_near_all
from .resources import more_memory, noisier_gradients, throughput_limit
from .verdict import among, chosen_of, undecided, Verdict, with_others

UNTUNED = " At untuned rates."
TUNED = " At tuned rates: at each batch the best by validation of those tried."
RATE_MATTERS = (2, 3, 4, 5, 6, 7, 10)


def decide(results: Results, arms: Sequence[Arm] | None = None) -> list[Verdict]:
    """Return the ten verdicts, of claims 1 to 10 in order; a claim without data is "not decided", with what to measure.

    arms: those of `load_arms`, where the caller has loaded them already.
    """
    arms = [arm for arm in (load_arms(results) if arms is None else arms) if not has_own_budget(arm.rule)]
    found = {1: noisier_gradients(results), 8: more_memory(results), 9: throughput_limit(results),
             2: [faster_at_first(arm) for arm in arms],
             3: [ends_worse(arm) for arm in arms],
             4: [adam_less_sensitive(*two) for two in optimizer_pairs(arms)],
             5: [drops_then_stagnates(arm) for arm in _adaptive(arms)],
             6: _flat(generalizes_better, arms),
             7: _flat(strongest_near_all, arms),
             10: [deeper_shows_more(*two) for two in depth_pairs(arms)]}
    rated = {number: [_rates(verdict) for verdict in candidates] or [undecided(number, MISSING[number])]
             for number, candidates in found.items()}
    chosen = {number: chosen_of(candidates) for number, candidates in rated.items()}
    trained = [number for number in range(1, 11) if number in RATE_MATTERS]
    together = dict(zip(trained, among([chosen[number] for number in trained])))
    return [_headline(together.get(number, chosen[number]), [v for v in rated[number] if v is not chosen[number]])
            for number in range(1, 11)]


def _adaptive(arms: Sequence[Arm]) -> list[Arm]:
    return [arm for arm in arms if is_adaptive(arm.text("optimizer"))]


def _flat(claim: Callable[[Arm], list[Verdict]], arms: Sequence[Arm]) -> list[Verdict]:
    """The first budget of every arm, then the second ones: the first decides."""
    each = [claim(arm) for arm in arms]
    return [found[i] for i in range(max(map(len, each), default=0)) for found in each
            if i < len(found)]


def _headline(chosen: Verdict, rest: Sequence[Verdict]) -> Verdict:
    found = with_others(chosen, rest)
    return replace(found, reason=found.reason.strip())


def _rates(verdict: Verdict) -> Verdict:
    """Says whether the rates were tuned, where that matters."""
    if verdict.number not in RATE_MATTERS:
        return verdict
    return replace(verdict, reason=verdict.reason + (TUNED if verdict.rule == TUNED_RULE else UNTUNED))


_TWO = "No accuracy runs. Train the reference batch and a larger one, at least 6 seeds each."
MISSING = {
    2: _TWO, 3: _TWO, 6: _TWO, 7: _TWO,
    4: "SGD and Adam were not trained with the same model, data and epochs. Measure both.",
    5: "No runs under Adam. Train three batches or more with it.",
    10: "No two models were trained under Adam alike in all else. Measure a deeper one as well.",
}
