"""Lines with intervals: accuracy, loss, throughput or noise against batch, steps or replicas."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.axis import Axis as AnyAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation, Transform

from ..formatting import estimated, percentage
from ..statistics.estimate import Estimate
from .choice import show_choice
from .contours import Contours, draw_contours
from .drawing import Drawing
from .points import at, Marks, Point, tag
from .svg import svg
from .theme import HEIGHT, INK, MUTED, drawing, fit, new_panel, Role

LABEL_GAP = 0.072
MAXIMUM_TICKS = 9
MOST_CHARACTERS = 33  # of tick labels side by side along an axis
BAND_OPACITY = 0.16
DODGE = 3.0  # points


@dataclass(frozen=True)
class Series:
    """One line: its points by x, the role of its colour, and the label at its right end.

    name: what lines without a label of their own are called together. runs: x -> the conditions that select the runs
    behind a point. Points with n = 0 are of a law, and say nothing when pointed at.
    """

    label: str
    role: Role
    points: tuple[tuple[float, Estimate], ...]
    marker: str = "o"
    band: bool = False
    opacity: float = 1.0
    line: bool = True
    name: str = ""
    runs: Mapping[float, str] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """Return the name by which the line is known beside the figure."""
        return self.label or self.name


@dataclass(frozen=True)
class Axis:
    """One axis: its label, the base of a logarithmic one, which values are written out, and what no value
    can lie beyond (an interval may). `signed`: its values are differences."""

    label: str
    log: int = 0
    ticks: tuple[float, ...] = ()
    percent: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    signed: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines on one pair of axes. `level` is a horizontal line, `marks` are vertical ones, `lost` are
    crosses at the foot for what has no value: diverged runs, say. `within` shades what lies up to this value,
    `chosen` is a point with a ring and its name, `contours` lie under the lines, `height` is in inches."""

    name: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    level: tuple[float, str] | None = None
    marks: tuple[tuple[float, str], ...] = ()
    lost: tuple[tuple[float, Role, str], ...] = ()
    within: float | None = None
    chosen: tuple[float, float, str] | None = None
    contours: Contours | None = None
    height: float = HEIGHT


def draw_lines(panel: Panel) -> Drawing:
    """Draw the panel as SVG; points that are not finite are left out."""
    with drawing():
        figure, axes = new_panel(height=panel.height)
        for index, series in enumerate(panel.series):
            _draw(axes, series, panel, _place(axes, index, panel))
        if panel.level is not None:
            axes.axhline(panel.level[0], color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        _mark(axes, panel)
        _scale(axes, panel)
        draw_contours(axes, panel.contours)
        show_choice(axes, panel.within, panel.chosen)
        fit(figure, axes, [*(series.label for series in panel.series), panel.level[1] if panel.level else ""])
        _label_ends(axes, panel)
        return Drawing(svg(figure, panel.name, panel.title, _marks(figure, axes, panel)), tuple(_points(panel)))


def _names(panel: Panel) -> list[str]:
    """What the lines are called, each once; lines of one name are one series to the reader."""
    return list(dict.fromkeys(series.called for series in panel.series))


def _place(axes: Axes, index: int, panel: Panel) -> Transform:
    """Lines without a band are moved aside by some points, so that intervals can be told apart; on a surface each
    stands where it is."""
    if panel.series[index].band or panel.contours is not None:
        return axes.transData
    aside = DODGE * (index - (len(panel.series) - 1) / 2)
    return axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)


def _marks(figure: Figure, axes: Axes, panel: Panel) -> Marks:
    found: dict[str, list[Point]] = {name: [] for name in _names(panel)}
    for index, series in enumerate(panel.series):
        place = _place(axes, index, panel)
        found[series.called] += [Point(at(figure, place, x, y.value), short(x), y, _written(y, panel),
                                       series.runs.get(x, "")) for x, y in _usable(series, panel) if y.n]
    return Marks(tuple((name, tuple(points)) for name, points in found.items()), panel.x.label, panel.y.label)


def _written(y: Estimate, panel: Panel) -> str:
    return percentage(y, signed=panel.y.signed) if panel.y.percent else estimated(y)


def _points(panel: Panel) -> Iterator[tuple[object, ...]]:
    """What is drawn, one point a row."""
    for series in panel.series:
        for x, y in _usable(series, panel):
            yield series.label, x, y.value, y.low, y.high, y.n, panel.x.label, panel.y.label


def _usable(series: Series, panel: Panel) -> list[tuple[float, Estimate]]:
    return [(x, y) for x, y in series.points if math.isfinite(x) and math.isfinite(y.value)
            and (not panel.x.log or x > 0) and (not panel.y.log or y.value > 0)]


