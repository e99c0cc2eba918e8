"""The look of every figure, and how one becomes SVG text that follows the page's colours and font.

A panel is one small SVG: the page lays panels out side by side on a wide screen and below each
other on a phone. Colours are drawn as the hexadecimal values below and written as CSS variables,
so that one file serves light, dark and printed pages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...benchmarks.config import strategies
from ...benchmarks.config.choices import GROUPS
from ...benchmarks.schedules import rules

WIDTH, HEIGHT = 4.6, 3.25
FONT_SIZE = 11.0
CHARACTER = 0.6 * FONT_SIZE  # points, on the average
INK, MUTED, GRID = "#15202b", "#5d6b7a", "#d9dee4"


@dataclass(frozen=True)
class Role:
    """One meaning's colours on light and dark pages, #rrggbb, and the dash that tells its line without colour."""

    light: str
    dark: str
    dash: str = "-"


# After Okabe and Ito's palette for all kinds of colour vision, darkened or lightened until each has
# a contrast of at least 3 : 1 on its page.
RULE_ROLES = (  # by position in RULES; the last ones wait for rules to come
    Role("#0069a8", "#5cb8f0"),
    Role("#c44601", "#ff9455", "--"),
    Role("#007a5b", "#35cc9f", "-."),
    Role("#3f7d20", "#8fd16a", (0, (1, 1))),  # type: ignore[arg-type]
    Role("#a3387f", "#f08cd0", (0, (4, 1, 1, 1))),  # type: ignore[arg-type]
    Role("#2d5fc4", "#86aef7", (0, (8, 2))),  # type: ignore[arg-type]
    Role("#b03a2e", "#ff8f80", (0, (3, 1, 1, 1, 1, 1))),  # type: ignore[arg-type]
    Role("#00695f", "#4fd0c0", (0, (5, 1))),  # type: ignore[arg-type]
    Role("#8a6a00", "#edc644", (0, (6, 1.5))),  # type: ignore[arg-type]
    Role("#7c3aa1", "#cb9cf0", ":"),
    Role("#444b8c", "#a3abf5", (0, (2, 1))),  # type: ignore[arg-type]
    Role("#7a4a4a", "#d9a6a6", (0, (7, 1, 1, 1))),  # type: ignore[arg-type]
    Role("#2a6f6f", "#86c9c9", (0, (3, 2))),  # type: ignore[arg-type]
    Role("#8c5a00", "#e0b060", (0, (5, 2, 1, 2))),  # type: ignore[arg-type]
)
STRATEGY_ROLES = (  # by position in strategies, then without a transport; the last ones wait for strategies to come
    Role("#55657b", "#aab9cd", ":"),
    Role("#c2185c", "#ff80ad"),
    Role("#8d5525", "#dba577", "-."),
    Role("#667500", "#c3d64c", "--"),
    Role("#1f6f8f", "#79c4e6", (0, (4, 2))),  # type: ignore[arg-type]
    Role("#6d3fd1", "#b9a0ff", (0, (2, 2))),  # type: ignore[arg-type]
    Role("#9a3412", "#fdba8c", (0, (6, 2))),  # type: ignore[arg-type]
    Role("#4b5563", "#c5ccd6", (0, (3, 3))),  # type: ignore[arg-type]
    Role("#86198f", "#e8a0f0", (0, (1, 2))),  # type: ignore[arg-type]
)


def by_position(names: Iterable[str], roles: Sequence[Role]) -> dict[str, Role]:
    """Return each name's colour, no two alike. Raises ValueError where there are more names than colours."""
    found = list(names)
    if len(found) > len(roles):
        raise ValueError(f"{len(found)} names for {len(roles)} colours; add colours to analysis/figures/theme.py.")
    return dict(zip(found, roles))


