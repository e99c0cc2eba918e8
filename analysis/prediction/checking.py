"""What predictions are worth: the most replicas held out, and intervals that cover what was missed there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ...benchmarks.errors import RecordError
from ..laws.step.laws import fit_step_laws, half_widths, StepLaws
from ..laws.step.model import StepPoint
from ..laws.step.synchronization import undetermined
from ..statistics.estimate import Estimate
from ..statistics.held_out import HeldOutError
from ..study.timing.step_fits import by_point, held_out_at, points_of

# Upper over lower end of an interval from which it says nothing.
WIDEST = 8.0


@dataclass(frozen=True)
class HeldOut:
    """The `most` replicas, predicted by laws that saw none but fewer by so many `doublings`; `reason` says why there
    are none."""

    errors: tuple[HeldOutError, ...]
    reason: str = ""
    most: int = 1
    doublings: float = 0.0

    def missed(self, replicas: int) -> float:
        """Return the half width, on a log scale, that laws miss by themselves at so many replicas, beside what their
        intervals hold; 0 where no error is known and up to the most replicas measured.

        What the worst held-out prediction was off beyond its own interval, e^2 - h^2, is taken for the variance of the
        laws themselves over as many doublings as it was held out by. The discrepancy of a model is a term of its own
        beside its parameters (Kennedy and O'Hagan 2001, JRSS B 63); here it is a walk of independent steps from
        doubling to doubling, whose variance grows with their number.
        """
        if not self.doublings:
            return 0.0
        worst = max((_beyond(error) for error in self.errors if math.isfinite(error.relative_error.value)), default=0.0)
        return worst * math.sqrt(max(0.0, math.log2(replicas / self.most)) / self.doublings)


def _beyond(error: HeldOutError) -> float:
    """What a prediction was off beyond its interval, as a half width on a log scale."""
    predicted, measured = error.predicted, error.measured.value
    off = abs(math.log(measured / predicted.value))
    half = off / half_widths(predicted, measured) if off else 0.0
    return math.sqrt(max(0.0, off ** 2 - half ** 2))


def laws_of(rows: pd.DataFrame) -> StepLaws:
    """Return the laws of these timing runs. Raises RecordError where they do not give any."""
    return fit_step_laws(points_of(rows), rows["step_seconds"].tolist())


def held_out(rows: pd.DataFrame) -> HeldOut:
    """Fit without the most replicas and predict them, at each point where the others determine the step."""
    most = int(rows["replicas"].max())
    rest, last = rows[rows["replicas"] < most], by_point(rows[rows["replicas"] == most])
    if rest.empty:
        return HeldOut((), f"every run had {most} replicas")
    fewer = points_of(rest)
    known = {point: own for point, own in last.items() if not undetermined(fewer, point)}
    if not known:
        return HeldOut((), f"without {most} replicas, {undetermined(fewer, next(iter(last)))}")
    try:
        laws = laws_of(rest)
    except RecordError as error:
        return HeldOut((), f"without {most} replicas, {str(error).rstrip('.')}")
    doublings = math.log2(most / int(rest["replicas"].max()))
    return HeldOut(tuple(held_out_at(laws.predict_seconds, own) for own in known.values()), "", most, doublings)


def doubtful(points: Sequence[StepPoint], point: StepPoint, seconds: Estimate, known: bool, network: bool) -> str:
    """Return why a prediction is refused, "" where it is not; `known`: its synchronization comes from a network,
    `network`: whether one was given."""
    alone = undetermined(points, StepPoint(1, 1, point.replica_batch))
    if alone if known else undetermined(points, point):
        more = "" if known or alone or network else ", or give --network ALPHA,BETA or FILE"
        return f"{alone if known else undetermined(points, point)}{more}"
    if not math.isfinite(seconds.value):
        return "none of the laws that fit the measured steps is determined there"
    return too_wide(seconds, known)


def too_wide(seconds: Estimate, known: bool) -> str:
    """Return why an interval says nothing, "" where it says something; `known` as of `doubtful`."""
    if math.isfinite(seconds.value) and seconds.has_interval and seconds.high <= WIDEST * seconds.low:
        return ""
    width = f"spans a factor of {seconds.high / seconds.low:.3g}" if seconds.low > 0 and math.isfinite(
        seconds.high) else "has no end"
    why = ("what the network leaves open, the algorithm and what hides behind compute, is most of the step; time the "
           "all-reduce on so many ranks" if known else "the measured steps spread too widely or leave too many laws; "
           "measure more launches, batches or replica counts")
    return f"the interval {width}, more than {WIDEST:g}: {why}"
