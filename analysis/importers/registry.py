"""Format -> reader: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...benchmarks.errors import one_of, RecordError
from . import batch_science, csv_table, dawnbench, horovod, mllog, mlperf_rcp, pytest_benchmark
from .formats import FORMATS
from .imported_run import MOST_EVALUATIONS, MOST_RUNS, Found, Options
from .sources import Sources

Reader = Callable[[Sources, Options], Found]
READERS: dict[str, Reader] = {
    "mlperf-rcp": mlperf_rcp.read, "mllog": mllog.read, "horovod": horovod.read, "dawnbench": dawnbench.read,
    "batch-science": batch_science.read, "pytest-benchmark": pytest_benchmark.read, "csv": csv_table.read}
TAKE_TARGETS = ("batch-science", "dawnbench")
TAKE_SIZES = ("mlperf-rcp", "mllog")


def read(form: str, path: Path, options: Options) -> tuple[Found, str]:
    """What the path holds, and the SHA-256 of what was read. Raises RecordError for what cannot be believed."""
    if form not in READERS:
        raise RecordError(one_of("format", form, FORMATS))
    if options.target is not None and form not in TAKE_TARGETS:
        raise RecordError(f"--target belongs to {' and '.join(TAKE_TARGETS)}; {form} says itself when a run ends.")
    if options.train_examples is not None and form not in TAKE_SIZES:
        raise RecordError(f"--train-examples belongs to {' and '.join(TAKE_SIZES)}, not to {form}.")
    sources = Sources(path)
    found = READERS[form](sources, options)
    if not found.runs:
        raise RecordError(f"{sources.named(path)} holds no run.")
    evaluations = sum(len(list(run.evaluations.get("epoch", run.evaluations.get("step", ())))) for run in found.runs)
    if len(found.runs) > MOST_RUNS or evaluations > MOST_EVALUATIONS:
        raise RecordError(f"{sources.named(path)} holds {len(found.runs):,} runs and {evaluations:,} evaluations; at "
                          f"most {MOST_RUNS:,} and {MOST_EVALUATIONS:,} are read.")
    runs = tuple(replace(run, columns={**run.columns, "run_id": name}) for run, name in zip(found.runs, _names(found)))
    return Found(runs, found.question, found.notes, found.facts), sources.sha256


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
