"""The ten claims, each with verdict, value, interval, n, rule and budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .....benchmarks.text import number
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
    text = ["A claim is supported when its interval clears the margin, contradicted when it clears the opposite side "
            "or is shown to be the same within the margin, and else not decided. Paired by seed, adjusted over the "
            "batches (Holm). Each verdict holds for the experiment, rule and budget beside it, no further."]
    text += [f"The rate turns claim {v.number} round: {under(v.turned_round)} the answer is the opposite "
             "one." for v in verdicts if v.turned_round]
    rows = [(str(v.number), v.claim, v.verdict, *value(v), v.quantity, v.experiment, v.rule, v.budget)
            for v in verdicts]
    tables = table(("no.", "claim", "verdict", "value", "95 % interval", "n", "of what", "experiment", "rule",
                    "budget"), rows, numbers=(0, 3, 4, 5))
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
        return "not known", "", str(found.n)
    write = _points if points else number
    ends = f"{write(found.low)} to {write(found.high)}" if found.has_interval else "none"
    return write(found.value) + (" points" if points else ""), ends, str(found.n)


def _in_points(quantity: str) -> bool:
    return ("accuracy" in quantity or "gap" in quantity) and "in loss" not in quantity


def _points(fraction: float) -> str:
    return f"{round(fraction * 100, 2) + 0.0:+.2f}"
