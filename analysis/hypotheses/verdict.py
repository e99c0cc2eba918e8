"""What a claim's verdict is made of, and the one rule by which all are reached.

Supported when the interval clears the margin, contradicted when it clears the opposite side or
the two one-sided tests pass, else not decided; each p value is adjusted over the batches (Holm).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from scipy import stats

from ...benchmarks.schedules.rules import TUNED_RULE
from ..statistics.decision_rules import FEWEST_SEEDS, same as same_within, significant
from ..statistics.difference import Difference, paired_difference
from ..statistics.equivalence import equivalence
from ..statistics.estimate import LEVEL, Estimate, Floats, unknown
from ..statistics.multiple_testing import holm
from ..statistics.sample_size import more_seeds

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


@dataclass(frozen=True)
class Detail:
    """One contrast of a claim. global_batch is None where it is no batch's own; p_value is the
    adjusted one behind `answer`."""

    quantity: str
    global_batch: int | None
    estimate: Estimate
    p_value: float
    answer: Answer
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"quantity": self.quantity, "global_batch": self.global_batch,
                "estimate": self.estimate.to_json(), "verdict": self.answer,
                "p_value": self.p_value if math.isfinite(self.p_value) else None,
                "note": self.note}


@dataclass(frozen=True)
class Verdict:
    """The answer to one claim for one rule and budget. `others` are the same claim's answers
    for other experiments, rules and budgets (their own `others` empty); `turned_round` names
    the rules under which the answer is the opposite one."""

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

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "claim": self.claim, "verdict": self.verdict,
                "estimate": self.estimate.to_json(), "quantity": self.quantity,
                "experiment": self.experiment, "rule": self.rule, "budget": self.budget,
                "reason": self.reason, "turned_round": list(self.turned_round),
                "per_batch": [detail.to_json() for detail in self.per_batch],
                "others": [other.to_json() for other in self.others]}


@dataclass(frozen=True)
class Contrast:
    """A value per seed for one batch, to be judged: above `beyond` supports, within `same` of
    zero contradicts (0: nothing is the same)."""

    quantity: str
    global_batch: int | None
    values: Floats
    note: str = ""


def undecided(number: int, reason: str, experiment: str = "", rule: str = "",
              budget: str = "") -> Verdict:
    """No data: the reason says what to measure."""
    return Verdict(number, CLAIMS[number], NOT_DECIDED, unknown(), "", experiment, rule, budget,
                   reason)


def judge(contrasts: Sequence[Contrast], beyond: float, same: float) -> tuple[Detail, ...]:
    """One detail per contrast, adjusted over all of them."""
    found = [paired_difference(c.values, [0.0] * len(c.values)) for c in contrasts]
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
    return min(1.0, 2 * float(stats.t.sf(t, of.degrees_of_freedom)))


def _detail(contrast: Contrast, of: Difference, above: float, below: float, alike: float,
            margin: float, lacking: Callable[[Difference], str]) -> Detail:
    answer, p_value, note, n = NOT_DECIDED, above, contrast.note, of.estimate.n
    if significant(above, n):
        answer = SUPPORTED
    elif significant(below, n):
        answer, p_value = CONTRADICTED, below
    elif same_within(alike, n):
        answer, p_value = CONTRADICTED, alike
        note = "; ".join(part for part in (note, f"the same within {margin:g}") if part)
    if answer == NOT_DECIDED:
        note = "; ".join(part for part in (note, lacking(of)) if part)
    return Detail(contrast.quantity, contrast.global_batch, of.estimate, p_value, answer, note)


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


def both(first: Answer, second: Answer) -> Answer:
    """The answer to a claim that says two things."""
    if CONTRADICTED in (first, second):
        return CONTRADICTED
    return SUPPORTED if first == second == SUPPORTED else NOT_DECIDED


def opposite(first: Answer, second: Answer) -> bool:
    return {first, second} == {SUPPORTED, CONTRADICTED}


def under(rules: Sequence[str]) -> str:
    """`under the linear and sqrt rule`; the tuned arm has no rule, and is `at tuned rates`."""
    scaled = [rule for rule in rules if rule != TUNED_RULE]
    parts = [f"under the {' and '.join(scaled)} rule"] if scaled else []
    return " and ".join([*parts, "at tuned rates"] if TUNED_RULE in rules else parts)


def with_others(candidates: Sequence[Verdict]) -> Verdict:
    """The first candidate that has a number, or else the first, with the rest beside it."""
    known = [verdict for verdict in candidates if not math.isnan(verdict.estimate.value)]
    chosen = (known or list(candidates))[0]
    rest = tuple(verdict for verdict in candidates if verdict is not chosen)
    turned = tuple(verdict.rule for verdict in rest
                   if (verdict.experiment, verdict.budget) == (chosen.experiment, chosen.budget)
                   and opposite(verdict.verdict, chosen.verdict))
    reason = chosen.reason
    if turned:
        scaled = next(v for v in rest if v.rule == turned[0]
                      and (v.experiment, v.budget) == (chosen.experiment, chosen.budget))
        reason += f" The rate turns the answer round: {under(turned)} it is {scaled.verdict}."
    return replace(chosen, others=rest, turned_round=turned, reason=reason)
