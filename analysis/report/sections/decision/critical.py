"""The critical batch from three sources side by side: steps to a target, gradient noise, throughput."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .....benchmarks.schedules.rules import rule_order
from .....benchmarks.text import number
from ....figures.bars import draw_rows, Row
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import OTHERS, STRATEGIES, Role, role
from ....formatting import estimated, Table, table
from ....laws.critical_batch import StepsToTarget
from ....statistics.estimate import Estimate, Floats, geometric_mean, without_interval
from ....study.arm_runs import conditions
from ....study.arms import Arm
from ....study.critical import CriticalBatch, STEPS
from ....study.groups import Workload
from ....study.targets import steps_to_target
from ...blocks import Section
from ...builder import section
from ...findings import Findings

CURVE_POINTS = 40
ROLES = (role("constant"), OTHERS[1], STRATEGIES["horovod-mpi"])


@section("critical", "Critical batch, three ways", needs="noise_batches = [1, 8, 32, 128]")
def build(findings: Findings) -> Section | None:
    """Return one row of panels per experiment with at least one source."""
    named = {item.experiment: item for item in findings.decided.critical}
    pairs = [(name, work, named[work.experiment]) for name, work in findings.panels
             if work.experiment in named and findings.study.is_compared(work)]
    known = [(name, work, item) for name, work, item in pairs
             if any(math.isfinite(source.value) for source in item.sources.values())]
    if not known:
        return None
    text = ["Below the critical batch, doubling the batch nearly halves the steps; above it, hardly. Steps to a "
            "target, fitted as S(B) = S_min (1 + B_crit / B), are about training; the noise scale is about the "
            "gradient; the throughput knee, where half of peak throughput is reached, is about the hardware. They "
            "answer different questions and are compared, never merged."]
    text += [f"{item.experiment}. {' '.join(map(_sentence, item.statements))}" for _, _, item in known
             if item.statements]
    arms = findings.study.arms_by_experiment
    figures = [figure for name, work, item in known for figure in _panels(name, work, item, arms[item.experiment])]
    rows = [(item.experiment, source, estimated(value), _batch(item, "useful") if source == STEPS else "",
             _batch(item, "perfect") if source == STEPS else "")
            for _, _, item in known for source, value in item.sources.items()]
    tables = table(
        ("experiment", "source", "critical batch, examples", "largest useful batch", "perfect scaling ends"), rows,
        "Steps to target: maximum likelihood over runs, with a level for each seed and runs that never passed as "
        "longer than they ran; n counts runs that passed. Noise scale: over the run, n seeds. Knee: least squares over "
        "launches. 95 % intervals. The last two columns are the 20 % rules of steps and of examples, in brackets the "
        "measured batches between which each lies at 95 %.", (), "Numbers")
    return Section(tuple(text), tuple(figures), (*tables, *_by_choice(known)))


def _by_choice(known: Sequence[tuple[str, Workload, CriticalBatch]]) -> tuple[Table, ...]:
    """The law at each target and under each rule: what the one headed depends on."""
    rows = [(item.experiment, f"{item.outcome.name} {number(each.target)}, {each.margins} margins below", each.rule,
             estimated(each.law.critical_batch), _p_value(each.law.lack_of_fit), str(len(each.law.censored)))
            for _, _, item in known for each in (*item.by_target, *item.by_rule)]
    return table(("experiment", "target", "rule", "critical batch from steps, examples", "lack of fit, p",
                  "runs that never passed"), rows,
                 "The first target of each experiment is the one above; no interval includes the choice of the target "
                 "or of the rule. Lack of fit: F test of the law against a free level for each batch; below 0.05 the "
                 "law does not describe these batches, and the interval does not hold.", (4, 5), "Targets and rules")


def _p_value(value: float) -> str:
    if math.isnan(value):
        return "not tested"
    return f"{value:.2g}" if value >= 1e-3 else "below 0.001"


def _sentence(statement: str) -> str:
    return f"{statement[:1].upper()}{statement[1:].rstrip('.')}."


def _batch(item: CriticalBatch, which: str) -> str:
    useful = item.useful
    if useful is None:
        return ""
    batch, ends = ((useful.largest_useful, useful.useful_range) if which == "useful"
                   else (useful.perfect_scaling_end, useful.perfect_range))
    if batch is None:
        return ""
    if not ends:
        return f"{batch:,} (no interval)"
    return f"{batch:,}" + (f" ({ends[0]:,} to {ends[1]:,})" if ends[0] < ends[1] else "")


def _panels(name: str, work: Workload, item: CriticalBatch, arms: Sequence[Arm]) -> Iterator[Figure]:
    if item.steps is not None:
        yield _steps_panel(name, work, item, item.steps, arms)
    title = f"{work.title}: critical batch from three sources"
    rows = [Row(source, value, each) for (source, value), each in zip(item.sources.items(), ROLES)]
    yield Figure(f"{name}-critical", title, draw_rows(f"{name}-critical", title, "examples", rows, log=True),
                 f"{work.detail}. Value and 95 % interval; the knee counts one replica's batch.")


def _steps_panel(name: str, work: Workload, item: CriticalBatch, law: StepsToTarget,
                 arms: Sequence[Arm]) -> Figure:
    title = f"{work.title}: steps to target against global batch"
    arms = sorted(arms, key=lambda arm: rule_order(arm.rule))
    steps = steps_to_target(arms, item.target)
    series, lost = [], []
    for arm in arms:
        own = steps[steps["rule"] == arm.rule]
        points = [(float(batch), _geometric_mean(rows["high"].to_numpy(np.float64)))
                  for batch, rows in own.groupby("global_batch")]
        series.append(Series(arm.rule, role(arm.rule), tuple(points), work.marker,
                             runs={float(batch): conditions(arm.rows_at(batch)) for batch in arm.batches}))
        lost += [(float(batch), role(arm.rule), "") for batch, rows in own.groupby("global_batch")
                 if np.isinf(rows["high"]).any()]
    series += _law(law, work)
    never = f" Crosses: batches with runs that never pass, {int(np.isinf(steps['high']).sum())} in all." if lost else ""
    panel = Panel(f"{name}-steps", title, Axis("global batch, examples", 2, tuple(map(float, work.batches))),
                  Axis("steps to target", 10), tuple(series), lost=tuple(lost))
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Target: {item.outcome.name} {number(item.target)}, two margins worse than the "
                  "reference batch's. Geometric means with 95 % intervals over seeds that pass. The law is fitted to "
                  "the runs of the rule with the fewest steps at each batch, with those that never pass, "
                  f"n = {law.critical_batch.n} runs that do.{never}")


def _geometric_mean(steps: Floats) -> Estimate:
    """Of the runs that pass, with its interval over seeds on the log scale."""
    return geometric_mean(steps[np.isfinite(steps)])


def _law(law: StepsToTarget, work: Workload) -> list[Series]:
    places = np.geomspace(min(work.batches), max(work.batches), CURVE_POINTS)
    drawn = tuple((float(x), without_interval(law.steps(float(x)), 0)) for x in places if law.steps(float(x)) > 0)
    grey: Role = STRATEGIES["single"]
    return [Series("law", grey, drawn, band=True)] if drawn else []
