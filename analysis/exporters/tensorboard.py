"""Curves as TensorBoard event files, written without TensorFlow: one folder per run (and phase).

A file is a sequence of records, framed as in a TFRecord file. Each is an Event message of tensorboard's event.proto:
wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5 (message), whose value = 1 has tag = 1
(string) and simple_value = 2 (float).
"""

from __future__ import annotations

import calendar
import math
import re
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ...benchmarks.data.disk.tfrecord_format import field, framed, varint
from ..columns import METRICS
from ..tables.results import Results

VERSION = "brain.Event:2"
# TensorBoard groups charts by what stands before the slash.
TAGS = {**{name: f"{metric}/{part}" for name in METRICS for part, _, metric in [name.partition("_")]},
        "test_top5_accuracy": "top5_accuracy/test"}


def event(wall_time: float, step: int, scalars: Mapping[str, float]) -> bytes:
    """Encode an Event with one value per tag; wall_time in seconds since 1970, step >= 0."""
    values = b"".join(field(1, field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
                      for tag, value in scalars.items())
    return b"\x09" + struct.pack("<d", wall_time) + b"\x10" + varint(step) + field(5, values)


def first_event(wall_time: float) -> bytes:
    """Encode the Event that begins every file and names its version; wall_time in seconds since 1970."""
    return b"\x09" + struct.pack("<d", wall_time) + field(3, VERSION.encode())


def write(results: Results, folder: Path) -> int:
    """Write FOLDER/<run>/events.out.tfevents.* of every run with evaluations, each anew; return how many.

    Steps are training steps, or examples or epochs where no steps are known; wall time is the end of the run less the
    training that was still to come.
    """
    ends = dict(zip(results.all_runs["run_id"], results.all_runs["finished"].map(_seconds)))
    names: dict[str, str] = {}
    written = 0
    for (run_id, phase), rows in results.evaluations.groupby(["run_id", "phase"], sort=False):
        place = folder / _folder_name(str(run_id), names)
        place = place / f"phase-{phase}" if phase else place
        place.mkdir(parents=True, exist_ok=True)
        end = ends.get(run_id, 0.0)
        path = place / f"events.out.tfevents.{int(end):010d}.batchscale"
        path.write_bytes(b"".join(map(framed, _events(rows, end))))
        written += 1
    return written


def _folder_name(run_id: str, names: dict[str, str]) -> str:
    """A name from a file never leaves the folder; two runs never share one."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id).strip("-")[:100] or "run"
    name = plain
    while names.setdefault(name, run_id) != run_id:
        name = f"{plain}-{len(names)}"
    return name


def _seconds(text: object) -> float:
    """UTC seconds of an ISO time; 0 where there is none."""
    try:
        return float(calendar.timegm(time.strptime(str(text)[:19], "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return 0.0


def _events(rows: pd.DataFrame, end: float) -> Iterator[bytes]:
    clock = rows["train_seconds"].fillna(rows["elapsed_seconds"]).astype(float)
    begin = end - (float(clock.max()) if clock.notna().any() else 0.0)
    column = next((name for name in ("step", "examples", "epoch") if rows[name].notna().all()), "epoch")
    yield first_event(begin)
    for row in rows.assign(clock=clock).sort_values(column, kind="stable").to_dict("records"):
        scalars = {tag: float(row[name]) for name, tag in TAGS.items() if _known(row[name])}
        if scalars and _known(row[column]):
            seconds = float(row["clock"]) if _known(row["clock"]) else 0.0
            yield event(begin + seconds, int(row[column]), scalars)


def _known(value: Any) -> bool:
    return bool(pd.notna(value)) and math.isfinite(value)
