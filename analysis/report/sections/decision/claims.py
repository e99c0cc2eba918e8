"""The ten claims, each with verdict, value, interval, n, rule and budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .....benchmarks.text import with_ends
from ....formatting import table
from ....hypotheses.verdict import under, Verdict
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("claims", "Ten claims about the batch size", origin="curves")
def build(findings: Findings) -> Section:
    """Return the claims as the decision judges them."""
    return judged(findings.decided.verdicts)


def judged(verdicts: Sequence[Verdict]) -> Section:
    """Return one row per claim; then the reasons, and every other experiment, rule and budget judged."""
    text = ["A claim is supported when the interval of what is tested clears the margin, contradicted when it clears "
            "the opposite side or is shown to be the same within the margin, and else not decided. One batch decides: "
            "the largest of 32, 128 and 512, with which the claims were published, that was trained, or else the "
            "largest of all. Paired by seed. The claims about training share one error rate of 5 % (Holm); other "
            "batches, in decision.json, are adjusted among themselves. Each verdict holds for the experiment, rule and "
            "budget beside it, no further."]
    text += [f"The rate turns claim {v.number} round: {under(v.turned_round)} the answer is the opposite "
             "one." for v in verdicts if v.turned_round]
    rows = [(str(v.number), v.claim, v.tested, v.verdict, *value(v), v.quantity, v.experiment, v.rule, v.budget)
            for v in verdicts]
    tables = table(("no.", "claim", "what is tested of it", "verdict", "value", "95 % interval", "n", "of what",
                    "experiment", "rule", "budget"), rows, numbers=(0, 4, 5, 6))
    tables += table(("no.", "claim", "reason"), [(str(v.number), v.claim, v.reason) for v in verdicts],
                    numbers=(0,), fold="Reasons")
    others = [(str(v.number), v.experiment, v.rule, v.budget, v.verdict, *value(v)) for v in _others(verdicts)]
    tables += table(("claim", "experiment", "rule", "budget", "verdict", "value", "95 % interval", "n"), others,
                    "The same claims for the other experiments, rules and budgets.", (0, 5, 6, 7),
                    "Other experiments, rules and budgets", longest=150)
    return Section(tuple(text), (), tables)


def _others(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    for verdict in verdicts:
        yield from verdict.others


def value(verdict: Verdict) -> tuple[str, str, str]:
    """Value, interval and n; differences of accuracies in percentage points."""
    found, points = verdict.estimate, _in_points(verdict.quantity)
    if not math.isfinite(found.value):
        return "not known", "", ""
    shown = found.scaled(100) if points else found
    written, low, high = (f"+{part}" if points and part[0].isdigit() else part
                          for part in with_ends(shown.value, shown.low, shown.high))
    return (written + (" points" if points else ""), f"{low} to {high}" if found.has_interval else "none",
            found.counted.removeprefix("n = "))


def _in_points(quantity: str) -> bool:
    return ("accuracy" in quantity or "gap" in quantity) and "in loss" not in quantity
