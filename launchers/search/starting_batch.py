"""Where a largest-batch search begins: the batch that the memory law of the plan's own memory runs lets expect."""

from __future__ import annotations

import math
from pathlib import Path

from ...benchmarks.records.json_files import read_json
from ...benchmarks.runs.run_config import RunConfig


def by_memory_law(plan_folder: Path, like: RunConfig) -> int | None:
    """Return floor((0.95 C - a) / b) by the memory runs of this experiment; None without them, or without a law of
    them.

    C is the memory limit or, without one, the GPU's memory as those runs tell it, less what lies outside the
    allocator.
    """
    if not isinstance(read_json(plan_folder / "plan.json"), dict):
        return None
    from ...analysis.study.memory_laws import memory_laws
    from ...analysis.laws.memory import largest_replica_batch
    from ...analysis.tables.reading import read
    from ...benchmarks.records.store import Store
    results = read(Store(plan_folder))
    for group in memory_laws(results):
        if (group.experiment, group.model, group.optimizer) != (like.experiment, like.model, like.optimizer):
            continue
        beside = 0.0 if group.on_device else float(group.runs["baseline_bytes"].max())
        capacity = like.memory_limit_bytes - beside if like.memory_limit_bytes else group.usable_bytes
        size = largest_replica_batch(group.law, capacity).value if capacity > 0 else math.nan
        if math.isfinite(size) and size >= 1:
            return int(size)
    return None
