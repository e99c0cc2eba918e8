"""The largest batch per replica that was found by trying, where a search has been made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .....benchmarks.records.searches import Answer, Trial
from .....benchmarks.text import byte_count, counted, listed, percent
from ....formatting import Table, table
from ...blocks import Section
from ...builder import section
from ...findings import Findings

SHORT = "not known yet"


@section("largest-batch", "Largest batch")
def build(findings: Findings) -> Section | None:
    """Return the answers of the searches; None where nothing was searched."""
    found = findings.results.searches
    if not found:
        return None
    rows = [(who(one), _limit(one), _batch(one.largest_batch), _fails(one), _batch(one.recommended_batch),
             _batch(one.recommended_global_batch), str(len(one.trials))) for one in found]
    text = ("Found by trying, each size in a process of its own: doubled until one failed, then halved in between. The "
            f"largest is verified by a longer run; the recommended one keeps {_margins(found)} of it free.",)
    header = ("what", "memory", "largest per replica", "does not fit", "recommended", "as global batch", "trials")
    answers = table(header, rows, "Batches per replica and micro-batch, in examples. Memory: what each GPU or, without "
                    "one, the data of each rank's process was allowed.", range(2, 7))
    return Section(text, (), (*answers, *_trials(found)), tuple(_open(found)))


def who(one: Answer) -> str:
    """Return the experiment, model and placement that a search was about, in words."""
    replicas = counted(one.replicas, "replica")
    micro = f", accumulation {one.accumulation}" if one.accumulation > 1 else ""
    return f"{one.experiment}: {one.optimizer} on {one.model}, {one.precision}, {one.strategy}, {replicas}{micro}"


def _limit(one: Answer) -> str:
    return byte_count(float(one.memory_limit_bytes)) if one.memory_limit_bytes else "the GPU's own"


def _batch(value: int | None) -> str:
    return SHORT if value is None else f"{value:,}" if value else "none fits"


def _fails(one: Answer) -> str:
    if one.largest_batch is None:
        return SHORT
    return f"{one.fails_batch:,}" if one.fails_batch else f"not reached up to {one.most:,}"


def _margins(found: Sequence[Answer]) -> str:
    return listed(f"{percent(one.margin)}" for one in found)


def _trials(found: Sequence[Answer]) -> tuple[Table, ...]:
    rows = [(who(one), f"{trial.replica_batch:,}", str(trial.steps), trial.status.replace("_", " "), _peak(trial),
             trial.message) for one in found for trial in one.trials]
    return table(("what", "batch per replica", "steps", "ended", "peak memory", "why"), rows,
                 "In the order tried. Peak: rank 0's, of its GPU's allocator or else of its whole process, program "
                 "code included.", (1, 2, 4), "Trials")


def _peak(trial: Trial) -> str:
    return byte_count(math.nan if trial.peak_bytes is None else trial.peak_bytes)


def _open(found: Sequence[Answer]) -> Iterator[str]:
    for one in found:
        if one.largest_batch is None:
            yield f"{who(one)}: the search has not ended; the same `batchscale search largest-batch` goes on with it."
