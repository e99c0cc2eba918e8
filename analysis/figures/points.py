"""What stands over the points of a figure: marks that say each value, which the page's script finds.

A mark has a text for screen readers and the numbers as attributes; the first of a figure can be reached by Tab, and the
page's script moves on from there by the arrow keys. Whatever was drawn of a series carries the series' number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.transforms import Transform

from ..statistics.estimate import Estimate

RADIUS = 5
POINTS_PER_INCH = 72
GID = "series"
FOCUSABLE = ' tabindex="0"'
TAGGED = re.compile(rf'\bid="[^"]*{GID}(\d+)"')


@dataclass(frozen=True)
class Point:
    """One measured value: where it stands in the figure, in points from its upper left corner, and what it says.

    x: its place along the axis in words. runs: the conditions of `batchscale run --only` that select the runs behind
    it; "" where nothing here can repeat them.
    """

    at: tuple[float, float]
    x: str
    estimate: Estimate
    written: str
    runs: str = ""


@dataclass(frozen=True)
class Marks:
    """Points of all series of a figure, by the name of their series, with the names of the axes."""

    series: tuple[tuple[str, tuple[Point, ...]], ...] = ()
    x_label: str = ""
    y_label: str = ""


def at(figure: Figure, transform: Transform, x: float, y: float) -> tuple[float, float]:
    """Return where (x, y) is drawn, in points from the figure's upper left corner."""
    scale = POINTS_PER_INCH / figure.dpi
    across, up = transform.transform((x, y))
    return float(across) * scale, float(figure.get_size_inches()[1] * POINTS_PER_INCH - up * scale)


def tag(number: int, *artists: Artist | None) -> None:
    """Mark what was drawn of the series with this number; None is passed over."""
    for artist in artists:
        if artist is not None:
            artist.set_gid(f"{GID}{number}")


def tagged(svg: str) -> str:
    """Return the SVG with the numbers of series as attributes in place of matplotlib's ids."""
    return TAGGED.sub(r'data-series="\1"', svg)


def attributes(name: str, marks: Marks) -> str:
    """Return the attributes of the figure's element by which a script knows the figure, its series and its axes."""
    names = json.dumps([called for called, _ in marks.series], ensure_ascii=False)
    values = {"figure": name, "names": names, "x": marks.x_label, "y": marks.y_label}
    return "".join(f' data-{key}="{escaped(value)}"' for key, value in values.items())


def overlay(marks: Marks) -> str:
    """Return the SVG group of all marks, invisible until a script shows one; "" without points."""
    first = next((points[0] for _, points in marks.series if points), None)
    groups = [_group(number, name, points, first) for number, (name, points) in enumerate(marks.series) if points]
    return f'<g class="points">{"".join(groups)}</g>' if groups else ""


def _group(number: int, name: str, points: Sequence[Point], first: Point | None) -> str:
    common = {point.runs for point in points}
    shared = common.pop() if len(common) == 1 else ""
    runs = f' data-runs="{escaped(shared)}"' if shared else ""
    marks = "".join(_mark(name, point, "" if shared else point.runs, point is first) for point in points)
    return f'<g data-series="{number}"{runs}>{marks}</g>'


def _mark(name: str, point: Point, runs: str, first: bool) -> str:
    label = f"{name}, {point.x}: {point.written}" if name else f"{point.x}: {point.written}"
    of = point.estimate
    numbers = (of.value, of.low, of.high) if of.has_interval else (of.value,)
    values = {"x": point.x, "v": " ".join(f"{value:.6g}" for value in numbers), "n": str(of.n or ""), "runs": runs}
    data = "".join(f' data-{key}="{escaped(value)}"' for key, value in values.items() if value)
    return (f'<circle cx="{point.at[0]:.1f}" cy="{point.at[1]:.1f}" r="{RADIUS}" role="img"'
            f' aria-label="{escaped(label)}"{data}{FOCUSABLE if first else ""}/>')


def escaped(text: str) -> str:
    """Return text as the value of an attribute in double quotes."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text
