"""Peak memory as a law of the batch, one for each kind of run whose memory was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..laws.memory import fit_memory, MemoryLaw
from ..tables.results import Results
from ..tables.selections import peak_bytes

GROUP = ["experiment", "dataset", "model", "optimizer", "placement", "cores_per_replica",
         "precision"]


@dataclass(frozen=True, eq=False)
class MemoryGroup:
    """Finished memory runs that differ in the batch alone, and the law of their peaks. `runs` have `growth_bytes`, the
    peak of one replica, NaN where it was not read or is not above the baseline."""

    experiment: str
    dataset: str
    model: str
    optimizer: str
    placement: str
    cores_per_replica: float
    precision: str
    runs: pd.DataFrame
    law: MemoryLaw

    @property
    def measured(self) -> pd.DataFrame:
        """Return the runs whose peak was read."""
        return self.runs[self.runs["growth_bytes"].notna()]

    @property
    def on_device(self) -> bool:
        """Return whether the peak is that of a device's allocator."""
        return bool(self.runs["device_peak_bytes"].notna().any())

    @property
    def outside_bytes(self) -> float:
        """Return what lies on a GPU outside the allocator, by the run that shows the least; 0 where it is not told. The
        allocator's pool grows by doubling, so a larger run's has more in it that is not used."""
        outside = (self.runs["device_used_bytes"] - self.runs["device_peak_bytes"]).min()
        return float(outside) if outside > 0 else 0.0

    @property
    def usable_bytes(self) -> float:
        """Return the memory of the smallest GPU less what lies outside the allocator; NaN where it is not known."""
        return float(self.runs["device_capacity_bytes"].min()) - self.outside_bytes

    def to_json(self) -> dict[str, Any]:
        """Return the keys of the group and its law, in bytes."""
        keys = {name: getattr(self, name) for name in GROUP}
        cores = self.cores_per_replica
        return {**keys, "cores_per_replica": int(cores) if math.isfinite(cores) else None,
                "runs": len(self.measured), "without_reading": len(self.runs) - len(self.measured),
                "replica_batches": sorted({int(size) for size in self.measured["replica_batch"]}),
                "fixed_bytes": self.law.fixed_bytes.to_json(),
                "bytes_per_example": self.law.bytes_per_example.to_json(),
                "outside_allocator_bytes": self.outside_bytes,
                "residual_bytes": list(self.law.residual_bytes), "note": self.law.note}


def memory_laws(results: Results) -> list[MemoryGroup]:
    """Fit the law of each group of finished memory runs, in the plan's order."""
    runs = results.runs[(results.runs["kind"] == "memory") & (results.runs["status"] == "completed")]
    return [_group(rows) for _, rows in runs.groupby(GROUP, sort=False, dropna=False)]


def _group(rows: pd.DataFrame) -> MemoryGroup:
    first, growth = rows.iloc[0], peak_bytes(rows)
    runs = rows.assign(growth_bytes=pd.Series(growth, index=rows.index, dtype="float64"))
    law = fit_memory([int(size) for size in rows["replica_batch"]], growth)
    experiment, dataset, model, optimizer, placement, precision = (
        str(first[name]) for name in GROUP if name != "cores_per_replica")
    return MemoryGroup(experiment, dataset, model, optimizer, placement, float(first["cores_per_replica"]),
                       precision, runs, law)
