"""Memory of one replica against its batch: peak(n) = a + b n, and the largest batch that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...benchmarks.errors import RecordError
from ..statistics.estimate import LEVEL, Estimate, unknown
from ..statistics.line import fit_line, LinearLaw

DISTINCT_SIZES = 4
USABLE = 0.95
RUNS = "runs"


@dataclass(frozen=True)
class MemoryLaw:
    """Fitted peak bytes a + b n of one replica: `fixed_bytes` is a, `bytes_per_example` is b, neither below 0; `law`
    has the slope with its sign, for who tests it.

    `residual_bytes` are in the order of the readings; `absent` counts readings that were null. Below 4 distinct sizes
    the numbers are NaN and `note` says so.
    """

    fixed_bytes: Estimate
    bytes_per_example: Estimate
    residual_bytes: tuple[float, ...]
    absent: int
    note: str
    law: LinearLaw | None = field(default=None, repr=False)

    def predict(self, replica_batch: float) -> Estimate:
        """Return the peak bytes of one further run, with a prediction interval."""
        found = self.law.predict(replica_batch) if self.law else unknown(self.fixed_bytes.n)
        return found.within(0.0, math.inf).per(RUNS)


def fit_memory(replica_batches: Sequence[int], peak_bytes: Sequence[float | None],
               level: float = LEVEL) -> MemoryLaw:
    """Fit peak bytes to the replica batch by least squares over runs, each measured in a fresh process.

    None is an absent reading. Raises RecordError for unequal lengths and for readings of 0 or less.
    """
    if len(replica_batches) != len(peak_bytes):
        raise RecordError(f"{len(replica_batches)} sizes and {len(peak_bytes)} readings; "
                          "give None for an absent reading.")
    pairs = [(size, peak) for size, peak in zip(replica_batches, peak_bytes) if peak is not None]
    if any(not peak > 0 for _, peak in pairs):
        raise RecordError("peak bytes of 0 or less: an absent reading is null, never 0.")
    absent = len(peak_bytes) - len(pairs)
    distinct = len({size for size, _ in pairs})
    if distinct < DISTINCT_SIZES:
        return MemoryLaw(unknown(len(pairs)), unknown(len(pairs)), (), absent,
                         f"not enough points: {distinct} distinct sizes, "
                         f"the law needs {DISTINCT_SIZES}")
    law = fit_line([size for size, _ in pairs], [float(peak) for _, peak in pairs], level=level)
    fixed, each = (found.within(0.0, math.inf).per(RUNS) for found in (law.intercept, law.slope))
    return MemoryLaw(fixed, each, law.residuals, absent, _doubt(law), law)


def _doubt(law: LinearLaw) -> str:
    if law.slope.has_interval and law.slope.low > 0:
        return ""
    return ("the slope's interval reaches 0: memory is not seen to grow; measure larger batches")


def largest_replica_batch(law: MemoryLaw, capacity_bytes: float,
                          usable: float = USABLE) -> Estimate:
    """Return n_max = floor((0.95 C - a)/b) examples, to be verified by a real run; 0 where nothing fits.

    NaN where b is not positive; no interval where b cannot be told from 0.
    """
    if law.law is None:
        return unknown(law.fixed_bytes.n)
    batch = law.law.x_where(usable * capacity_bytes)
    if math.isnan(batch.value):
        return batch
    return batch.transformed(lambda size: float(max(math.floor(size), 0))).per(RUNS)
