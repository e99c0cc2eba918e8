"""Ways compared on one case: paired ratios over interleaved repeats, and their geometric mean over cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ...analysis.statistics.estimate import Estimate, mean_estimate, t_critical, without_interval


@dataclass(frozen=True)
class Comparison:
    """Seconds of each way for the same examples; repeat i of every way was measured in turn i."""

    name: str
    examples: int
    seconds: Mapping[str, Sequence[float]]

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> list[Comparison]:
        """Return one comparison for each model, optimizer and batch of a measuring program's rows, in their order."""
        found: dict[str, Comparison] = {}
        for row in rows:
            name = f"{row['model']} {row['optimizer']} {row['global_batch']}"
            one = found.setdefault(name, cls(name, row["examples"], {}))
            found[name] = cls(name, one.examples, {**one.seconds, row["way"]: row["seconds_per_epoch"]})
        return list(found.values())

    def rate(self, way: str) -> float:
        """Examples per second, the median of the repeats."""
        return self.examples / median(self.seconds[way])

    def ratio(self, against: str, way: str = "suite") -> Estimate:
        """Return how many times as fast `way` is: geometric mean of the paired ratios, Student interval of their
        logarithm.

        Logarithms, as the ratio turned over is then the same statement; pairs, as other load hits both alike.
        """
        logs = np.log(np.asarray(self.seconds[against]) / np.asarray(self.seconds[way]))
        return mean_estimate(logs).transformed(math.exp)


def geometric_mean(ratios: Sequence[Estimate]) -> Estimate:
    """Over cases that are given, not drawn: only the repeats' spread enters the interval, by the normal law of sums."""
    value = math.exp(float(np.mean([math.log(ratio.value) for ratio in ratios])))
    if not all(ratio.has_interval for ratio in ratios):
        return without_interval(value, len(ratios))
    variance = sum(_log_error(ratio) ** 2 for ratio in ratios) / len(ratios) ** 2
    half = float(t_critical(math.inf)) * math.sqrt(variance)
    return Estimate(value, value * math.exp(-half), value * math.exp(half), len(ratios))


def _log_error(ratio: Estimate) -> float:
    """Standard error of the ratio's logarithm, from its Student interval."""
    return math.log(ratio.high / ratio.low) / 2 / float(t_critical(ratio.n - 1))
