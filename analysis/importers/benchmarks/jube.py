"""Tables that JUBE makes of training benchmarks, with the columns of CARAML: as CSV, or with bars and a rule of dashes.

Throughput is of all devices together, in images or tokens a second; the seconds of a step are rounded to two decimals,
so they tell the tokens of an example and no more. Where a model is spread over devices, a replica is several of them.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....benchmarks.errors import RecordError
from ..detection import Sample
from ..imported_run import as_number, Found, ImportedRun, label, Options, whole
from ..sources import Sources
from ..text.each_file import read_each, run_name

QUESTION = "How many examples per second do the replicas train together?"
HINT = "a table of jube result with the columns of CARAML, as CSV or with bars"
RULE = re.compile(r"[\s|+:-]+$")
# Ours -> the titles of the tables, and the names of the parameters behind them.
NAMES: Mapping[str, tuple[str, ...]] = {
    "devices": ("Devices", "total_devices"), "nodes": ("Nodes", "nodes"),
    "batch": ("GlobalBatchSize", "global_batch_size"), "replicas": ("DataParallel", "dp_size"),
    "images": ("Images/second", "imagespersec_avg", "imagespersec"), "tokens": ("Tokens/second", "tokens_per_second"),
    "step": ("Time/iteration(s)", "elp_pat_avg"), "model": ("Model", "model", "model_type"),
    "size": ("ModelSize", "llm_model_size"), "dataset": ("Dataset", "dataset"),
    "precision": ("Precision", "precision"), "system": ("System", "system_name")}
RATES = ("images", "tokens", "step")
MOST_COLUMNS, MOST_ROWS = 500, 20_000
# Of the tokens of an example, which are a power of two; the seconds of a step have two decimals.
ROUNDING = 0.05


def recognizes(sample: Sample) -> bool:
    """Return whether a file begins with the header of such a table."""
    lines = (line for line in sample.head.splitlines()[:20] if line.strip())
    return any(_is_header(_cells(line)) for line in lines)


def read(sources: Sources, options: Options) -> Found:
    """Return each row as a timing run; rows of one configuration are its launches.

    Raises RecordError for a table without the devices, the global batch or a rate, and for a row that has none.
    """
    launches: dict[tuple[object, ...], int] = {}
    left: list[str] = []

    def runs_of(path: Path) -> Iterator[ImportedRun]:
        name, where = run_name(sources, path)
        for index, row in enumerate(_rows(sources, path), 1):
            if not any(_figure(row, rate) > 0 for rate in RATES):
                left.append(f"{sources.short(path)}, row {index}")
                continue
            yield _run(row, f"{path.stem if where else name}, row {index}", where, launches)
    paths = sources.below(".csv", ".dat", ".txt", ".md") if sources.is_folder() else [sources.path]
    runs = read_each(sources, paths, runs_of, HINT)
    notes = [f"{len(left):,} rows without a rate, as of a job that failed, were left out, the first of them "
             f"{left[0]}."] if left else []
    return Found(tuple(runs), QUESTION, tuple(notes))


def _cells(line: str) -> list[str]:
    if "|" in line:
        return [cell.strip() for cell in line.strip().strip("|").split("|")]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=";" if ";" in line else ","), [])]
    except csv.Error:
        return []


def _is_header(cells: list[str]) -> bool:
    known = {name for name, titles in NAMES.items() if any(title in cells for title in titles)}
    return {"devices", "batch"} <= known and any(rate in known for rate in RATES)


def _rows(sources: Sources, path: Path) -> Iterator[dict[str, str]]:
    header: list[str] = []
    count = 0
    for line in sources.lines(path, HINT):
        cells = [] if not line.strip() or RULE.match(line) else _cells(line)
        if _is_header(cells):  # of a table; several may follow each other
            header = cells
        elif header and len(cells) == len(header) <= MOST_COLUMNS:
            count += 1
            if count > MOST_ROWS:
                raise RecordError(f"{sources.named(path)} has more than {MOST_ROWS:,} rows; import a part of it.")
            yield {name: row for name, titles in NAMES.items()
                   if (row := next((cell for title, cell in zip(header, cells) if title in titles), ""))}
    if not header:
        raise RecordError(f"{sources.named(path)} has no header with Devices, GlobalBatchSize and Images/second or "
                          f"Tokens/second; give {HINT}, or batchscale import csv with --map.")


def _figure(row: Mapping[str, str], name: str) -> float:
    return as_number(row.get(name, "")) or 0.0


def _run(row: Mapping[str, str], name: str, where: str, launches: dict[tuple[object, ...], int]) -> ImportedRun:
    batch, devices = (whole(_figure(row, key), f"{name}: {NAMES[key][0]}") for key in ("batch", "devices"))
    replicas = whole(_figure(row, "replicas") or devices, f"{name}: DataParallel")
    model = label(" ".join(row.get(key, "") for key in ("model", "size")))
    spread = f", {devices // replicas} devices a replica" if replicas < devices else ""
    shape = (model, row.get("precision", ""), row.get("system", ""), devices, replicas, batch)
    launches[shape] = launches.get(shape, -1) + 1
    known: dict[str, Any] = {"model": model, "dataset": label(row.get("dataset", "")),
                             "precision": label(row.get("precision", ""))}
    nodes = int(_figure(row, "nodes"))
    known |= {"nodes": nodes} if nodes >= 1 else {}
    columns = {"run_id": label(name), "status": "completed", "kind": "throughput",
               "experiment": label(" on ".join(part for part in (model, row.get("system", "")) if part)) or "jube",
               "strategy": f"data parallel{spread}", "placement": f"{replicas}r", "replicas": replicas,
               "global_batch": batch, "launch": launches[shape], "scaling": "weak",
               "examples_per_second": _rate(row, batch), **{key: value for key, value in known.items() if value}}
    return ImportedRun(columns, environment={"devices": label(row.get("system", ""))},
                       words={key: label(value) for key, value in row.items()}, where=where)


def _rate(row: Mapping[str, str], batch: int) -> float:
    """Examples per second. The tokens of an example are the power of two that step and tokens come next to."""
    images, tokens, step = (_figure(row, name) for name in RATES)
    if images > 0 or not tokens > 0:
        return images if images > 0 else batch / step
    if not step > 0:
        raise RecordError("a table with Tokens/second and no Time/iteration(s) does not say the tokens of an example.")
    each = tokens * step / batch
    power = 2.0 ** round(math.log2(each))
    return tokens / power if abs(each / power - 1) <= ROUNDING else batch / step
