"""Memory of one replica against its batch, and the law fitted to it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .....benchmarks.text import byte_count, counted
from ....decision.decision import MemoryFinding
from ....figures.drawing import Figure
from ....figures.lines import Axis, draw_lines, Panel, Series
from ....figures.theme import role
from ....formatting import MARKERS, estimated, table, what_ran
from ....laws.memory import MemoryLaw
from ....statistics.estimate import Estimate
from ....statistics.held_out import extrapolation_warning
from ....study.arm_runs import conditions
from ....study.groups import heading, mean_of, MOST_PANELS
from ...blocks import Section
from ...builder import MEMORY_LINES, section
from ...findings import Findings

MEBIBYTE = 2.0 ** 20
CURVE_POINTS = 48


@section("memory", "Memory against batch", needs=MEMORY_LINES)
def build(findings: Findings) -> Section | None:
    """Return peak bytes against the batch per replica, each run in a fresh process, and what the machine holds."""
    fitted = findings.decided.memory
    if not any(len(one.group.measured) for one in fitted):
        return None
    figures, rows, warnings = [], [], []
    for index, one in enumerate(fitted):
        group, law, usable = one.group, one.law, one.group.measured
        detail = what_ran(group.optimizer, group.model, group.placement)
        if index < MOST_PANELS and not usable.empty:
            ran = heading(group.optimizer, group.model, group.experiment)
            figures.append(_panel(f"m{index}", ran, detail, usable, law))
        rows.append((group.experiment, detail, byte_count(law.fixed_bytes.value),
                     _bytes_per_example(law.bytes_per_example), _residual(law), _largest(one, usable),
                     f"{usable['replica_batch'].nunique()}", law.note))
        if lost := len(group.runs) - len(usable):
            warnings.append(f"{group.experiment}: {counted(lost, 'run')} without a reading above its baseline; "
                            "left out.")
    device = any(one.group.on_device for one in fitted)
    what = ("the allocator's peak on the device" if device else
            "the peak resident size of the process minus its size before training: import, data and model are left "
            "out")
    text = (*findings.decided.topics.get("memory", ()), f"Peak memory of one replica in a process of its own: {what}. "
            "The law is peak(n) = a + b n, n the batch per replica.")
    return Section(text, tuple(figures), table(
        ("experiment", "what", "a, fixed", "b, per example", "largest residual", "largest batch per replica", "sizes",
         "note"), rows,
        "Least squares over runs; 95 % interval. Largest batch: by the law in 95 % of the memory this machine has "
        "beside the process itself, rounded down; not verified until a run at that batch has finished. On a GPU: of "
        f"its memory as NVML tells it{_outside(fitted)}.", (6,), "Numbers"), tuple(warnings))


def _outside(fitted: Sequence[MemoryFinding]) -> str:
    """What is taken off for the context, the libraries and their buffers."""
    largest = max(one.group.outside_bytes for one in fitted)
    return (f", less up to {byte_count(largest)} outside TensorFlow's allocator (CUDA's context, libraries, buffers "
            "of NCCL), which no law of its peak has") if largest else ""


def _residual(law: MemoryLaw) -> str:
    return byte_count(max(map(abs, law.residual_bytes))) if law.residual_bytes else ""


def _largest(finding: MemoryFinding, measured: pd.DataFrame) -> str:
    """With a warning where the law is stretched far beyond what it was fitted to; no batch exceeds the data."""
    if not math.isfinite(finding.largest.value):
        return "not known"
    examples = finding.train_examples or 0
    if finding.largest.value >= examples > 0:
        return f"all {examples:,} training examples at once; by the law {estimated(finding.largest)}"
    doubt = extrapolation_warning(finding.largest.value, measured["replica_batch"].to_numpy())
    beyond = finding.largest.value / float(measured["replica_batch"].max())
    return (f"{estimated(finding.largest)} in {byte_count(finding.capacity_bytes)}"
            + (f"; {beyond:,.0f} times the largest measured, a guess" if doubt else ""))


def _bytes_per_example(slope: Estimate) -> str:
    return estimated(slope.scaled(1 / 1024), "KiB")


def _panel(name: str, ran: str, detail: str, runs: pd.DataFrame, law: MemoryLaw) -> Figure:
    measured = tuple((float(batch), mean_of(own, "growth_bytes").scaled(1 / MEBIBYTE))
                     for batch, own in runs.groupby("replica_batch"))
    batches = [x for x, _ in measured]
    series = [Series("measured", role("single"), measured, MARKERS[0], line=False,
                     runs={float(batch): conditions(own) for batch, own in runs.groupby("replica_batch")})]
    if math.isfinite(law.bytes_per_example.value):
        places = np.geomspace(min(batches), max(batches), CURVE_POINTS)
        line = tuple((float(x), law.predict(float(x)).scaled(1 / MEBIBYTE)) for x in places)
        series.append(Series("a + b n", role("tuned"), line, band=True))
    title = f"{ran}: peak memory against batch per replica"
    panel = Panel(f"{name}-memory", title, Axis("batch per replica, examples", 2, tuple(batches)), Axis("MiB"),
                  tuple(series))
    return Figure(panel.name, title, draw_lines(panel), f"{detail}. Points: one fresh process each, "
                  f"{counted(len(runs), 'run')}. Line: a + b n with the 95 % prediction interval of one more run"
                  + (f"; {law.note}" if law.note else "") + ".")
