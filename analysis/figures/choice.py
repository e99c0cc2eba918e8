"""What a picture of a decision shows beside its lines: which values count as the same, and the point that is taken."""

from __future__ import annotations

from matplotlib.axes import Axes

from .theme import GOOD, INK

SAME_OPACITY = 0.13
RING_SIZE = 13.0
RIGHT = 0.75  # of the width: a name further right is written to the left of its point


def show_choice(axes: Axes, within: float | None, chosen: tuple[float, float, str] | None) -> None:
    """Shade the values up to `within`, and put a ring and a name at the chosen (x, y, name); None leaves it out."""
    if within is not None:
        low, high = axes.get_ylim()
        axes.axhspan(low, within, color=GOOD.light, alpha=SAME_OPACITY, linewidth=0, zorder=0)
        axes.axhline(within, color=GOOD.light, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        axes.set_ylim(low, high)
    if chosen is not None:
        x, y, name = chosen
        axes.plot([x], [y], marker="o", markersize=RING_SIZE, markerfacecolor="none", markeredgecolor=INK,
                  markeredgewidth=1.5, clip_on=False, zorder=4)
        across = float((axes.transData + axes.transAxes.inverted()).transform((x, y))[0])
        last = across > RIGHT
        axes.annotate(name, (x, y), (-9, 7) if last else (0, 9), textcoords="offset points", color=INK,
                      ha="right" if last else "center", fontweight="bold", annotation_clip=False)
