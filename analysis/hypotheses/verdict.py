"""What a claim's verdict is made of, and the one rule by which all are reached.

Supported when the interval clears the margin, contradicted when it clears the opposite side or
the two one-sided tests pass, else not decided. One batch decides a claim and is named before the runs are looked at:
the largest of the published comparison that was trained, or else the largest of all. The other batches stand beside
it, adjusted over themselves (Holm). A claim of several parts is supported when all of them are (the largest of their p
values counts), and contradicted by one of them after Bonferroni over the parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...benchmarks.planning.derived_keys import decisive_batch
from ...benchmarks.schedules.rules import TUNED_RULE
from ..statistics.decision_rules import equivalence, FEWEST_SEEDS, same as same_within, significant
from ..statistics.difference import Difference, paired_difference, widened
from ..statistics.distributions import t_above
from ..statistics.estimate import LEVEL, Estimate, Floats, unknown
from ..statistics.multiple_testing import holm
from ..statistics.sample_size import more_seeds
from .quantities import written_margin
from ..study.example_sampling import CROSS_FITTED

Answer = Literal["supported", "contradicted", "not decided"]
SUPPORTED: Answer = "supported"
CONTRADICTED: Answer = "contradicted"
NOT_DECIDED: Answer = "not decided"

CLAIMS = {
    1: "Smaller batches give noisier gradients.",
    2: "Larger batches converge faster at first.",
    3: "Larger batches end worse.",
    4: "Adam is less sensitive to the batch than SGD.",
    5: "Even with Adam, a very large batch drops fast, then stagnates.",
    6: "Smaller batches generalize better.",
    7: "The effect is strongest as the batch nears the training set.",
    8: "Larger batches need more memory.",
    9: "Throughput grows with the batch until a limit.",
    10: "Deeper models show it more.",
}


TESTED = {
    1: "Slope of the log of the gradient's variance on the log of the batch, at the same weights: below 0.",
    2: "Train loss at equal steps, a tenth into the larger batch's training of at least 100 steps: lower. At equal "
       "examples and at equal seconds it stands beside.",
    3: "At equal epochs two things: test accuracy lower (or test loss higher) by more than the margin, and train loss "
       "higher.",
    4: "What SGD loses against the reference batch minus what Adam loses, at the same batches: above 0.",
    5: "Against the middle batch three things: train loss lower at equal steps a tenth into training; of the loss left "
       "to the middle batch's end less than a tenth gained in the last 30 %; train loss higher at the end, at equal "
       "epochs and at equal steps.",
    6: "Generalization gap at equal train loss: larger by more than the margin.",
    7: "Generalization gap at equal train loss: what it grows above a tenth of the training set beyond its trend "
       "below: above 0.",
    8: "Bytes for each further example of a replica's batch: above 0.",
    9: "Elasticity of throughput to the batch, on one replica: above 0 between the two smallest batches, below 0.1 "
       "between the two largest.",
    10: "What the deeper and wider model loses against the reference batch minus what the smaller one loses, at the "
        "same batches: above 0.",
}
"""What is tested of each claim, in the words that stand beside its verdict."""


@dataclass(frozen=True)
class Detail:
    """One contrast of a claim. global_batch: None where the contrast is not about one batch. p_value: the adjusted one
    behind `answer`. supports, contradicts: the p values of either answer."""

    quantity: str
    global_batch: int | None
    estimate: Estimate
    p_value: float
    answer: Answer
    note: str = ""
    supports: float = math.nan
    contradicts: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the contrast with its estimate and answer; the p value is None where it is not finite."""
        return {"quantity": self.quantity, "global_batch": self.global_batch,
                "estimate": self.estimate.to_json(), "verdict": self.answer,
                "p_value": self.p_value if math.isfinite(self.p_value) else None,
                "note": self.note}


