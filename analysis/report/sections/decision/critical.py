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
from ....formatting import estimated, table
from ....laws.critical_batch import StepsToTarget
from ....statistics.estimate import mean_estimate, without_interval
from ....study.arms import Arm
from ....study.batch_gaps import steps_to_target
from ....study.critical import CriticalBatch
from ....study.groups import Workload
from ...blocks import Section
from ...builder import section
from ...findings import Findings

CURVE_POINTS = 40
ROLES = (role("constant"), OTHERS[1], STRATEGIES["horovod-mpi"])


@section("critical", "Critical batch, three ways", needs="None of the three sources has data: runs at several batches "
         "that pass a target, gradient norms, or timing at several batches.")
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
    text += [f"{item.experiment}. {' '.join(map(_sentence, item.statements[1:]))}" for _, _, item in known
             if item.statements[1:]]
    arms = findings.study.arms_by_experiment
    figures = [figure for name, work, item in known for figure in _panels(name, work, item, arms[item.experiment])]
    rows = [(item.experiment, source, estimated(value), f"{item.outcome.name} {number(item.target)}",
             _batch(item, "useful"), _batch(item, "perfect"))
            for _, _, item in known for source, value in item.sources.items()]
    return Section(tuple(text), tuple(figures), table(
        ("experiment", "source", "critical batch, examples", "target", "largest useful batch",
         "perfect scaling ends"), rows,
        "Steps to target: least squares on log steps over runs, n runs. Noise scale: mean over seeds. Knee: least "
        "squares over launches. 95 % intervals. The last two columns are the 20 % rules of steps and of examples.",
        (3, 4, 5), "Numbers"))


def _sentence(statement: str) -> str:
    return f"{statement[:1].upper()}{statement[1:].rstrip('.')}."


def _batch(item: CriticalBatch, which: str) -> str:
    if item.useful is None:
        return ""
    batch = item.useful.largest_useful if which == "useful" else item.useful.perfect_scaling_end
    return f"{batch:,}" if batch is not None else ""


def _panels(name: str, work: Workload, item: CriticalBatch, arms: Sequence[Arm]) -> Iterator[Figure]:
    if item.steps is not None:
        yield _steps_panel(name, work, item, item.steps, arms)
    title = f"{work.name}: critical batch from three sources"
    rows = [Row(source, value, each) for (source, value), each in zip(item.sources.items(), ROLES)]
    yield Figure(f"{name}-critical", title, draw_rows(f"{name}-critical", title, "examples", rows, log=True),
                 f"{work.detail}. Value and 95 % interval; the knee counts one replica's batch.")


def _steps_panel(name: str, work: Workload, item: CriticalBatch, law: StepsToTarget,
                 arms: Sequence[Arm]) -> Figure:
    title = f"{work.name}: steps to target against global batch"
    arms = sorted(arms, key=lambda arm: rule_order(arm.rule))
    steps = steps_to_target(arms, item.target)
    series, lost = [], []
    for arm in arms:
        own = steps[steps["rule"] == arm.rule]
        points = [(float(batch), mean_estimate(rows["steps"].dropna().tolist()))
                  for batch, rows in own.groupby("global_batch")]
        series.append(Series(arm.rule, role(arm.rule), tuple(points), work.marker))
        lost += [(float(batch), role(arm.rule), "") for batch, rows in own.groupby("global_batch")
                 if rows["steps"].isna().any()]
    series += _law(law, work)
    never = f" Crosses: batches with runs that never pass, {int(steps['steps'].isna().sum())} in all." if lost else ""
    panel = Panel(f"{name}-steps", title, Axis("global batch, examples", 2, tuple(map(float, work.batches))),
                  Axis("steps to target", 10), tuple(series), lost=tuple(lost))
    return Figure(panel.name, title, draw_lines(panel),
                  f"{work.detail}. Target: {item.outcome.name} {number(item.target)}, two margins worse than the "
                  "reference batch's. Bars: 95 % intervals over seeds that pass. The law is fitted to the fewest steps "
                  f"over the rules, n = {law.critical_batch.n} runs.{never}")


def _law(law: StepsToTarget, work: Workload) -> list[Series]:
    places = np.geomspace(min(work.batches), max(work.batches), CURVE_POINTS)
    drawn = tuple((float(x), without_interval(law.steps(float(x)), 0)) for x in places if law.steps(float(x)) > 0)
    grey: Role = STRATEGIES["single"]
    return [Series("law", grey, drawn, band=True)] if drawn else []
