"""The digits of matplotlib's bundled fonts as grey templates, drawn here from their outlines.

Outlines are read from the font files in font units and filled in this file, so neither a display,
nor matplotlib's settings, nor any version of FreeType takes part in how a digit looks.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError

# Bundled fonts whose '0'..'9' are lining digits. Left out: cmsy10 and cmex10 (symbols in those
# places), cmmi10 (old-style digits: its 0 and 1 are an o and a small I), the sizes of STIX (no
# digits) and cmti10 (not in every matplotlib since 3.9).
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmb10", "cmr10", "cmss10", "cmtt10",
)
TEMPLATE_PIXELS = 80
DIGIT_PIXELS = 48  # the height of a font's tallest digit within the template
TEMPLATES_SHA256 = "dceb2e2e0571dfa7ccf15d4eeed94df71dc5e8d1dfbbfc1a4cc15efb49568e1c"
_SUBPIXELS = 4  # 4 x 4 samples a pixel: 17 grey levels
_CURVE_PIECES = 8

Points = npt.NDArray[np.float64]
Strokes = Sequence[tuple[str, Sequence[Any]]]


def digit_templates() -> npt.NDArray[np.uint8]:
    """Draw uint8[fonts, 10, 80, 80]: every digit of every font, centred, 255 inside the stroke.

    Raises DataError where the fonts are missing or not the ones expected.
    """
    templates = np.stack([_font_digits(name) for name in FONTS])
    if hashlib.sha256(templates.tobytes()).hexdigest() != TEMPLATES_SHA256:
        raise DataError(f"glyphs: the fonts in {_font_folder()} are not those of matplotlib 3.9 to "
                        "3.11, so other digits would be drawn under the same name; fix: pip "
                        "install 'matplotlib>=3.9,<3.12' in this environment.")
    return templates


def _font_digits(name: str) -> npt.NDArray[np.uint8]:
    outlines = _digit_edges(name)
    height = max(float(np.ptp(edges[:, 1::2])) for edges in outlines)
    return np.stack([fill(_centred(edges, DIGIT_PIXELS / height)) for edges in outlines])


def _digit_edges(name: str) -> list[Points]:
    from fontTools.pens.recordingPen import DecomposingRecordingPen  # type: ignore[import-untyped]
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

    path = _font_folder() / f"{name}.ttf"
    if not path.is_file():
        raise DataError(f"glyphs needs the font {path}, which comes with matplotlib; fix: pip "
                        "install --force-reinstall matplotlib.")
    # Some fonts carry odd dates, which fontTools would report on stderr.
    logging.getLogger("fontTools").addHandler(logging.NullHandler())
    edges = []
    with TTFont(path, lazy=True) as font:
        glyphs, names = font.getGlyphSet(), font.getBestCmap()
        for digit in "0123456789":
            pen = DecomposingRecordingPen(glyphs)
            glyphs[names[ord(digit)]].draw(pen)
            edges.append(outline_edges(pen.value))
    return edges


def _font_folder() -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf"


def outline_edges(strokes: Strokes) -> Points:
    """Return float64[edges, 4] of (x0, y0, x1, y1): recorded pen strokes, with curves made straight."""
    pieces: list[Points] = []
    start = here = np.zeros(2)
    for stroke, corners in strokes:
        if stroke == "moveTo":
            start = here = np.asarray(corners[0], np.float64)
        elif stroke == "lineTo":
            pieces.append(np.asarray([here, corners[0]], np.float64))
            here = pieces[-1][-1]
        elif stroke == "qCurveTo":
            if corners[-1] is None:  # a contour of control points alone
                start = here = np.add(corners[0], corners[-2]) / 2
                corners = [*corners[:-1], start]
            pieces.append(_curve(here, np.asarray(corners, np.float64)))
            here = pieces[-1][-1]
        elif stroke == "closePath":
            pieces.append(np.stack([here, start]))
        else:
            raise DataError(f"glyphs can draw lines and quadratic curves, not {stroke!r}.")
    return np.concatenate([np.hstack([piece[:-1], piece[1:]]) for piece in pieces])


def _curve(first: Points, corners: Points) -> Points:
    """TrueType's curve: it passes through the middle of every two neighbouring control points."""
    controls, last = corners[:-1], corners[-1:]
    ends = np.concatenate([(controls[:-1] + controls[1:]) / 2, last])
    starts = np.concatenate([first[None], ends[:-1]])
    pieces = map(_quadratic, starts, controls, ends)
    return np.concatenate(list(pieces))


def _quadratic(first: Points, control: Points, last: Points) -> Points:
    t = (np.arange(_CURVE_PIECES + 1) / _CURVE_PIECES)[:, None]
    points: Points = (1 - t) * (1 - t) * first + 2 * t * (1 - t) * control + t * t * last
    return points


def _centred(edges: Points, pixels_per_unit: float) -> Points:
    """The edges in template pixels, their box in the middle, y downwards."""
    points = edges.reshape(-1, 2) * np.array([pixels_per_unit, -pixels_per_unit])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    centred: Points = (points - middle + TEMPLATE_PIXELS / 2).reshape(-1, 4)
    return centred


def fill(edges: Points) -> npt.NDArray[np.uint8]:
    """Return uint8[80, 80]: the share of each pixel with a winding number other than 0, times 255.

    On every sub-pixel row an edge adds +-1 to all samples right of its crossing.
    """
    size = TEMPLATE_PIXELS * _SUBPIXELS
    x0, y0, x1, y1 = (edges * _SUBPIXELS).T[:, :, None]
    row = np.arange(size) + 0.5
    crosses = (y0 <= row) != (y1 <= row)
    edge_index, row_index = np.nonzero(crosses)
    x0, y0, x1, y1 = (side[edge_index, 0] for side in (x0, y0, x1, y1))
    crossing = x0 + (row[row_index] - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(crossing - 0.5), 0, size).astype(np.intp)
    turns = np.zeros((size, size + 1), np.int32)
    np.add.at(turns, (row_index, column), np.where(y1 > y0, 1, -1))
    inside = turns.cumsum(axis=1)[:, :size] != 0
    blocks = inside.reshape(TEMPLATE_PIXELS, _SUBPIXELS, TEMPLATE_PIXELS, _SUBPIXELS)
    grey: npt.NDArray[np.uint8] = (blocks.sum(axis=(1, 3)) * 255 // _SUBPIXELS**2).astype(np.uint8)
    return grey