def _mark(axes: Axes, panel: Panel) -> None:
    for x, label in panel.marks:
        axes.axvline(x, color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        axes.annotate(label, (x, 1.0), (3, -1), xycoords=axes.get_xaxis_transform(), va="top",
                      textcoords="offset points", fontsize="small", color=MUTED)
    for x, role, label in panel.lost:
        axes.plot([x], [0.03], marker="x", color=role.light, linestyle="none", markeredgewidth=2,
                  transform=axes.get_xaxis_transform(), clip_on=False)
        axes.annotate(label, (x, 0.03), (-6, -2), xycoords=axes.get_xaxis_transform(), fontsize="small",
                      textcoords="offset points", ha="right", color=role.light)


def _draw(axes: Axes, series: Series, panel: Panel, place: Transform) -> None:
    points = _usable(series, panel)
    across, up = [x for x, _ in points], [y.value for _, y in points]
    style = series.role.dash if series.line else "none"
    marker = None if series.band else series.marker
    number = _names(panel).index(series.called)
    tag(number, *axes.plot(across, up, color=series.role.light, linestyle=style, marker=marker,
                           alpha=series.opacity, markeredgewidth=0, clip_on=False, zorder=3, transform=place))
    axes.plot(across, up, linestyle="none")  # a line moved aside does not count for the limits
    known = [(x, *_ends(y, panel)) for x, y in points if y.has_interval]
    places, lows, highs = ([each[i] for each in known] for i in range(3))
    if series.band and known:
        tag(number, axes.fill_between(places, lows, highs, color=series.role.light, linewidth=0,
                                      alpha=BAND_OPACITY * series.opacity, zorder=2))
    elif known:
        axes.plot([*places, *places], [*lows, *highs], linestyle="none")
        tag(number, axes.vlines(places, lows, highs, colors=series.role.light, linewidth=1.4, alpha=series.opacity,
                                zorder=2, transform=place))


def _ends(y: Estimate, panel: Panel) -> tuple[float, float]:
    """The interval as it can be drawn: a logarithmic axis has no room for what is not positive."""
    return (max(y.low, y.value / 10), y.high) if panel.y.log else (y.low, y.high)


def _scale(axes: Axes, panel: Panel) -> None:
    axes.grid(axis="x", visible=False)
    if panel.marks:
        axes.margins(y=0.12)  # room for the marks' names
    if panel.x.log:
        axes.set_xscale("log", base=panel.x.log)
    if panel.y.log:
        axes.set_yscale("log", base=panel.y.log)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, panel.y.bounds[0]), min(high, panel.y.bounds[1]))
    write_ticks(axes.xaxis, panel.x, axes.get_xlim())
    write_ticks(axes.yaxis, panel.y, axes.get_ylim())
    axes.set_xlabel(panel.x.label)
    axes.set_title(panel.y.label, loc="left", color=MUTED, fontsize="medium")
    if not any(_usable(series, panel) for series in panel.series):
        axes.text(0.5, 0.5, "no finite values", transform=axes.transAxes, ha="center", color=MUTED)


def write_ticks(axis: AnyAxis, spec: Axis, limits: tuple[float, float]) -> None:
    """Write at the axis the values measured where they are given, else round ones, enough of them on short log axes."""
    decades = math.log10(limits[1] / limits[0]) if spec.log and limits[0] > 0 else math.nan
    if spec.ticks:
        axis.set_major_locator(FixedLocator(list(thinned(spec.ticks, spec.log))))
    elif decades < 0.8:
        axis.set_major_locator(MaxNLocator(5))
    elif decades < 2.2:
        axis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if decades < 1.5 else (1, 3)))
    if spec.log or spec.ticks:
        axis.set_minor_locator(NullLocator())
    if spec.percent:
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def thinned(ticks: Sequence[float], log: int) -> tuple[float, ...]:
    """Return the ticks that can be written without touching, the first and last among them."""
    ordered = sorted(set(ticks))
    if len(ordered) < 2:
        return tuple(ordered)
    place = [math.log(t) if log else t for t in ordered]
    span, wide = place[-1] - place[0], [len(short(t)) for t in ordered]

    def apart(one: int, other: int) -> bool:
        room = max(1 / MAXIMUM_TICKS, ((wide[one] + wide[other]) / 2 + 0.8) / MOST_CHARACTERS)
        return place[other] - place[one] >= room * span

    kept = [len(ordered) - 1]
    for index in range(len(ordered) - 2, 0, -1):
        if apart(index, kept[-1]) and apart(0, index):
            kept.append(index)
    return tuple(ordered[index] for index in [0, *reversed(kept)])


def short(value: float) -> str:
    """Return a tick's number as text: 60,000 and not 6e+04."""
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.6g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _label_ends(axes: Axes, panel: Panel) -> None:
    """Names at the lines' right ends, pushed apart until none touches another."""
    ends: list[tuple[float, str, str, float]] = []
    axes.set_xlim(axes.get_xlim())  # settles the limits that the places are fractions of
    axes.set_ylim(axes.get_ylim())
    to_axes = axes.transData + axes.transAxes.inverted()
    for series in panel.series:
        points = _usable(series, panel)
        if points and series.label:
            last = max(points, key=lambda point: point[0])
            x, y = to_axes.transform((last[0], last[1].value))
            ends.append((float(y), series.label, series.role.light, float(x)))
    if panel.level is not None and panel.level[1]:
        y = float(to_axes.transform((1.0, panel.level[0]))[1])
        ends.append((y, panel.level[1], MUTED, 1.0))
    gap = LABEL_GAP * HEIGHT / panel.height
    for (wanted, label, colour, x), y in zip(sorted(ends), spread(sorted(e[0] for e in ends), gap)):
        written = axes.annotate(label, (x, wanted), (1.035, y), xycoords="axes fraction",
                                textcoords="axes fraction", va="center", color=colour or INK, annotation_clip=False,
                                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "alpha": 0.6,
                                            "shrinkA": 1, "shrinkB": 3})
        if label in _names(panel):
            tag(_names(panel).index(label), written, written.arrow_patch)


def spread(wanted: Sequence[float], gap: float = LABEL_GAP) -> list[float]:
    """Ascending places at least `gap` apart, as near as can be to the ascending ones wanted."""
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _low(groups[-1], gap) < _low(groups[-2], gap) + gap * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_low(group, gap) + gap * index for group in groups for index in range(len(group))]


def _low(group: Sequence[float], gap: float) -> float:
    """Lowest place of labels that touch each other, centred where they are wanted, between 0 and 1."""
    height = gap * (len(group) - 1)
    return max(min(sum(group) / len(group) - height / 2, 1.0 - height), 0.0)
