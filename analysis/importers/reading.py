"""A file of another tool, read by its format's importer and held to what every import must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from ...benchmarks.errors import one_of, RecordError
from .additions import added, Additions
from .derived import completed
from .imported_run import MOST_EVALUATIONS, MOST_RUNS, Found, Options
from .judged import judged
from .personal import without_personal
from .registry import Importer, IMPORTERS, SIZES, takers, TARGET
from .sources import Sources


def read(form: str, path: Path, options: Options, additions: Additions = Additions()) -> tuple[Found, str]:
    """Return what the path holds with what the command line adds, and the SHA-256 of what was read; names of people
    and machines are left out. Raises RecordError for what cannot be believed."""
    if form not in IMPORTERS:
        raise RecordError(one_of("format", form, IMPORTERS))
    importer = IMPORTERS[form]
    if options.target is not None and TARGET not in importer.takes:
        raise RecordError(f"{TARGET} belongs to {takers(TARGET)}; {form} says itself when a run ends.")
    if options.train_examples is not None and SIZES not in importer.takes:
        raise RecordError(f"{SIZES} belongs to {takers(SIZES)}, not to {form}.")
    sources = Sources(path)
    found = _reader(importer)(sources, replace(options, metrics=additions.metrics, names=additions.names,
                                               settings=additions.values))
    if not found.runs:
        raise RecordError(f"{sources.named(path)} holds no run.")
    evaluations = sum(len(list(run.evaluations.get("epoch", run.evaluations.get("step", ())))) for run in found.runs)
    if len(found.runs) > MOST_RUNS or evaluations > MOST_EVALUATIONS:
        raise RecordError(f"{sources.named(path)} holds {len(found.runs):,} runs and {evaluations:,} evaluations; at "
                          f"most {MOST_RUNS:,} and {MOST_EVALUATIONS:,} are read.")
    runs = tuple(replace(run, columns={**run.columns, "run_id": name}) for run, name in zip(found.runs, _names(found)))
    found = added(replace(found, runs=tuple(map(without_personal, runs)), notes=(*found.notes, *sources.notes)),
                  additions, str(path))
    found = replace(found, runs=tuple(replace(run, columns=completed(run.columns)) for run in found.runs))
    return judged(found, options.train_examples) if importer.judged else found, sources.sha256


def _reader(importer: Importer) -> Callable[[Sources, Options], Found]:
    """Import the format's module and return its `read`."""
    found: Callable[[Sources, Options], Found] = import_module(f".{importer.module}", __package__).read
    return found


def _names(found: Found) -> list[str]:
    """The runs' names, one that is there already with a number behind; the phases of a run share its name."""
    seen: dict[tuple[str, object], int] = {}
    names = []
    for run in found.runs:
        name, phase = str(run.columns["run_id"]), run.columns.get("phase", 0)
        while (name, phase) in seen:
            seen[name, phase] += 1
            name = f"{run.columns['run_id']} ({seen[name, phase]})"
        seen[name, phase] = 1
        names.append(name)
    return names
