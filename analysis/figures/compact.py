"""Few values as bars with their numbers written beside them, small enough to stand in a card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ..statistics.estimate import Estimate
from .drawing import Drawing
from .points import at, Marks, Point
from .svg import svg
from .theme import CHARACTER, drawing, FONT_SIZE, INK, MUTED, new_panel, OTHERS

ROW_INCHES = 0.27
BAR = 0.56
TAKEN, REST = OTHERS[0], OTHERS[1]
REST_OPACITY = 0.45


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its value, how that is written, and whether it is the one that is taken."""

    label: str
    estimate: Estimate
    written: str
    taken: bool = False


def draw_bars(name: str, title: str, x_label: str, bars: Sequence[Bar]) -> Drawing:
    """Draw one bar per row from zero, top to bottom, with its interval as a line; values must be finite and not
    negative."""
    longest = max((bar.estimate.value for bar in bars), default=1.0) or 1.0
    with drawing():
        figure, axes = new_panel(height=0.1 + ROW_INCHES * len(bars))
        for place, bar in enumerate(bars):
            axes.barh([place], [bar.estimate.value], height=BAR, color=(TAKEN if bar.taken else REST).light,
                      alpha=1.0 if bar.taken else REST_OPACITY, linewidth=0)
            _interval(axes, place, bar.estimate, longest)
        width = figure.get_size_inches()[0] * 72
        left, right = (max(map(len, texts)) * CHARACTER for texts in ([bar.label for bar in bars],
                                                                      [bar.written for bar in bars]))
        figure.subplots_adjust(left=(left + 6) / width, right=1 - (right + 8) / width, bottom=0.02, top=0.98)
        for place, bar in enumerate(bars):
            weight = "bold" if bar.taken else "normal"
            for x, text, aligned in ((-6 / width, bar.label, "right"), (1 + 6 / width, bar.written, "left")):
                axes.annotate(text, (x, place), xycoords=axes.get_yaxis_transform(), va="center", ha=aligned,
                              color=INK, fontweight=weight, fontsize=FONT_SIZE, annotation_clip=False)
        axes.set_xlim(0, longest * 1.02)
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_axis_off()
        drawn = [(bar.label, "taken" if bar.taken else "", bar.estimate.value, bar.estimate.low, bar.estimate.high,
                  bar.estimate.n, "", x_label) for bar in bars]
        points = tuple(Point(at(figure, axes.transData, bar.estimate.value, place), bar.label, bar.estimate,
                             bar.written) for place, bar in enumerate(bars))
        return Drawing(svg(figure, name, title, Marks((("", points),), "", x_label)), tuple(drawn))


def _interval(axes: Axes, place: int, of: Estimate, longest: float) -> None:
    """The interval within the picture; what is longer is cut at its edge."""
    if of.has_interval and math.isfinite(of.low):
        axes.plot([of.low, min(of.high, longest)], [place, place], color=MUTED, linewidth=1.3, zorder=3)
