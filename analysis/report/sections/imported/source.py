"""Where imported runs come from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from .....benchmarks.records.manifest import Imported
from ....importers.imported_store import imported_from
from ....tables.results import Results
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("provenance", "Where the records come from", origin="imported")
def build(findings: Findings) -> Section:
    """Return the file that the runs were imported from, and how to do it again."""
    results = findings.results
    imported = imported_from(results.plan)
    assert imported is not None  # by the section's origin
    text = [f"Imported from {imported.file} ({imported.format}), SHA-256 {imported.sha256}. The values are kept as the "
            "file has them; nothing was run here.", *imported.notes, *_sizes(imported), *_failures(results)]
    file = shlex.join([imported.file, *imported.options])
    return Section(tuple(text), commands=(f"batchscale import {imported.format} {file} --to RESULTS",
                                          f"batchscale report RESULTS/{results.plan.name}"))


def _sizes(imported: Imported) -> Iterator[str]:
    source = imported.train_examples_from
    outside = "" if source.startswith("the log") else ", not from the file"
    for name, size in imported.train_examples.items():
        if size is not None:
            yield f"{size:,} training examples in an epoch of {name}: from {source}{outside}."


def _failures(results: Results) -> Iterator[str]:
    counts = results.statuses["status"].value_counts()
    for status, count in counts.items():
        if status != "completed":
            yield f"{count:,} of {len(results.statuses):,} runs are {str(status).replace('_', ' ')}."
