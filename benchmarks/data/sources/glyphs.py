"""glyphs: generated 28x28 grey digits, for machines without a network and for repeatable studies.

Digits of the fonts bundled with matplotlib are rotated, sheared, scaled, moved, bent, made thinner
or thicker and noisy; a share of the training labels is wrong. Every operation below is one that
IEEE 754 rounds exactly (no sine, no exponential, no sum over an axis, no matrix product), so that
every machine draws the same bits.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ..cache import cached_arrays
from ..dataset import checked_dataset, Dataset, DataSize
from ..random_bits import permutation, raw_bits, uniform
from .outlines import DIGIT_PIXELS, FONTS, TEMPLATE_PIXELS, digit_templates

VERSION = 1  # part of the cache file's name: raise it with every change of what is drawn
PIXELS = 28
CLASSES = 10
GLYPHS_SIZE = DataSize(60_000, 10_000, (PIXELS, PIXELS, 1), CLASSES)
LABEL_NOISE = 0.02  # share of training labels replaced by another digit

# How far a digit is distorted: every value is drawn uniformly from +- its range, or between two.
# Chosen so that Dense(128) at batch 32 reaches in 10 epochs 93 % with SGD 0.01, 97 % with Adam.
DIGIT_HEIGHT = 19.0  # pixels, before scaling
TURN = 0.09  # tangent of half the angle: +-10 degrees
SHEAR = 0.25
SCALE = (0.82, 1.1)
SHIFT = 1.5  # pixels
BEND = 3.0  # pixels, of the control points of the elastic field
THRESHOLD = (0.15, 0.45)  # of the blurred stroke: low is thick
SOFTNESS = (0.2, 0.6)  # width of the edge's ramp
INK = (0.6, 1.0)
NOISE = (0.0, 0.2)

_STREAM = 0x617F  # keeps these random numbers apart from those of orders and splits
_FIELD = 6  # control points a side
_CHUNK = 500  # examples at a time: the arrays stay in the processor's cache

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]


def load_glyphs(size: DataSize = GLYPHS_SIZE) -> Dataset:
    """Load the data set from the cache, or draw it and store it there. `size` differs only in tests."""
    train, test = size.train_examples, size.test_examples
    name = f"glyphs-v{VERSION}-{train}-{test}.npz"
    shapes: dict[str, tuple[int, ...]] = {
        "x_train": (train, PIXELS, PIXELS), "y_train": (train,),
        "x_test": (test, PIXELS, PIXELS), "y_test": (test,)}
    arrays = cached_arrays(name, shapes, lambda: draw_glyphs(train, test))
    source = (f"{train + test:,} generated 28x28 digits drawn from matplotlib's bundled fonts, "
              f"{CLASSES} classes, {LABEL_NOISE * 100:g} % wrong labels in the training data")
    return checked_dataset("glyphs", (arrays["x_train"][..., None], arrays["y_train"]),
                           (arrays["x_test"][..., None], arrays["y_test"]), source, CLASSES)


def draw_glyphs(train_examples: int, test_examples: int) -> dict[str, npt.NDArray[np.uint8]]:
    """Draw x_train uint8[N, 28, 28], y_train uint8[N] with label noise, and x_test, y_test without."""
    images = draw_digits(train_examples + test_examples)
    labels = (np.arange(len(images)) % CLASSES).astype(np.uint8)
    train, test = slice(train_examples), slice(train_examples, None)
    return {"x_train": images[train], "y_train": with_label_noise(labels[train]),
            "x_test": images[test], "y_test": labels[test]}


def draw_digits(count: int) -> Images:
    """Draw uint8[count, 28, 28]: image i shows the digit i mod 10, whatever `count` is."""
    strokes = _blurred(digit_templates())
    images = np.empty((count, PIXELS, PIXELS), np.uint8)

    def draw(chunk: int) -> None:
        own = images[chunk * _CHUNK:(chunk + 1) * _CHUNK]
        own[:] = _draw_chunk(strokes, chunk)[:len(own)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:  # NumPy computes outside the interpreter's lock
        list(threads.map(draw, range(-(-count // _CHUNK))))
    return images


def with_label_noise(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the labels with 2 % of them replaced by one of the nine other digits."""
    wrong = permutation([_STREAM, 1], len(labels))[:round(LABEL_NOISE * len(labels))]
    offsets = 1 + raw_bits([_STREAM, 2], len(wrong)) % np.uint64(CLASSES - 1)
    noisy = labels.copy()
    noisy[wrong] = (labels[wrong] + offsets) % CLASSES
    return noisy


