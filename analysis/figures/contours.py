"""Lines of equal height of a surface, under what else a figure shows."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..statistics.estimate import Floats
from .theme import MUTED

LEVELS = 12


@dataclass(frozen=True, eq=False)
class Contours:
    """A surface: values float[y, x] at the places x and y of its grid. `percent`: they are fractions."""

    x: Floats
    y: Floats
    values: Floats
    percent: bool = False


def draw_contours(axes: Axes, contours: Contours | None) -> None:
    """Draw lines of equal height with their values, within the limits that the axes have already; None draws none."""
    if contours is None:
        return
    limits = axes.get_xlim(), axes.get_ylim()
    levels = MaxNLocator(LEVELS).tick_values(float(contours.values.min()), float(contours.values.max()))
    lines = axes.contour(contours.x, contours.y, contours.values, levels=levels, colors=MUTED, linewidths=0.7,
                         linestyles="solid", alpha=0.75, zorder=1)
    step = levels[1] - levels[0]
    places = max(-int(f"{step * (100 if contours.percent else 1):e}".split("e")[1]), 0)
    axes.clabel(lines, fontsize="x-small", inline=True, inline_spacing=2,
                fmt=lambda value: f"{100 * value:.{places}f} %" if contours.percent else f"{value:.{places}f}")
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
