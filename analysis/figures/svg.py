"""matplotlib's SVG made fit for a page: colours as the page's variables, no fixed ids, nothing to fetch."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .points import attributes, escaped, Marks, overlay, tagged
from .theme import FIXED, GOOD, GRID, INK, MUTED, OTHERS, RULE_ROLES, STRATEGY_ROLES, palette, Role, variable

OFTEN = 3  # times that a style is written before a class is shorter


def svg(figure: Figure, name: str, description: str, marks: Marks = Marks()) -> str:
    """Return the figure as an SVG element for a page; `name` keeps its ids apart from other figures'.

    marks: what stands over its points. Where there are any, the drawing itself is hidden from screen readers, which
    find the title and the points.
    """
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg"):], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', tagged(text))
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', text)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag.group()), text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = _shorter(_page_colours(text), name)
    head, _, rest = text.partition(">")
    head = re.sub(r' (?:width|height|version|xmlns:xlink)="[^"]*"', "", head)
    label, points = f'aria-label="{escaped(description)}"', overlay(marks)
    if not points:
        return f'{head} role="img" {label}>{rest.strip()}'
    drawn, closing, _ = rest.strip().rpartition("</svg>")
    return f'{head} role="group" {label}{attributes(name, marks)}><g aria-hidden="true">{drawn}</g>{points}{closing}'


def standalone(element: str) -> str:
    """Return the same element as a file of its own, light or dark as the reader prefers. Its points answer nobody
    there and are not seen, as in a page."""
    style = (f"<style>svg{{color:{INK};font-family:system-ui,sans-serif;--muted:{MUTED};--grid:{GRID};"
             f"{palette(False)}}}.points circle{{fill:none}}@media(prefers-color-scheme:dark){{svg{{color:#e6ebf0;"
             f"--muted:#9aa7b4;--grid:#35404c;{palette(True)}}}}}</style>")
    head, _, rest = element.partition(">")
    return f"{head}>{style}{rest}\n"


def _shorter(text: str, name: str) -> str:
    """The same drawing without ids that nothing refers to, turns by nothing and space between elements and within
    paths; styles that are written again and again become classes, but for those of series, by whose colours a page
    draws its legend."""
    used = set(re.findall(r"#([\w.-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda found: found.group() if found[1] in used else "", text)
    text = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"\s*([A-Za-z])\s*", r"\1", path.group()), text)
    counts = Counter(re.findall(r' style="([^"]*)"', text))
    classes = {style: f"{name}-s{at}" for at, (style, count) in enumerate(counts.items())
               if count >= OFTEN and "var(--c" not in style}
    if not classes:
        return text
    text = re.sub(r' style="([^"]*)"', lambda found: f' class="{classes[found[1]]}"' if found[1] in classes
                  else found.group(), text)
    rules = "".join(f".{short}{{{style}}}" for style, short in classes.items())
    head, _, rest = text.partition(">")
    return f"{head}><style>{rules}</style>{rest}"


def _page_colours(text: str) -> str:
    for colour, written in FIXED.items():
        text = text.replace(colour, written)
    roles: Iterable[Role] = (*RULE_ROLES, *STRATEGY_ROLES, *OTHERS, GOOD)
    for each in roles:
        text = text.replace(each.light, f"var({variable(each.light)})")
    return text