@dataclass(frozen=True)
class Verdict:
    """Answer to one claim for one rule and budget.

    `others` are the same claim's answers for other experiments, rules and budgets (their `others` are empty);
    `turned_round` names the rules under which the answer is the opposite one. `supports`, `contradicts`: the p values
    of either answer, of the contrasts that decide. `beside`: the budget is not fair to every batch, so that it never
    decides.
    """

    number: int
    claim: str
    verdict: Answer
    estimate: Estimate
    quantity: str
    experiment: str
    rule: str
    budget: str
    reason: str
    per_batch: tuple[Detail, ...] = ()
    others: tuple[Verdict, ...] = ()
    turned_round: tuple[str, ...] = ()
    supports: float = math.nan
    contradicts: float = math.nan
    beside: bool = False

    @property
    def tested(self) -> str:
        """Return what of the claim is tested, in words."""
        return TESTED[self.number]

    def to_json(self) -> dict[str, Any]:
        """Return the verdict with what was tested, its contrasts and the claim's other verdicts."""
        return {"number": self.number, "claim": self.claim, "tested": self.tested, "verdict": self.verdict,
                "estimate": self.estimate.to_json(), "quantity": self.quantity,
                "experiment": self.experiment, "rule": self.rule, "budget": self.budget,
                "reason": self.reason, "turned_round": list(self.turned_round),
                "per_batch": [detail.to_json() for detail in self.per_batch],
                "others": [other.to_json() for other in self.others]}


@dataclass(frozen=True)
class Contrast:
    """Values per seed for one batch, to be judged: above `beyond` supports, within `same` of zero contradicts (0:
    nothing is the same). `reach`: no value lies further from zero than this. `cross_fitted`: the rates were chosen by
    other seeds than the values are of, so that their mean varies more than they show."""

    quantity: str
    global_batch: int | None
    values: Floats
    note: str = ""
    reach: float = math.inf
    cross_fitted: bool = False

    @property
    def mean(self) -> Difference:
        """Return the mean over the seeds, against zero."""
        own = paired_difference(self.values, [0.0] * len(self.values))
        return widened(own, factor=CROSS_FITTED) if self.cross_fitted else own


def undecided(number: int, reason: str, experiment: str = "", rule: str = "",
              budget: str = "") -> Verdict:
    """Return a verdict without an estimate; `reason` says what to measure."""
    return Verdict(number, CLAIMS[number], NOT_DECIDED, unknown(), "", experiment, rule, budget,
                   reason)


def judge(contrasts: Sequence[Contrast], beyond: float, same: float) -> tuple[Detail, ...]:
    """Return one detail per contrast, its p values adjusted over all of them (Holm). `beyond` and `same` are in the
    unit of the values."""
    found = [contrast.mean for contrast in contrasts]
    above = holm([_p_beyond(of, beyond, 1.0) for of in found])
    below = holm([_p_beyond(of, beyond, -1.0) for of in found])
    alike = holm([equivalence(of, same).p_value if same > 0 else math.nan for of in found])
    return tuple(_detail(contrast, of, above[i], below[i], alike[i], max(beyond, same),
                         lambda of: _lacking(of, beyond, same, len(found)))
                 for i, (contrast, of) in enumerate(zip(contrasts, found)))


def _p_beyond(of: Difference, margin: float, sign: float) -> float:
    """Two-sided p of lying further than `margin` on the side of `sign`."""
    if not of.standard_error > 0:
        return math.nan
    t = (sign * of.estimate.value - margin) / of.standard_error
    return min(1.0, 2 * float(t_above(t, of.degrees_of_freedom)))


def _detail(contrast: Contrast, of: Difference, above: float, below: float, alike: float,
            margin: float, lacking: Callable[[Difference], str]) -> Detail:
    answer, p_value, note, n = NOT_DECIDED, above, contrast.note, of.estimate.n
    if significant(above, n):
        answer = SUPPORTED
    elif significant(below, n):
        answer, p_value = CONTRADICTED, below
    elif same_within(alike, n):
        answer, p_value = CONTRADICTED, alike
        within = written_margin(contrast.quantity, margin)
        note = "; ".join(part for part in (note, f"the same within {within}") if part)
    if answer == NOT_DECIDED:
        note = "; ".join(part for part in (note, lacking(of)) if part)
    estimate = of.estimate.within(-contrast.reach, contrast.reach).per("seeds")
    opposite_p = [p for p in (below, alike) if not math.isnan(p)]
    return Detail(contrast.quantity, contrast.global_batch, estimate, p_value, answer, note, above,
                  min(opposite_p, default=math.nan))


def _lacking(of: Difference, beyond: float, same: float, tried: int) -> str:
    """What keeps a contrast from being decided, and what would decide it beside the others that are tried with it.

    Seeds are counted at Bonferroni's level, which Holm's adjustment never exceeds.
    """
    n = of.estimate.n
    if n < FEWEST_SEEDS:
        return f"{n} seed{'s' * (n != 1)} cannot decide: use at least {FEWEST_SEEDS}"
    if not of.standard_error > 0:
        return "all seeds give the same value, so there is no interval"
    margin = same if abs(of.estimate.value) < same else beyond
    alone, needed = more_seeds(of, margin), more_seeds(of, margin, 1 - (1 - LEVEL) / tried)
    if alone.more == 0 and tried > 1:
        return f"decided if it stood alone, but not among {tried} comparisons: {needed.statement}"
    return needed.statement


