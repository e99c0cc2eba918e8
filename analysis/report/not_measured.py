"""What was not measured, once, with the lines of a plan that would measure it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..decision.decision import Decision
from ..formatting import Table, table
from ..hypotheses.plain_words import in_words
from .blocks import Section
from .builder import SectionBuilder
from .findings import Findings, OWN

TITLE, ANCHOR = "What was not measured", "not-measured"


def not_measured(findings: Findings, made: Sequence[tuple[SectionBuilder, Section | None]]) -> Section | None:
    """Return the sections that came to nothing, the open questions, the claims that nothing judges and what the plan
    left out; None where nothing of it is to be said. `made`: each section and what it came to."""
    tables = (*_lines(findings, made), *_claims(findings.decided))
    text = [*(f"Open: {question.rstrip('.')}." for question in findings.decided.open_questions), *_left_out(findings)]
    if findings.decided.next_plan:
        text.append("The plan that decides what is open is next.toml, beside this report and under “The decision”: "
                    "batchscale study next.toml.")
    if not (tables or text):
        return None
    return Section(tuple(text), (), tables, title=TITLE, anchor=ANCHOR)


def _lines(findings: Findings, made: Sequence[tuple[SectionBuilder, Section | None]]) -> tuple[Table, ...]:
    """One row for what the same lines measure."""
    wanted: dict[str, list[str]] = {}
    for one, section in made:
        if one.lacks(findings, section):
            wanted.setdefault(one.needs, []).append(one.title)
    return table(("not known here", "lines of a plan that would measure it"),
                 (("; ".join(titles), lines) for lines, titles in wanted.items()),
                 "Lines of an [[experiment]]; `batchscale plan` checks them, docs/reference.md explains them.")


def _claims(decided: Decision) -> tuple[Table, ...]:
    return table(("claim", "what it takes"), ((one.claim, one.reason) for one in decided.verdicts if not in_words(one)),
                 "Claims that these runs cannot judge.")


def _left_out(findings: Findings) -> Iterator[str]:
    results = findings.results
    if findings.origin != OWN:
        return
    for item in results.plan.skipped:
        yield f"Skipped: {item.experiment}, {item.what}: {item.reason}."
    for left in results.settings.get("leaves_out") or ():
        yield f"Left out by the plan: {left}."
