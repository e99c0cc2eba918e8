"""Peak memory as a law of the batch, one for each kind of run whose memory was measured."""

from __future__ import annotations

from ..laws.memory import fit_memory, MemoryLaw
from ..tables.results import Results
from ..tables.selections import peak_bytes

GROUP = ["experiment", "dataset", "model", "optimizer", "placement", "cores_per_replica",
         "precision"]


def memory_laws(results: Results) -> list[tuple[tuple[object, ...], MemoryLaw]]:
    """(keys named in GROUP, law) of each group of memory runs."""
    runs = results.runs[(results.runs["kind"] == "memory")
                        & (results.runs["status"] == "completed")]
    return [(keys, fit_memory([int(n) for n in rows["replica_batch"]], peak_bytes(rows)))
            for keys, rows in runs.groupby(GROUP, sort=False, dropna=False)]
