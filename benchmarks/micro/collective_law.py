"""t(s) = alpha + beta s, fitted by regime of the message size, and tried on sizes held out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ...analysis.laws.allreduce import algorithm_bandwidth, bus_bandwidth
from ...analysis.statistics.estimate import Estimate, mean_estimate
from ...analysis.statistics.line import fit_line, LinearLaw

KIB, MIB = 1024, 1024**2
TRAINING_BYTES = (*(8 * 4**i for i in range(12)), 64 * MIB)  # 8 B to 32 MiB, and 64 MiB
HELD_OUT_BYTES = (64, KIB, 16 * KIB, 256 * KIB, 4 * MIB, 16 * MIB)
# Where libraries change their algorithm and messages outgrow the caches; neighbours share the size between them.
REGIME_ENDS = (8 * KIB, 512 * KIB, 64 * MIB)


@dataclass(frozen=True)
class Regime:
    """Messages of low < s <= high bytes; alpha in seconds, beta in seconds per byte."""

    low: int
    high: int
    law: LinearLaw

    @property
    def alpha_seconds(self) -> Estimate:
        """Seconds of a call without any bytes."""
        return self.law.intercept

    @property
    def beta_seconds_per_byte(self) -> Estimate:
        """Seconds of one more byte."""
        return self.law.slope

    def to_json(self) -> dict[str, Any]:
        """Return the regime as a JSON object."""
        return {"low_bytes": self.low, "high_bytes": self.high, "alpha_seconds": self.alpha_seconds.to_json(),
                "beta_seconds_per_byte": self.beta_seconds_per_byte.to_json()}


Times = Mapping[int, Sequence[float]]
"""Seconds of one call by buffer size in bytes: the median of each launch."""


def launch_medians(answers: Iterable[Mapping[str, Any]], collective: str) -> dict[int, list[float]]:
    """Median over the rounds of each launch; rounds of one launch are not independent, launches are."""
    times: dict[int, list[float]] = {}
    for answer in answers:
        for row in answer["rows"]:
            if row["collective"] == collective:
                times.setdefault(row["bytes"], []).append(median(row["seconds"]))
    return times


def fit(times: Times) -> list[Regime]:
    """Return one line for each regime, fitted on the sizes that are not held out; errors grow with the time."""
    known = sorted(set(times) - set(HELD_OUT_BYTES))
    regimes, low = [], 0
    for high in REGIME_ENDS:
        points = [(size, value) for size in known if max(low, 1) <= size <= high for value in times[size]]
        if len({size for size, _ in points}) >= 2:
            law = fit_line([float(size) for size, _ in points], [value for _, value in points], relative_errors=True)
            regimes.append(Regime(low, high, law))
        low = high
    return regimes


def predict(regimes: Sequence[Regime], size: int) -> float:
    """Seconds of one call; NaN for a size in no regime."""
    return next((regime.law.predict(size).value for regime in regimes if regime.low < size <= regime.high), math.nan)


def held_out_errors(regimes: Sequence[Regime], times: Times) -> dict[int, float]:
    """Return |predicted - measured| / measured by held-out size in bytes, each predicted by its regime's line."""
    measured = {size: median(times[size]) for size in HELD_OUT_BYTES if size in times}
    return {size: abs(predict(regimes, size) - seconds) / seconds for size, seconds in measured.items()}


def row(collective: str, ranks: int, size: int, launches: Sequence[float]) -> dict[str, Any]:
    """Latency, algbw = s / t and busbw of one size: geometric mean over launches, Student interval of the logarithm,
    since a bandwidth is a time turned over and neither can be negative."""
    seconds = mean_estimate([math.log(value) for value in launches]).transformed(math.exp)
    return {"collective": collective, "bytes": size, "seconds": seconds.to_json(),
            "algbw_bytes_per_second": algorithm_bandwidth(size, seconds).to_json(),
            "busbw_bytes_per_second": bus_bandwidth(collective, ranks, size, seconds).to_json()}
