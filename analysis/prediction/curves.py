"""What public curves say of one model: asked with its own launches at one replica batch on one machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...benchmarks.text import listed, percent
from ..laws.public.nodes import NodesRule, PublicNodes
from ..laws.public.curves import PublicCurves, Rule
from ..laws.step.model import StepPoint
from ..statistics.estimate import Estimate, exponential, Floats, t_critical


@dataclass(frozen=True)
class FromCurves:
    """Seconds of a point by a rule of public curves. `reaches`: whether machines like this were among the public ones,
    so that the seconds say something; `beyond`: what sets them apart where not, in the same words for all batches."""

    rule: Rule | NodesRule
    reaches: bool
    seconds: Estimate
    beyond: str

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
    low, high = (math.exp(end) for end in rule.reach)
    return FromCurves(rule, rule.reaches(slow_down), seconds_of(rule.log_ratio(slow_down), most, list(logs.values())), (
        f"public curves do not tell either, for on none is the step of {max(rule.given)} replicas as here, but "
        f"{low:.2f} to {high:.2f} times that of one"))


def from_nodes(curves: PublicCurves | None, measured: Mapping[StepPoint, pd.DataFrame],
               point: StepPoint) -> FromCurves | None:
    """Return what the curves say of more full nodes than were measured, from the two largest numbers of such nodes at
    this batch; None where they say nothing, as where more replicas were measured otherwise."""
    full = {each.nodes: own for each, own in measured.items()
            if each.accumulation == 0 and each.replica_batch == point.replica_batch
            and each.replicas * point.nodes == each.nodes * point.replicas}
    if curves is None or curves.nodes is None or len(full) < 2:
        return None
    fewer, most = sorted(full)[-2:]
    rule = curves.nodes.rule(fewer == 1)
    if rule is None or point.nodes <= most or most * point.replicas < point.nodes * max(
            each.replicas for each in measured):
        return None
    before, last = (np.log(full[nodes]["step_seconds"].to_numpy(np.float64)) for nodes in (fewer, most))
    slow_down = float(last.mean() - before.mean()) / math.log2(most / fewer)
    low, high = (math.expm1(end) for end in rule.reach)
    ratio = rule.log_ratio(slow_down, math.log2(point.nodes / most))
    return FromCurves(rule, rule.reaches(slow_down), seconds_of(ratio, last, (before, last)), (
        f"public curves do not tell either, for on none does the step get longer by {math.expm1(slow_down):.0%} with a "
        f"doubling of the nodes, as here, but by {low:.0%} to {high:.0%}"))


def seconds_of(ratio: Estimate, most: Floats, launches: Sequence[Floats]) -> Estimate:
    """Return the seconds of one further launch: the ratio, a logarithm, over the most replicas, whose launches spread
    here as all do. The half intervals are added in squares; one launch of each count tells no spread beside that of
    the curves."""
    middle, freedom = float(most.mean()), sum(each.size - 1 for each in launches)
    squares = sum(float(np.sum((each - each.mean()) ** 2)) for each in launches)
    own = float(t_critical(freedom)) * math.sqrt(squares / freedom * (1 + 1 / most.size)) if freedom else 0.0
    return exponential(Estimate(
        middle + ratio.value, middle + ratio.value - math.hypot(ratio.value - ratio.low, own),
        middle + ratio.value + math.hypot(ratio.high - ratio.value, own), sum(map(len, launches))))


def statement(rules: Sequence[Rule | NodesRule], curves: PublicCurves) -> str:
    """Return what the rules rest on and how far off they are, in sentences; "" without rules."""
    return " ".join(part for part in (
        _on_one_node([rule for rule in rules if isinstance(rule, Rule)], curves),
        *(_on_nodes(rule, curves.nodes) for rule in rules if isinstance(rule, NodesRule) and curves.nodes)) if part)


def _on_nodes(rule: NodesRule, nodes: PublicNodes) -> str:
    known = "one node and several" if rule.leaving else "two numbers of several nodes"
    return (f"What is said of more nodes rests on {rule.measured.curves} public curves of {rule.measured.setups} "
            f"tables ({nodes.what}; {nodes.source}). On tables left out in turn, the next count from {known} is off by "
            f"{_errors(rule)}; counts further on by more.")


def _errors(rule: Rule | NodesRule) -> str:
    of = rule.measured
    return (f"{percent(of.median_error, 1)} in the median and {percent(of.ninetieth_error, 1)} at the 90th percentile, "
            f"and {percent(of.held)} of the intervals hold it (median width: a factor of {of.width:.2f})")


def _on_one_node(rules: Sequence[Rule], curves: PublicCurves) -> str:
    if not rules:
        return ""
    most = max(rules, key=lambda rule: rule.measured.curves).measured
    errors = [f"{rule.predicted} from {listed([str(count) for count in rule.given])} is off by {_errors(rule)}"
              for rule in rules]
    counts = listed([str(rule.predicted) for rule in rules])
    return (f"Few counts were measured, so what is said of {counts} replicas rests on {most.curves} public curves of "
            f"{most.setups} set-ups too ({curves.what}; {curves.source}, {curves.licence}). On set-ups left out of "
            f"them in turn, {'; '.join(errors)}.")
