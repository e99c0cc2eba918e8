"""Bars of parts that add up, and values with intervals in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...benchmarks.text import number
from ..formatting import estimated
from ..statistics.estimate import Estimate, without_interval
from .drawing import Drawing
from .lines import Axis, short, write_ticks
from .points import at, Marks, Point, tag
from .svg import svg
from .theme import INK, MUTED, drawing, fit, new_panel, Role

ROW_INCHES = 0.42
FRAME_INCHES = 1.15
COLUMNS = 4  # of the legend, which is filled column by column but read row by row


@dataclass(frozen=True)
class Row:
    """One labelled value with its interval."""

    label: str
    estimate: Estimate
    role: Role
    marker: str = "o"


def draw_rows(name: str, title: str, x_label: str, rows: Sequence[Row], log: bool = False) -> Drawing:
    """Draw one line per row, top to bottom; a value that is not finite is written out as unknown."""
    with drawing():
        figure, axes = new_panel(height=FRAME_INCHES + ROW_INCHES * len(rows))
        axes.set_xscale("log" if log else "linear")
        for place, row in enumerate(rows):
            value = row.estimate.value
            if not _drawable(row, log):
                axes.text(0.01, place, "not known", color=MUTED, va="center",
                          transform=axes.get_yaxis_transform())
                continue
            if row.estimate.has_interval:
                low = max(row.estimate.low, value / 100) if log else row.estimate.low
                axes.plot([low, row.estimate.high], [place, place], color=row.role.light, linewidth=1.6)
            axes.plot([value], [place], marker=row.marker, color=row.role.light, linestyle="none")
            axes.annotate(short(float(f"{value:.3g}")), (value, place), (0, 7), ha="center", fontsize="small",
                          textcoords="offset points", color=INK)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.7)
        axes.grid(axis="y", visible=False)
        write_ticks(axes.xaxis, Axis(x_label, 10 if log else 0), axes.get_xlim())
        axes.set_xlabel(x_label)
        fit(figure, axes, left=[row.label for row in rows], top=0.8)
        drawn = [(row.label, "", row.estimate.value, row.estimate.low, row.estimate.high, row.estimate.n, "", x_label)
                 for row in rows]
        known = tuple(Point(at(figure, axes.transData, row.estimate.value, place), row.label, row.estimate,
                            estimated(row.estimate)) for place, row in enumerate(rows) if _drawable(row, log))
        return Drawing(svg(figure, name, title, Marks((("", known),), "", x_label)), tuple(drawn))


def _drawable(row: Row, log: bool) -> bool:
    return math.isfinite(row.estimate.value) and (not log or row.estimate.value > 0)


def draw_stack(name: str, title: str, x_label: str, labels: Sequence[str],
               parts: Sequence[tuple[str, Role, Sequence[float]]]) -> Drawing:
    """Horizontal bars, one per label, of parts that add up; each part is named above the bars."""
    with drawing():
        figure, axes = new_panel(height=FRAME_INCHES + 0.35 + ROW_INCHES * len(labels))
        left = [0.0] * len(labels)
        middles: list[list[float]] = []
        for index, (part, role, values) in enumerate(parts):
            tag(index, *axes.barh(range(len(labels)), values, left=left, height=0.62, color=role.light, label=part,
                                  edgecolor="none"))
            middles.append([start + value / 2 for start, value in zip(left, values)])
            left = [start + value for start, value in zip(left, values)]
        axes.set_yticks(range(len(labels)), list(labels))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(x_label)
        handles, names = axes.get_legend_handles_labels()
        order = [place for first in range(COLUMNS) for place in range(first, len(names), COLUMNS)]
        figure.legend([handles[i] for i in order], [names[i] for i in order], loc="upper left",
                      ncols=COLUMNS, frameon=False, fontsize="small", handlelength=1.0, handleheight=0.9,
                      columnspacing=1.2)
        fit(figure, axes, left=labels, top=1.4 * -(-len(names) // COLUMNS) + 0.8)
        drawn = [(label, part, value, math.nan, math.nan, "", "", x_label) for part, _, values in parts
                 for label, value in zip(labels, values)]
        marks = tuple((part, tuple(
            Point(at(figure, axes.transData, middle, place), label, without_interval(value, 0), number(value))
            for place, (label, value, middle) in enumerate(zip(labels, values, own)) if value > 0))
            for (part, _, values), own in zip(parts, middles))
        return Drawing(svg(figure, name, title, Marks(marks, "", x_label)), tuple(drawn))
