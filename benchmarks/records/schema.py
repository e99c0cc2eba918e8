"""The record: what one run leaves behind, raw, as `record.json`. Summaries are the analysis' business.

A field is described once, here and in `rows`: `decode` checks a record against the description and `reference` prints
it as Markdown. Keys that are not known are a later version's.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from ..config.fields import RunFields
from ..decoding import decoded, LARGEST_WHOLE, lists, parts, table, Whole
from ..errors import RecordError
from . import rows
from .rows import Agreement, Evaluation, Measured, Measurements, Timing, Window, Workload

SCHEMA_VERSION = 1
Status = Literal["completed", "diverged", "out_of_memory"]
RESULT_STATUSES: tuple[str, ...] = get_args(Status)


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `derived` that tables need; the rest is for people."""

    peak_learning_rate: Measured = None
    warmup_steps: Measured = None
    weight_kept_per_epoch: Measured = None


class Record(Measurements, frozen=True, kw_only=True):
    """One run. The sections of a run that ended out_of_memory may be empty; those of any other are not None."""

    schema_version: Annotated[Whole, Meta(description=f"{SCHEMA_VERSION}")]
    run_id: Annotated[str, Meta(description="name of the run's folder")]
    status: Annotated[Status, Meta(description="completed, diverged or out_of_memory")]
    attempt: Annotated[Whole, Meta(description="number of the attempt that wrote this")]
    finished: Annotated[str, Meta(description="UTC time, ISO 8601")]
    config: Annotated[RunFields, Meta(description="the RunConfig, every key")]
    derived: Annotated[Derived, Meta(description="what follows from it: steps, rates, flags")]
    workload: Annotated[Workload | None, Meta(description="see Workload")]
    environment: Annotated[dict[str, Any], Meta(description="versions, host, devices, threads, variables; free-form, "
                                                "compared key by key")]
    agreement: Annotated[Agreement | None, Meta(description="see Agreement")]
    evaluations: Annotated[tuple[Evaluation, ...], Meta(description="see Evaluation; ascending phase and step")]
    windows: Annotated[tuple[Window, ...], Meta(description="see Window; every rank's")]
    timing: Annotated[Timing | None, Meta(description="see Timing")]
    continues: Annotated[str, Meta(description="the run from whose end this one goes on, and whose evaluations it has: "
                                   "of its first phase, or up to where a shorter trial ended")] = ""
    resumed: Annotated[tuple[dict[str, Any], ...], Meta(description="checkpoints that later attempts went on from: "
                                                        "attempt, phase and step of each, and the run of a shorter "
                                                        "one's")] = ()
    warnings: Annotated[tuple[str, ...], Meta(description="sentences")]
    content_hash: Annotated[str, Meta(description="SHA-256 over all the rest as JSON with sorted keys and no "
                                      "spaces")] = ""


PARTS = {name: kind for name, kind in parts(Record).items() if kind.__module__ == rows.__name__}
SECTIONS = tuple(name for name in PARTS if name not in lists(Record))
PHASED = tuple(name for name, kind in PARTS.items() if "phase" in kind.__struct_fields__)
WORDS = re.compile("[A-Z](?:[a-z]+|[A-Z]+(?![a-z]))")  # of a class's name


def decode(value: object) -> Record:
    """Return a record that JSON holds, typed. Raises RecordError, its message what is wrong, one sentence each."""
    if not isinstance(value, dict):
        raise RecordError("a record is a JSON object")
    if value.get("schema_version") != SCHEMA_VERSION:
        raise RecordError(f"schema_version={str(value.get('schema_version'))[:40]!r} is not {SCHEMA_VERSION}")
    given = value
    if value.get("status") == "out_of_memory":
        given = {**value, **{name: None for name in SECTIONS if name in value and value[name] == {}}}
    record = decoded(given, Record, RecordError)
    if wrong := [*_absent(record), *_config(record.config), *_phases(record)]:
        raise RecordError("; ".join(wrong))
    return record


def problems(value: object) -> list[str]:
    """Return why a record cannot be believed, in sentences without a period; empty when it can be."""
    try:
        decode(value)
    except RecordError as error:
        return [str(error).removesuffix(".")]
    return []


def _absent(record: Record) -> Iterator[str]:
    if record.status != "out_of_memory":
        yield from (f"{name} = None must be an object" for name in SECTIONS if getattr(record, name) is None)


def _config(config: RunFields) -> Iterator[str]:
    """Numbers of a configuration are finite and can be stored; what divides is above 0."""
    for name, value in vars(config).items():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, (int, float)) and not abs(item) <= _largest(item):
                yield f"config.{name} = {str(item)[:40]} must be a finite number that 64 bits hold"
    for name in ("global_batch", "replicas", "accumulation"):
        if getattr(config, name) < 1:
            yield f"config.{name} = {getattr(config, name)} must be greater than 0"


def _largest(number: float) -> float:
    return LARGEST_WHOLE if isinstance(number, int) else sys.float_info.max


def _phases(record: Record) -> Iterator[str]:
    """A row's phase is one of the configuration's batches."""
    count = len(record.config.batches)
    for name in PHASED:
        for index, row in enumerate(getattr(record, name)):
            if not 0 <= row.phase < count:
                yield f"{name}[{index}].phase = {row.phase} is not among the {count} of its configuration"


def finite(value: Any) -> Any:
    """Return `value` as JSON can hold it, everywhere inside: NaN and infinities become null, bytes of a path that are
    no UTF-8 their escapes, tuples lists."""
    if isinstance(value, float):  # a record has thousands of numbers, and little else
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


def reference() -> str:
    """Return the description above as Markdown tables."""
    kinds: dict[type[msgspec.Struct], None] = dict.fromkeys((Record, *PARTS.values()))
    return "\n".join(f"### {_title(kind)}\n\n{table(kind)}" for kind in kinds)


def _title(kind: type[msgspec.Struct]) -> str:
    """The words of a class's name, as descriptions call it: Own window, GPU reading."""
    first, *others = WORDS.findall(kind.__name__)
    return " ".join((first, *map(str.lower, others)))
