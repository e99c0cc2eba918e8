"""Weak and strong scaling: efficiency, speed-up and the experimentally determined serial share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...benchmarks.errors import one_of, RecordError
from ...benchmarks.text import counted, listed, percent
from ..statistics.estimate import Estimate, relative_spread, UNSTABLE_ABOVE
from ..statistics.ratio import log_ratio

Kind = Literal["weak", "strong"]
Launches = Mapping[int, Mapping[int, float]]
"""Replicas -> launch -> what that launch took or reached."""
Ratio = Callable[[Mapping[int, float], Mapping[int, float]], Estimate]
"""How a quotient over launches is summarized."""


@dataclass(frozen=True)
class ScalingPoint:
    """One replica count against the baseline, paired by launch.

    `warning` names a suspect baseline, nothing is ever clamped to 100 %; `unstable` says which of the two spreads too
    widely over its launches to rest anything on, and is empty where both are steady.
    """

    kind: Kind
    replicas: int
    baseline_replicas: int
    speedup: Estimate
    efficiency: Estimate
    karp_flatt: Estimate
    warning: str
    unstable: str = ""


def karp_flatt(speedup: float, replicas: float) -> float:
    """Return the serial share e = (1/S - 1/p)/(1 - 1/p) with its sign (Karp & Flatt 1990); NaN at p = 1.

    Negative where the speed-up is more than linear.
    """
    if replicas == 1:
        return math.nan
    return ((1 / speedup if speedup else math.inf) - 1 / replicas) / (1 - 1 / replicas)


def weak_scaling(examples_per_second: Launches, baseline_replicas: int | None = None,
                 ratio: Ratio = log_ratio) -> tuple[ScalingPoint, ...]:
    """Return E = X(p)/(p X(1)) at a fixed replica batch; `examples_per_second` maps replicas and launch to throughput.

    baseline_replicas is p0, by default the fewest measured; then E = X(p) p0/(p X(p0)).
    """
    return _points("weak", examples_per_second, baseline_replicas, ratio)


def strong_scaling(step_seconds: Launches, baseline_replicas: int | None = None,
                   ratio: Ratio = log_ratio) -> tuple[ScalingPoint, ...]:
    """Return S = T(1)/T(p) and E = S/p at a fixed global batch; `step_seconds` maps replicas and launch to the step
    time."""
    return _points("strong", step_seconds, baseline_replicas, ratio)


def _points(kind: Kind, launches: Launches, baseline: int | None, ratio: Ratio) -> tuple[ScalingPoint, ...]:
    if not launches:
        return ()
    base = min(launches) if baseline is None else baseline
    if base not in launches:
        raise RecordError(one_of("baseline_replicas", base, map(str, launches)))
    return tuple(_point(kind, launches, replicas, base, ratio) for replicas in sorted(launches))


def _point(kind: Kind, launches: Launches, replicas: int, base: int, ratio: Ratio) -> ScalingPoint:
    times = replicas / base
    own, baseline = launches[replicas], launches[base]
    speedup = ratio(own, baseline) if kind == "weak" else ratio(baseline, own)
    if replicas == base:
        speedup = replace(speedup, value=1.0, low=math.nan, high=math.nan)
    efficiency = speedup.scaled(1 / times)
    return ScalingPoint(kind, replicas, base, speedup, efficiency, _serial_share(speedup, times),
                        _suspect_baseline(efficiency, base),
                        "" if replicas == base else _unsteady({base: baseline, replicas: own}))


def _unsteady(launches: Launches) -> str:
    spreads = {count: relative_spread(list(values.values())) for count, values in launches.items()}
    return listed(f"the launches on {counted(count, 'replica')} vary by {percent(spread)}"
                  for count, spread in spreads.items() if spread > UNSTABLE_ABOVE)


def _serial_share(speedup: Estimate, ratio: float) -> Estimate:
    if ratio == 1:
        return replace(speedup, value=math.nan, low=math.nan, high=math.nan)
    return speedup.transformed(lambda value: karp_flatt(value, ratio))


def _suspect_baseline(efficiency: Estimate, base: int) -> str:
    if not efficiency.value > 1:
        return ""
    beyond = "" if efficiency.low > 1 else " (its interval does not exclude 100 %)"
    return (f"efficiency {percent(efficiency.value, 1)} is above 100 %{beyond}: suspect the baseline at "
            f"{base} replicas (same code path, jit setting and cores per replica?)")
