"""Which rows of the tables answer which question: timing runs, and the peak of memory runs."""

from __future__ import annotations

import math

import pandas as pd

from .results import Results


def peak_bytes(rows: pd.DataFrame) -> list[float | None]:
    """Return the peak memory of each row in bytes: the allocator's, else what training added to the process.

    It is None where neither was read or the value is not positive, which is less than the meter resolves.
    """
    added = rows["device_peak_bytes"].fillna(rows["peak_bytes"] - rows["baseline_bytes"])
    return [float(value) if value > 0 else None for value in added]


def known_whole(value: float) -> int | None:
    """Return a number of a table as a whole one; None where it is NaN, as in imported runs whose file lacks it."""
    return int(value) if math.isfinite(value) else None


def timing_runs(results: Results) -> pd.DataFrame:
    """Return the rows of timing runs that have a step time, without those of the drift guard. They are for all to read.
    """
    return results.timing_runs
