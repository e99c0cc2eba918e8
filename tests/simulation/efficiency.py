"""Efficiency of two replicas over the launches of a study, one of which was disturbed: how often the interval holds the
truth, whether it leaves the possible range, and whether the headline names the point as unstable.

Truth: 1 + 0.2 ms of synchronization on a step of 1.32 to 6.12 ms; launches vary by 2 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from batchscale.analysis.decision.headline import scaling_headlines
from batchscale.analysis.study.timing.scaling import scalings
from batchscale.analysis.study.timing.steadiness import timing_warnings
from batchscale.analysis.tables.reading import from_records
from batchscale.analysis.tables.results import Results
from simulation.coverage import covered, Coverage
from support.synthetic_records import manifest, records, Study, Timing

BATCHES = (32, 128, 512)
QUIET = Timing(replica_batches=BATCHES, global_batches=(512,), strategies=("mirrored",), noise=0.02)


@dataclass(frozen=True)
class Case:
    """The timing runs of one cell, and the plan's settings."""

    timing: Timing
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "three quiet launches": Case(QUIET),
    "one of three disturbed by half on 2 replicas": Case(replace(QUIET, disturbed=((1, 2, 2.0),))),
    "one of three disturbed by half on 1 replica": Case(replace(QUIET, disturbed=((1, 1, 2.0),))),
    "one of three launches slow as a whole": Case(replace(QUIET, disturbed=((1, 1, 2.0), (1, 2, 2.0)))),
    "15 % that all shapes of a launch share": Case(replace(QUIET, launch_effect=0.15)),
    "median of seven launches, one disturbed by half": Case(
        replace(QUIET, launches=7, disturbed=((1, 2, 2.0),)), {"launch_summary": "median"}),
}
CELLS = tuple(CASES)


def simulate(cell: str, studies: int, seed: int) -> Coverage:
    """Return how often the efficiency's interval held the truth at the middle batch of weak scaling."""
    case, batch = CASES[cell], BATCHES[1]
    own = case.timing.fixed_seconds + case.timing.seconds_per_example * batch
    truth = own / (own + case.timing.synchronization_seconds)
    found, below, flagged, named = [], 0, 0, 0
    for number in range(studies):
        made = _study(case, seed + number)
        scaled = scalings(made)
        points = [one.points[-1].efficiency for one in scaled]
        below += any(point.low <= 0 for point in points)
        found.append(next(one for one in scaled if (one.kind, one.fixed_batch) == ("weak", batch)).points[-1])
        flagged += not any("efficiency" in text for text in scaling_headlines(scaled))
        named += "had 0.5" in " ".join(timing_warnings(made))
    estimates = [point.efficiency for point in found]
    return covered(cell, truth, [each.value for each in estimates], [each.low for each in estimates],
                   [each.high for each in estimates],
                   note=f"headline withheld in {flagged / studies:.0%}, the launch named in {named / studies:.0%}, an "
                   f"interval at or below zero in {below / studies:.0%}")


def _study(case: Case, seed: int) -> Results:
    study = Study((), timing=replace(case.timing, effect_seed=seed), memory=None, seed=seed)
    made = records(study)
    listed = manifest(study, made)
    return from_records(made, {**listed, "settings": {**listed["settings"], **case.settings}})
