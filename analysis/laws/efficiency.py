"""Weak and strong scaling: efficiency, speed-up and the experimentally determined serial share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...benchmarks.errors import one_of, RecordError
from ..statistics.estimate import LEVEL, Estimate, Floats, unknown
from ..statistics.ratio import independent_ratio

Kind = Literal["weak", "strong"]
Launches = Mapping[int, Sequence[float] | Floats]


@dataclass(frozen=True)
class ScalingPoint:
    """One replica count against the baseline. `warning` names a suspect baseline; nothing is ever clamped to 100 %."""

    kind: Kind
    replicas: int
    baseline_replicas: int
    speedup: Estimate
    efficiency: Estimate
    karp_flatt: Estimate
    warning: str


def karp_flatt(speedup: float, replicas: float) -> float:
    """Return the serial share e = (1/S - 1/p)/(1 - 1/p) with its sign (Karp & Flatt 1990); NaN at p = 1.

    Negative where the speed-up is more than linear.
    """
    if replicas == 1:
        return math.nan
    return (1 / speedup - 1 / replicas) / (1 - 1 / replicas)


def weak_scaling(examples_per_second: Launches, baseline_replicas: int | None = None,
                 level: float = LEVEL) -> tuple[ScalingPoint, ...]:
    """Return E = X(p)/(p X(1)) at a fixed replica batch; `examples_per_second` maps replicas to each launch's
    throughput.

    baseline_replicas is p0, by default the fewest measured; then E = X(p) p0/(p X(p0)).
    """
    return _points("weak", examples_per_second, baseline_replicas, level)


def strong_scaling(step_seconds: Launches, baseline_replicas: int | None = None,
                   level: float = LEVEL) -> tuple[ScalingPoint, ...]:
    """Return S = T(1)/T(p) and E = S/p at a fixed global batch; `step_seconds` maps replicas to each launch's step
    time."""
    return _points("strong", step_seconds, baseline_replicas, level)


def _points(kind: Kind, launches: Launches, baseline: int | None,
            level: float) -> tuple[ScalingPoint, ...]:
    if not launches:
        return ()
    base = min(launches) if baseline is None else baseline
    if base not in launches:
        raise RecordError(one_of("baseline_replicas", base, map(str, launches)))
    return tuple(_point(kind, launches, replicas, base, level) for replicas in sorted(launches))


def _point(kind: Kind, launches: Launches, replicas: int, base: int,
           level: float) -> ScalingPoint:
    ratio = replicas / base
    if kind == "weak":
        speedup = independent_ratio(launches[replicas], launches[base], level)
    else:
        speedup = independent_ratio(launches[base], launches[replicas], level)
    if replicas == base:
        speedup = Estimate(1.0, math.nan, math.nan, speedup.n)
    efficiency = speedup.scaled(1 / ratio)
    serial = _serial_share(speedup, ratio)
    return ScalingPoint(kind, replicas, base, speedup, efficiency, serial,
                        _suspect_baseline(efficiency, base))


def _serial_share(speedup: Estimate, ratio: float) -> Estimate:
    """Return the serial share; it has no interval where the speed-up's reaches 0, since 1/S has no bound there."""
    if ratio == 1:
        return unknown(speedup.n)
    if speedup.has_interval and speedup.low <= 0:
        return Estimate(karp_flatt(speedup.value, ratio), math.nan, math.nan, speedup.n)
    return speedup.transformed(lambda value: karp_flatt(value, ratio))


def _suspect_baseline(efficiency: Estimate, base: int) -> str:
    if not efficiency.value > 1:
        return ""
    beyond = "" if efficiency.low > 1 else " (its interval does not exclude 100 %)"
    return (f"efficiency {efficiency.value:.1%} is above 100 %{beyond}: suspect the baseline at "
            f"{base} replicas (same code path, jit setting and cores per replica?)")
