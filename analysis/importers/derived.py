"""What follows from the columns that a run has: each importer may give the rate or the time, whichever its format has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def completed(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's columns with those that follow: of a timing run that ended as planned the seconds of a step or the
    examples per second, how a global batch is made up, and where it ran; all others as they are."""
    found = dict(columns)
    batch = found.get("global_batch")
    if found.get("kind") != "throughput" or found.get("status") != "completed" or not batch or "replicas" not in found:
        return found
    found.setdefault("accumulation", max(batch // max(found["replicas"] * found["replica_batch"], 1), 1)
                     if "replica_batch" in found else 1)
    found.setdefault("replica_batch", batch // max(found["replicas"] * found["accumulation"], 1))
    if "step_seconds" not in found and found.get("examples_per_second", 0) > 0:
        found["step_seconds"] = batch / found["examples_per_second"]
    if "examples_per_second" not in found and found.get("step_seconds", 0) > 0:
        found["examples_per_second"] = batch / found["step_seconds"]
    found.setdefault("strategy", "not told")
    found.setdefault("placement", f"{found['strategy']}-{found['replicas']}r")
    return found