RULES = by_position(rules.RULES, RULE_ROLES)
_VARIANTS = [name for strategy in strategies.STRATEGIES for name in strategies.strategy_variants(strategy)]
# Other tools' files name a strategy without its transport, which has then a colour of its own, after all the others.
STRATEGIES = by_position(dict.fromkeys((*_VARIANTS, *strategies.STRATEGIES)), STRATEGY_ROLES)
IN_GROUPS = f"-{GROUPS}"
ON_NODES = re.compile(r"(.+) on (\d+) nodes?")
OTHERS = (Role("#00788b", "#5ad0df"), Role("#5b4bb6", "#aa9cff", "--"), Role("#9c2f2f", "#f09a9a", "-."),
          Role("#4d6b2f", "#a9cf86", ":"))
GOOD = Role("#00694e", "#35cca0")
FIXED = {INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)"}
STYLE = {
    "svg.fonttype": "none", "font.size": FONT_SIZE, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK,
    "ytick.labelcolor": INK, "grid.color": GRID, "axes.grid": True, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": FONT_SIZE,
    "lines.linewidth": 1.9, "lines.markersize": 5.5, "figure.facecolor": "none",
    "axes.facecolor": "none", "axes.formatter.useoffset": False, "text.parse_math": False,
    "axes.titley": 1.0,  # else every text of an axis is measured, in case the title should make way for it
}


def role(name: str) -> Role:
    """Return the colour of a rule, a strategy, or of any other name; the same in every figure."""
    known = by_position(rules.RULES, RULE_ROLES).get(name) or STRATEGIES.get(name)
    return known or _on_nodes(name) or OTHERS[sum(name.encode()) % len(OTHERS)]


def _on_nodes(name: str) -> Role | None:
    """The strategy's own colour for "STRATEGY on N nodes" and for its exchange in groups, with a dash that tells which.
    """
    parts = ON_NODES.fullmatch(name)
    strategy, nodes = (parts[1], int(parts[2])) if parts else (name, 1)
    own = STRATEGIES.get(strategy.removesuffix(IN_GROUPS))
    if own is None or nodes <= 1 and not strategy.endswith(IN_GROUPS):
        return own
    dash = [2.0 * math.log2(nodes) if nodes > 1 else 3.0, 1.5, *([1.0, 1.5] if strategy.endswith(IN_GROUPS) else [])]
    return replace(own, dash=(0, tuple(dash)))  # type: ignore[arg-type]


def variable(colour: str) -> str:
    """Return the CSS variable of one of the light colours above."""
    return f"--c{colour.lstrip('#')}"


def palette(dark: bool) -> str:
    """Declarations of every colour variable, for the page's style sheet."""
    roles = (*RULE_ROLES, *STRATEGY_ROLES, *OTHERS, GOOD)
    return "".join(f"{variable(r.light)}:{r.dark if dark else r.light};" for r in roles)


def new_panel(width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Return an empty panel, sizes in inches; call inside `with drawing():`."""
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def fit(figure: Figure, axes: Axes, right: Iterable[str] = (), top: float = 1.6, left: Iterable[str] = ()) -> None:
    """Margins for the tick labels, and for the longest of `left` and `right`; `top` in lines of text.

    A layout engine would measure every text twice, which takes longer than all the drawing.
    """
    ticks = axes.yaxis.get_major_formatter().format_ticks(list(axes.yaxis.get_majorticklocs()))
    width, height = (inches * 72 for inches in figure.get_size_inches())
    beside = max(map(len, [*(left or ticks), ""])) * CHARACTER + 10
    after = max(map(len, [*right, ""])) * CHARACTER
    figure.subplots_adjust(left=beside / width, right=1 - ((after + 16) if after else 14) / width,
                           bottom=3.0 * FONT_SIZE / height, top=1 - top * FONT_SIZE / height)


def drawing() -> AbstractContextManager[None]:
    """Return a context in which matplotlib has the settings of every figure."""
    return matplotlib.rc_context({**STYLE, "svg.hashsalt": "batchscale"})
