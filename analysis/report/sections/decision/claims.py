"""The claims that the runs judge, each with verdict, number, n, rule and budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ....formatting import table
from ....hypotheses.plain_words import in_words
from ....hypotheses.verdict import under, Verdict
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("claims", "The claims, one by one", origin="curves")
def build(findings: Findings) -> Section | None:
    """Return the claims that these runs judge, as the decision does; None where they judge none."""
    made = judged(findings.decided.verdicts)
    return replace(made, text=(*findings.decided.topics.get("claims", ()), *made.text)) if made.tables else None


def judged(verdicts: Sequence[Verdict]) -> Section:
    """Return one row per claim that has a number; then the reasons, and every other experiment, rule and budget."""
    known = [verdict for verdict in verdicts if in_words(verdict)]
    text = ["A claim is supported when the interval of what is tested clears the margin, contradicted when it clears "
            "the opposite side or is shown to be the same within the margin, and else not decided. One batch decides: "
            "the largest of 32, 128 and 512, with which the claims were published, that was trained, or else the "
            "largest of all. Paired by seed. The claims about training share one error rate of 5 % (Holm); other "
            "batches, in decision.json, are adjusted among themselves. Each verdict holds for the experiment, rule and "
            "budget beside it, no further."]
    text += [f"The rate turns claim {v.number} round: {under(v.turned_round)} the answer is the opposite "
             "one." for v in known if v.turned_round]
    rows = [(str(v.number), v.claim, v.verdict, *value(v), v.tested, _where(v)) for v in known]
    tables = table(("no.", "claim", "verdict", "what the runs show", "n", "what is tested of it", "where"), rows,
                   numbers=(0,))
    tables += table(("no.", "claim", "reason"), [(str(v.number), v.claim, v.reason) for v in known],
                    numbers=(0,), fold="Reasons")
    others = [(str(v.number), v.verdict, *value(v), _where(v)) for v in _others(known) if in_words(v)]
    tables += table(("claim", "verdict", "what the runs show", "n", "where"), others,
                    "The same claims for the other experiments, rules and budgets.", (0,),
                    "Other experiments, rules and budgets", longest=150)
    return Section(tuple(text), (), tables)


def _where(verdict: Verdict) -> str:
    """Experiment, rule and budget of the verdict."""
    return ", ".join(part for part in (verdict.experiment, verdict.rule, verdict.budget) if part)


def _others(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    for verdict in verdicts:
        yield from verdict.others


def value(verdict: Verdict) -> tuple[str, str]:
    """Return the claim's number with its interval and its direction in words, and n."""
    return in_words(verdict), verdict.estimate.counted.removeprefix("n = ")
