"""What failed, and what is missing."""

from __future__ import annotations

from ....formatting import table
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("failures", "What failed, and what is missing", origin="own")
def build(findings: Findings) -> Section | None:
    """Return every run that is not a completed result, with its message; None where all are."""
    results = findings.results
    bad = results.statuses[results.statuses["status"] != "completed"]
    text = [*results.notes]
    if bad.empty:
        return Section(tuple(text)) if text else None
    counts = bad["status"].value_counts()
    text.insert(0, "; ".join(f"{count:,} {in_words(str(status))}" for status, count in counts.items()) + ".")
    order = {"invalid": 0, "failed": 1, "unreadable": 2, "lost": 3}
    listed_rows = bad.assign(order=bad["status"].map(order).fillna(9)).sort_values("order", kind="stable")
    rows = [(row.run_id, in_words(str(row.status)), str(row.message or ""))
            for row in listed_rows.itertuples() if row.status != "pending"]
    return Section(tuple(text), (), table(
        ("run", "status", "first message"), rows, "Diverged and out-of-memory runs are results; invalid ones (ranks "
        "disagreed) are never averaged into anything."))


def in_words(status: str) -> str:
    """Return a status as a reader calls it."""
    return {"pending": "not done yet", "running": "running now"}.get(status, status.replace("_", " "))
