"""A figure as data: its SVG text, its caption and the numbers that it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class Drawing(str):
    """SVG text made by this package, and the points it shows: rows of columns.FIGURE."""

    rows: tuple[tuple[object, ...], ...]

    def __new__(cls, svg: str, rows: Iterable[tuple[object, ...]]) -> Drawing:
        made = super().__new__(cls, svg)
        made.rows = tuple(rows)
        return made


@dataclass(frozen=True)
class Figure:
    """One panel, and what it shows in plain text."""

    name: str
    title: str
    svg: Drawing
    caption: str
