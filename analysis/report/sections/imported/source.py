"""Where imported runs come from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from ....importers.imported_store import notes, of
from ....tables.results import Results
from ...blocks import Section
from ...builder import section
from ...findings import Findings


@section("provenance", "Where the records come from", origin="imported")
def build(findings: Findings) -> Section:
    """Return the file that the runs were imported from, and how to do it again."""
    results = findings.results
    given: Mapping[str, object] = of(results.plan) or {}
    text = [f"Imported from {given.get('file')} ({given.get('format')}), SHA-256 {given.get('sha256')}. The values are "
            "kept as the file has them; nothing was run here.",
            *notes(results.plan), *_sizes(given), *_failures(results)]
    options = given.get("options")
    words = [str(word) for word in options] if isinstance(options, list) else []
    file = shlex.join([str(given.get("file")), *words])
    return Section(tuple(text),
                   commands=(f"batchscale import {given.get('format')} {file} --to RESULTS",
                             f"batchscale report RESULTS/{results.plan.name}"))


def _sizes(given: Mapping[str, object]) -> Iterator[str]:
    sizes = given.get("train_examples")
    source = given.get("train_examples_from")
    outside = "" if str(source).startswith("the log") else ", not from the file"
    for name, size in sizes.items() if isinstance(sizes, Mapping) else ():
        if isinstance(size, int):
            yield f"{size:,} training examples in an epoch of {name}: from {source}{outside}."


def _failures(results: Results) -> Iterator[str]:
    counts = results.statuses["status"].value_counts()
    for status, count in counts.items():
        if status != "completed":
            yield f"{count:,} of {len(results.statuses):,} runs are {str(status).replace('_', ' ')}."
