"""Where a study stands among public results: critical batches like its own, and curves that scale worse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.text import listed, number, percent
from ..laws.public.points import PublicPoints, shipped, Workload
from ..statistics.estimate import Estimate
from ..study.study import Study
from ..study.timing.devices import on_gpus
from ..study.timing.scaling import Scaling

MOST_ALIKE = 3


@dataclass(frozen=True)
class Standing:
    """One result of a study beside public ones: of `name`, the value, what is said of it, and, of an efficiency, the
    share of `curves` public curves that are less efficient."""

    name: str
    value: Estimate
    statement: str
    alike: tuple[str, ...] = ()
    share_below: Estimate | None = None
    curves: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object, estimates with their intervals."""
        return {"name": self.name, "value": self.value.to_json(), "statement": self.statement,
                "alike": list(self.alike), "curves": self.curves,
                "share_below": self.share_below.to_json() if self.share_below else None}


def standings(study: Study, points: PublicPoints | None = None) -> tuple[Standing, ...]:
    """Return what can be said of a study's critical batches and of its weak scaling; none where it has neither."""
    points = points or shipped()
    return (*_batches(study, points), *_efficiencies(study, points))


def _batches(study: Study, points: PublicPoints) -> Iterator[Standing]:
    own = [(one.experiment, one.steps.critical_batch, "examples") for one in study.critical if one.steps is not None]
    own += [(one.experiment, one.critical_batch, one.example) for one in study.convergences]
    for name, batch, unit in own:
        if math.isfinite(batch.value) and batch.has_interval:
            yield _batch(name, batch, unit, points)


def _batch(name: str, batch: Estimate, unit: str, points: PublicPoints) -> Standing:
    """Workloads whose interval shares a point with the own one are like it, the nearest first; of those without an
    interval, whose value lies in it."""
    near = sorted(points.workloads, key=lambda one: abs(math.log(one.critical_batch / max(batch.value, 1e-9))))
    alike = [one for one in near if batch.overlaps(one.estimate) or
             one.low is None and batch.low <= one.critical_batch <= batch.high]
    said = f"{name}: your critical batch of {_written(batch, unit)} "
    if alike:
        more = f"; {len(alike) - MOST_ALIKE} more are like it" if len(alike) > MOST_ALIKE else ""
        said += f"is like that of {'; of '.join(map(_named, alike[:MOST_ALIKE]))}{more}."
    else:
        below = max((one for one in points.workloads if one.critical_batch < batch.value), default=None,
                    key=lambda one: one.critical_batch)
        above = min((one for one in points.workloads if one.critical_batch > batch.value), default=None,
                    key=lambda one: one.critical_batch)
        said += (f"lies between that of {_named(below)} and that of {_named(above)}." if below and above else
                 f"is larger than that of any of {len(points.workloads)} public workloads, the largest of which is "
                 f"{_named(below)}." if below else f"is smaller than that of any of {len(points.workloads)} public "
                 f"workloads, the smallest of which is {_named(above)}." if above else "has nothing beside it.")
    units = sorted({one.unit for one in alike[:MOST_ALIKE]} - {unit})
    if units:
        said += f" Mind the units: {listed(units)} are not {unit}."
    return Standing(name, batch, said, tuple(one.name for one in alike))


def _named(one: Workload) -> str:
    bound = " - a bound, beyond the batches trained" if one.beyond else ""
    return f"{one.what}: {_written(one.estimate, one.unit)}{bound}"


def _written(batch: Estimate, unit: str) -> str:
    interval = f" ({number(batch.low)} to {number(batch.high)})" if batch.has_interval else ""
    return f"{number(batch.value)} {unit}{interval}"


def _efficiencies(study: Study, points: PublicPoints) -> Iterator[Standing]:
    for scaling in study.scalings:
        if scaling.kind == "weak" and on_gpus(study.results, _rows(study, scaling)):
            for point in scaling.points:
                public = points.efficiency(point.replicas)
                if public is None or point.baseline_replicas != 1 or not math.isfinite(point.efficiency.value):
                    continue
                share = point.efficiency.transformed(public.share_below)
                span = f" ({percent(share.low)} to {percent(share.high)})" if share.has_interval else ""
                name = f"{scaling.model} at {scaling.fixed_batch:,} examples a replica"
                yield Standing(name, point.efficiency, (
                    f"{name}: your efficiency of {percent(point.efficiency.value)} on {point.replicas} replicas is "
                    f"better than that of {percent(share.value)}{span} of {public.curves} {points.curves_source}."),
                    (), share, public.curves)


def _rows(study: Study, scaling: Scaling) -> Any:
    rows = study.timing
    return rows[(rows["model"] == scaling.model) & (rows["experiment"] == scaling.experiment)]


def text(found: Sequence[Standing], study: Study) -> str:
    """Return the statements as plain text, or what would have to be measured for one."""
    if found:
        return "\n".join(one.statement for one in found)
    cpus = bool(len(study.timing)) and not on_gpus(study.results, study.timing)
    return ("Nothing here stands beside public results: they are critical batches, which take several batches trained "
            "to a target, and the efficiency of weak scaling on 2, 4 or 8 GPUs of one machine against one"
            + (", and these runs were on CPUs." if cpus else "."))
