"""What public curves say of one model: asked with its own launches at one replica batch on one machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...benchmarks.text import listed, percent
from ..laws.public_curves import PublicCurves, Rule
from ..laws.step.model import StepPoint
from ..statistics.estimate import Estimate, exponential, Floats, t_critical


@dataclass(frozen=True)
class FromCurves:
    """A rule, how much longer the step of the most replicas is than one replica's here, as a logarithm, and what
    follows in seconds; `seconds` says something where the rule `reaches` this."""

    rule: Rule
    slow_down: float
    seconds: Estimate

    @property
    def reaches(self) -> bool:
        """Return whether machines like this were among the public ones."""
        return self.rule.reaches(self.slow_down)

    @property
    def beyond(self) -> str:
        """Return what sets the public machines apart from this one, in the same words for all its batches."""
        low, high = (math.exp(end) for end in self.rule.reach)
        return (f"public curves do not tell either, for on none is the step of {max(self.rule.given)} replicas as "
                f"here, but {low:.2f} to {high:.2f} times that of one")

    def spanning(self, by_laws: Estimate) -> Estimate:
        """Return the seconds in an interval that holds the laws' too; of the curves alone where that has none."""
        if not by_laws.has_interval:
            return self.seconds
        return Estimate(self.seconds.value, min(self.seconds.low, by_laws.low), max(self.seconds.high, by_laws.high),
                        by_laws.n)


def from_curves(curves: PublicCurves | None, measured: Mapping[StepPoint, pd.DataFrame],
                point: StepPoint) -> FromCurves | None:
    """Return what the curves say of a point; None where they say nothing, as of several nodes, of counts that they do
    not have, and of batches at which fewer replicas were measured than at others."""
    if curves is None or point.nodes > 1 or any(each.nodes > 1 for each in measured):
        return None
    logs = {each.replicas: np.log(own["step_seconds"].to_numpy(np.float64)) for each, own in measured.items()
            if each.accumulation == 0 and each.replica_batch == point.replica_batch}
    rule = curves.rule(frozenset(logs), point.replicas)
    if rule is None or max(logs) < max(each.replicas for each in measured):
        return None
    most = logs[max(logs)]
    slow_down = float(most.mean() - logs[1].mean())
    return FromCurves(rule, slow_down, exponential(_log_seconds(rule.log_ratio(slow_down), most, list(logs.values()))))


def _log_seconds(ratio: Estimate, most: Floats, launches: Sequence[Floats]) -> Estimate:
    """Log seconds of one further launch: the ratio over the most replicas, whose launches spread here as all do. The
    half intervals are added in squares; one launch of each count tells no spread beside that of the curves."""
    middle, freedom = float(most.mean()), sum(each.size - 1 for each in launches)
    squares = sum(float(np.sum((each - each.mean()) ** 2)) for each in launches)
    own = float(t_critical(freedom)) * math.sqrt(squares / freedom * (1 + 1 / most.size)) if freedom else 0.0
    return Estimate(middle + ratio.value, middle + ratio.value - math.hypot(ratio.value - ratio.low, own),
                    middle + ratio.value + math.hypot(ratio.high - ratio.value, own), sum(map(len, launches)))


def statement(rules: Sequence[Rule], curves: PublicCurves) -> str:
    """Return what the rules rest on and how far off they are, in sentences; "" without rules."""
    if not rules:
        return ""
    most = max(rules, key=lambda rule: rule.measured.curves).measured
    errors = [f"{rule.predicted} from {listed([str(count) for count in rule.given])} is off by "
              f"{percent(rule.measured.median_error, 1)} in the median and {percent(rule.measured.ninetieth_error, 1)} "
              f"at the 90th percentile, and {percent(rule.measured.held)} of the intervals hold it (median width: a "
              f"factor of {rule.measured.width:.2f})" for rule in rules]
    counts = listed([str(rule.predicted) for rule in rules])
    return (f"Few counts were measured, so what is said of {counts} replicas rests on {most.curves} public curves of "
            f"{most.setups} set-ups too ({curves.what}; {curves.source}, {curves.licence}). On set-ups left out of "
            f"them in turn, {'; '.join(errors)}.")