def _draw_chunk(strokes: Floats, chunk: int) -> Images:
    """uint8[500, 28, 28]: images 500 chunk .. 500 chunk + 499."""
    values = uniform([_STREAM, 3, chunk], _CHUNK * 10).reshape(10, _CHUNK, 1, 1)
    font, pose, (threshold, softness, darkness, noise) = values[0], values[1:6], values[6:]
    field = uniform([_STREAM, 4, chunk], 2 * _CHUNK * _FIELD**2) - np.float32(0.5)
    bends = _bend(field.reshape(2, _CHUNK, _FIELD, _FIELD))
    digit = np.arange(_CHUNK, dtype=np.intp)[:, None, None] % CLASSES
    glyph = (font * len(FONTS)).astype(np.intp) * CLASSES + digit
    ink = _sample(strokes, glyph, *_template_positions(pose, bends))
    ink = np.clip((ink - _between(THRESHOLD, threshold)) / _between(SOFTNESS, softness), 0, 1)
    grey = ink * _between(INK, darkness) + _grain(chunk) * _between(NOISE, noise)
    pixels: Images = np.rint(np.clip(grey, 0, 1) * np.float32(255)).astype(np.uint8)
    return pixels


def _template_positions(pose: Floats, bends: Floats) -> tuple[Floats, Floats]:
    """Where in the template each pixel looks: columns and rows, float32[500, 28, 28] each."""
    right, down, turn, scale, shear = pose
    centre = np.arange(PIXELS, dtype=np.float32) - np.float32((PIXELS - 1) / 2)
    x = centre[None, None, :] + _spread(SHIFT, right) + bends[0]
    y = centre[None, :, None] + _spread(SHIFT, down) + bends[1]
    half = _spread(TURN, turn)
    norm = 1 + half * half
    cosine, sine = (1 - half * half) / norm, 2 * half / norm
    magnification = np.float32(DIGIT_PIXELS / DIGIT_HEIGHT) / _between(SCALE, scale)
    columns = (cosine * x + sine * y) * magnification
    rows = (cosine * y - sine * x) * magnification
    middle = np.float32((TEMPLATE_PIXELS - 1) / 2)
    return columns + _spread(SHEAR, shear) * rows + middle, rows + middle


def _bend(control: Floats) -> Floats:
    """float32[2, N, 28, 28] pixels: a smooth field (quadratic B-spline) from control points."""
    control = control * np.float32(2 * BEND)
    return _upsampled(_upsampled(control).swapaxes(-1, -2)).swapaxes(-1, -2)


def _upsampled(control: Floats) -> Floats:
    """The last axis, of `_FIELD` control points, as 28 values of the spline."""
    position = np.arange(PIXELS, dtype=np.float32) * np.float32((_FIELD - 2) / PIXELS)
    first = position.astype(np.intp)
    t = position - first.astype(np.float32)
    one, half = np.float32(1), np.float32(0.5)
    after, before = half * t * t, half * (one - t) * (one - t)
    spline: Floats = (before * control[..., first] + after * control[..., first + 2]
                      + (one - before - after) * control[..., first + 1])
    return spline


def _sample(strokes: Floats, glyph: npt.NDArray[np.intp], columns: Floats, rows: Floats) -> Floats:
    """Bilinear samples of the templates float32[glyphs, 80, 80], whose border is empty."""
    last = np.float32(TEMPLATE_PIXELS - 1.001)
    columns, rows = np.clip(columns, 0, last), np.clip(rows, 0, last)
    left, top = columns.astype(np.int32), rows.astype(np.int32)
    right_share, low_share = columns - left.astype(np.float32), rows - top.astype(np.float32)
    place = (glyph * TEMPLATE_PIXELS + top) * TEMPLATE_PIXELS + left
    flat = strokes.reshape(-1)
    upper = flat[place] + right_share * (flat[place + 1] - flat[place])
    place += TEMPLATE_PIXELS
    lower = flat[place] + right_share * (flat[place + 1] - flat[place])
    ink: Floats = upper + low_share * (lower - upper)
    return ink


def _blurred(templates: Images) -> Floats:
    """float32[glyphs, 80, 80] in [0, 1]: edges soft enough to make strokes thin or thick."""
    grey = templates.reshape(-1, TEMPLATE_PIXELS, TEMPLATE_PIXELS).astype(np.float32)
    for _ in range(6):  # binomial weights: a standard deviation of sqrt(6 / 2) = 1.7 pixels
        for axis in (1, 2):
            grey = (np.roll(grey, 1, axis) + 2 * grey + np.roll(grey, -1, axis)) / np.float32(4)
    return grey / np.float32(255)


def _grain(chunk: int) -> Floats:
    """float32[500, 28, 28] in [-1, 1]: noise of two bytes a pixel, triangular."""
    words = raw_bits([_STREAM, 5, chunk], _CHUNK * PIXELS * PIXELS // 4)
    pairs = words.astype("<u8").view(np.uint8).reshape(_CHUNK, PIXELS, PIXELS, 2)
    grain: Floats = (pairs[..., 0].astype(np.float32) + pairs[..., 1]) / np.float32(255) - 1
    return grain


def _spread(reach: float, value: Floats) -> Floats:
    return np.float32(2 * reach) * (value - np.float32(0.5))


def _between(ends: tuple[float, float], value: Floats) -> Floats:
    low, high = ends
    return np.float32(low) + np.float32(high - low) * value
