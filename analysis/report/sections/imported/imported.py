"""The report of imported runs: the sections that they have data for, and where they come from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from ....importers.imported_store import notes, of
from ....study.convergence import Convergence
from ....study.timing.scaling import Scaling
from ....study.study import Study
from ....tables.results import Results
from ...blocks import Section
from ..speed.scaling import scaling, throughput
from .convergence import convergence
from .timing import timing
from .training import training

# Sections about the running itself, which was done elsewhere.
OF_CURVES = ("claims", "curves", "as-published")
ELSEWHERE = ("time", "failures", "drift", "agreement", "provenance", "repeat")


def sections(results: Results, brought: Sequence[Convergence], scalings: Sequence[Scaling]) -> tuple[Section, ...]:
    """Of runs that no study of our own could hold: those with data, then where they come from."""
    found = [*([convergence(brought)] if brought else []), training(results), timing(results), throughput(results),
             scaling(results, scalings)]
    return (*(section for section in found if section and _has_data(section)), _source(results))


def with_data(chapters: Sequence[Section], results: Results) -> tuple[Section, ...]:
    """Of a study's sections, those that the imported runs have data for."""
    left_out = ELSEWHERE if Study(results).has_curves else (*ELSEWHERE, *OF_CURVES)
    return (*(section for section in chapters if _has_data(section) and section.anchor not in left_out),
            _source(results))


def _has_data(section: Section) -> bool:
    return bool(section.figures or section.tables)


def _source(results: Results) -> Section:
    given: Mapping[str, object] = of(results.plan) or {}
    text = [f"Imported from {given.get('file')} ({given.get('format')}), SHA-256 {given.get('sha256')}. The values are "
            "kept as the file has them; nothing was run here.",
            *notes(results.plan), *_sizes(given), *_failures(results)]
    options = given.get("options")
    words = [str(word) for word in options] if isinstance(options, list) else []
    file = shlex.join([str(given.get("file")), *words])
    return Section("provenance", "Where the records come from", tuple(text),
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