def judge_first(contrasts: Sequence[Contrast], beyond: float, same: float) -> tuple[Detail, ...]:
    """Return one detail per contrast, that of the decisive batch first: it is judged alone, and the others are adjusted
    over themselves."""
    batch = decisive_batch([contrast.global_batch or 0 for contrast in contrasts])
    first = [contrast for contrast in contrasts if (contrast.global_batch or 0) == batch]
    rest = [contrast for contrast in contrasts if (contrast.global_batch or 0) != batch]
    return (*judge(first, beyond, same), *judge(rest, beyond, same))


def together(parts: Sequence[Detail]) -> tuple[Answer, float, float]:
    """Return the answer to a claim of several parts, with the p values of support and of contradiction.

    Supported when all parts are (intersection-union: the largest p value, no adjustment); contradicted by a part, with
    Bonferroni over the parts.
    """
    supports = max((part.supports for part in parts), key=lambda p: (math.isnan(p), p))
    against = [part for part in parts if not math.isnan(part.contradicts)]
    strongest = min(against, key=lambda part: part.contradicts, default=None)
    contradicts = min(strongest.contradicts * len(parts), 1.0) if strongest else math.nan
    if all(part.answer == SUPPORTED for part in parts):
        return SUPPORTED, supports, contradicts
    decided = strongest is not None and strongest.answer == CONTRADICTED
    return CONTRADICTED if decided and contradicts < 1 - LEVEL else NOT_DECIDED, supports, contradicts


def opposite(first: Answer, second: Answer) -> bool:
    """Return whether one answer supports a claim and the other contradicts it."""
    return {first, second} == {SUPPORTED, CONTRADICTED}


def under(rules: Sequence[str]) -> str:
    """Return the rules in words, as in `under the linear and sqrt rule`; the tuned arm has no rule, so it is `at tuned
    rates`."""
    scaled = [rule for rule in rules if rule != TUNED_RULE]
    parts = [f"under the {' and '.join(scaled)} rule"] if scaled else []
    return " and ".join([*parts, "at tuned rates"] if TUNED_RULE in rules else parts)


def chosen_of(candidates: Sequence[Verdict]) -> Verdict:
    """Return the first candidate under a fair budget that has a number, else the first under a fair budget, else the
    first. Raises IndexError without candidates."""
    fair = [verdict for verdict in candidates if not verdict.beside]
    known = [verdict for verdict in fair if not math.isnan(verdict.estimate.value)]
    return (known or fair or list(candidates))[0]


def among(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts with one error rate over all of them (Holm over either answer's p values).

    What is decided alone but not among them becomes not decided, and its reason says so.
    """
    judged = [index for index, verdict in enumerate(verdicts)
              if not (math.isnan(verdict.supports) and math.isnan(verdict.contradicts))]
    found = list(verdicts)
    for answer, name in ((SUPPORTED, "supports"), (CONTRADICTED, "contradicts")):
        adjusted = holm([getattr(verdicts[index], name) for index in judged])
        for index, p_value in zip(judged, adjusted):
            if verdicts[index].verdict == answer and not p_value < 1 - LEVEL:
                reason = (f"{verdicts[index].reason} It would be {answer} if it stood alone, but not among the "
                          f"{len(judged)} claims judged on these runs.")
                found[index] = replace(verdicts[index], verdict=NOT_DECIDED, reason=reason)
    return found


def with_others(chosen: Verdict, rest: Sequence[Verdict]) -> Verdict:
    """Return the verdict with the claim's other candidates beside it, and the rules among them that turn its answer
    round."""
    rest = tuple(rest)
    turned = tuple(verdict.rule for verdict in rest
                   if (verdict.experiment, verdict.budget) == (chosen.experiment, chosen.budget)
                   and opposite(verdict.verdict, chosen.verdict))
    reason = chosen.reason
    if turned:
        scaled = next(v for v in rest if v.rule == turned[0]
                      and (v.experiment, v.budget) == (chosen.experiment, chosen.budget))
        reason += f" The rate turns the answer round: {under(turned)} it is {scaled.verdict}."
    return replace(chosen, others=rest, turned_round=turned, reason=reason)
