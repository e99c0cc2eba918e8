"""The proofs that all replicas held the same weights."""

from __future__ import annotations

from .....benchmarks.text import counted
from ...blocks import Section
from ...builder import SCALING_LINES, section
from ...findings import Findings

CHECKS = ("size_expected", "size", "equal_after_broadcast", "shards_disjoint_and_complete", "equal_at_evaluations")


@section("agreement", "Agreement between replicas", origin="own", needs=SCALING_LINES)
def build(findings: Findings) -> Section | None:
    """Return how many times replicas were proved to hold the same weights."""
    runs = findings.by_run
    if runs.empty:
        return None
    if any(name not in runs for name in CHECKS):
        return Section(("The tables read from these records hold no agreement checks, so they are not "
                        "added up here; each record has its own.",))
    several = runs[runs["replicas"] > 1]
    proved = int(several["equal_at_evaluations"].sum())
    invalid = int((findings.results.statuses["status"] == "invalid").sum())
    if several.empty:
        return None
    text = (f"{counted(len(several), 'run')} with several replicas: ranks as many as the launcher asked for in "
            f"{int((several['size'] == several['size_expected']).sum()):,}, weights bit for bit equal after the "
            f"broadcast in {int((several['equal_after_broadcast'] == 1).sum()):,}, shards disjoint and complete in "
            f"{int((several['shards_disjoint_and_complete'] == 1).sum()):,}. {proved:,} times, at evaluations and at "
            f"the end, all replicas' weights were bit for bit equal. {counted(invalid, 'run')} ended invalid because "
            "ranks disagreed.",)
    return Section(text)
