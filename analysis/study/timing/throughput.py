"""Throughput against batch: groups of timing runs, the knee of the curve, and its growth per doubling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ....benchmarks.config.strategies import waiting_for_others
from ....benchmarks.errors import RecordError
from ...laws.critical_batch import throughput_knee, ThroughputKnee
from ...statistics.estimate import Estimate, logarithm
from ...statistics.ratio import log_ratio
from ...tables.results import Results
from ...tables.selections import timing_runs
from ..memory_laws import GROUP
from .steadiness import by_launch


def throughput_groups(results: Results) -> list[tuple[tuple[object, ...], pd.DataFrame]]:
    """Return the timing runs on the same replicas with 3 or more batches, fewest replicas first. At equal replicas a
    strategy that waits for no other process comes first: a launcher's cycle would be taken for the model's cost of a
    step."""
    runs = timing_runs(results)
    groups = [(keys, rows) for keys, rows in runs.groupby(GROUP, sort=False, dropna=False)
              if rows["replica_batch"].nunique() >= 3]
    return sorted(groups, key=lambda item: (int(item[1]["replicas"].iloc[0]),
                                            waiting_for_others(str(item[1]["strategy"].iloc[0]))))


def knee(rows: pd.DataFrame) -> ThroughputKnee | str:
    """Return the throughput knee over launches, or the reason in words why there is none."""
    try:
        return throughput_knee(rows["replica_batch"].tolist(), rows["step_seconds"].tolist())
    except RecordError as error:
        return str(error)


def growth(rows: pd.DataFrame, batches: Sequence[int]) -> Estimate:
    """Return the logarithmic slope of throughput between two replica batches, the smaller first, paired by launch: 1 is
    growth in proportion, 0 none."""
    small, large = (by_launch(rows[rows["replica_batch"] == n], "examples_per_second") for n in batches)
    doublings = math.log(batches[1] / batches[0])
    return logarithm(log_ratio(large, small)).scaled(1 / doublings)
