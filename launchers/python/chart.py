"""A figure of the report for Python: drawn, with its caption and the numbers that it shows."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import pandas as pd

from ...analysis.columns import FIGURE
from ...analysis.figures.drawing import Figure
from ...analysis.figures.svg import standalone
from ...benchmarks.records.json_files import cannot_write


class Chart:
    """One figure. A notebook shows it; `svg` is its text, `data` what it shows, one point a row."""

    def __init__(self, figure: Figure) -> None:
        self.name, self.title, self.caption = figure.name, figure.title, figure.caption
        self.svg = standalone(figure.svg)
        self._rows = figure.rows

    def __repr__(self) -> str:
        return f"Chart({self.name!r}: {self.title})"

    @property
    def data(self) -> pd.DataFrame:
        """Return the points with their intervals: columns series, x, value, low, high, n, x_label, y_label."""
        return pd.DataFrame([tuple(row) for row in self._rows], columns=list(FIGURE))

    def save(self, path: str | Path) -> Path:
        """Write the figure as an SVG file and return its path. Raises RecordError where it cannot be written."""
        place = Path(path)
        try:
            place.write_text(self.svg, encoding="utf-8")
        except OSError as error:
            raise cannot_write(place, error, "another file") from None
        return place

    def _repr_html_(self) -> str:
        # A picture of its own: the page's styles and the figure's do not meet.
        coded = base64.b64encode(self.svg.encode()).decode()
        return (f'<figure style="margin:0 0 1em"><img alt="{escape(self.title)}" style="width:100%;max-width:36em" '
                f'src="data:image/svg+xml;base64,{coded}"><figcaption>{escape(self.title)}. {escape(self.caption)}'
                "</figcaption></figure>")
