"""A figure as data: its SVG text, its caption and the numbers that it shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Drawing:
    """SVG text made by this package, and the points it shows: rows of columns.FIGURE."""

    svg: str
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True)
class Figure:
    """One panel, and what it shows in plain text; a `wide` one takes the room of two."""

    name: str
    title: str
    drawing: Drawing
    caption: str
    wide: bool = False

    @property
    def svg(self) -> str:
        """Return the SVG element for the page."""
        return self.drawing.svg

    @property
    def rows(self) -> tuple[tuple[object, ...], ...]:
        """Return the numbers that the figure shows."""
        return self.drawing.rows
