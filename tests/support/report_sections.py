"""Sections of the report, built from tables at hand."""

from __future__ import annotations

from batchscale.analysis.report.blocks import Section
from batchscale.analysis.report.builder import SectionBuilder
from batchscale.analysis.report.findings import Findings
from batchscale.analysis.tables.results import Results


def built(builder: SectionBuilder, results: Results) -> Section:
    """Return the section, which must be there."""
    section = builder(Findings.of(results))
    assert section is not None
    return section
