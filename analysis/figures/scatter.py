"""Points of two measured values each, with names beside the ones that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ..statistics.estimate import Estimate
from .choice import RING_SIZE
from .drawing import Drawing
from .lines import Axis, spread, write_ticks
from .svg import svg
from .theme import drawing, fit, INK, MUTED, new_panel, Role

WIDTH, HEIGHT = 7.2, 3.6
OVERLAP = 14.0  # points: names nearer to each other than this are left out


@dataclass(frozen=True)
class Dot:
    """One point of a group: its name ("" for none), its place, whether it is filled, and whether it has a ring."""

    group: str
    label: str
    role: Role
    x: Estimate
    y: Estimate
    filled: bool = True
    ringed: bool = False


def draw_scatter(name: str, title: str, x_label: str, y_label: str, dots: Sequence[Dot], percent: bool) -> Drawing:
    """Draw the points over a logarithmic x axis, each group named once at its right-most point; x must be positive."""
    with drawing():
        figure, axes = new_panel(WIDTH, HEIGHT)
        axes.set_xscale("log")
        for dot in dots:
            axes.plot([dot.x.value], [dot.y.value], marker="o", linestyle="none", color=dot.role.light,
                      markerfacecolor=dot.role.light if dot.filled else "none", markersize=6, zorder=3, clip_on=False)
            if dot.ringed:
                axes.plot([dot.x.value], [dot.y.value], marker="o", linestyle="none", markersize=RING_SIZE,
                          markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.5, zorder=4, clip_on=False)
        axes.margins(x=0.05, y=0.08)
        if percent:  # a share has no place above 100 %
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, 0.0), min(high, 1.0))
        write_ticks(axes.xaxis, Axis(x_label, 10), axes.get_xlim())
        write_ticks(axes.yaxis, Axis(y_label, percent=percent), axes.get_ylim())
        axes.set_xlabel(x_label)
        axes.set_title(y_label, loc="left", color=MUTED, fontsize="medium")
        fit(figure, axes, [dot.group for dot in dots])
        _name_points(axes, dots)
        _name_groups(axes, dots)
        rows = [(dot.group, dot.x.value, dot.y.value, dot.y.low, dot.y.high, dot.y.n, x_label, y_label)
                for dot in dots]
        return Drawing(svg(figure, name, title), tuple(rows))


def _name_points(axes: Axes, dots: Sequence[Dot]) -> None:
    """The ringed points first; a name that would touch one that is there is left out."""
    placed: list[tuple[float, float]] = []
    for dot in sorted(dots, key=lambda one: not one.ringed):
        x, y = (float(part) for part in axes.transData.transform((dot.x.value, dot.y.value)))
        near = any(abs(x - other) < 2.4 * OVERLAP and abs(y - height) < OVERLAP for other, height in placed)
        if not dot.label or near and not dot.ringed:
            continue
        placed.append((x, y))
        axes.annotate(dot.label, (dot.x.value, dot.y.value), (0, 8), textcoords="offset points", ha="center",
                      fontsize="small", color=dot.role.light, fontweight="bold" if dot.ringed else "normal")


def _name_groups(axes: Axes, dots: Sequence[Dot]) -> None:
    """Each at the height of its best point, pushed apart, with a dot of its colour."""
    best = {dot.group: dot for dot in sorted(dots, key=lambda one: one.y.value)}
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted((float(to_axes.transform((1.0, dot.y.value))[1]), group) for group, dot in best.items())
    for (_, group), y in zip(ends, spread([end[0] for end in ends])):
        axes.annotate(group, (1.03, y), xycoords="axes fraction", va="center", color=best[group].role.light,
                      annotation_clip=False)
