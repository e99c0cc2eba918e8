"""glyphs: the drawn digits, and the cache that keeps them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from batchscale.benchmarks.data import cache, describe_size
from batchscale.benchmarks.data.dataset import DataSize
from batchscale.benchmarks.data.sources import glyphs, outlines
from batchscale.benchmarks.data.sources.glyphs import draw_digits, draw_glyphs, Images, load_glyphs
from batchscale.benchmarks.errors import DataError

SMALL = DataSize(400, 100, (28, 28, 1), 10)
FILE = "glyphs-v1-400-100.npz"
# Of the first 520 digits and of the whole data set; equal on numpy 1.26 and 2.4, matplotlib 3.9 and
# 3.11, with and without vector instructions. A change of what is drawn needs a new VERSION.
FIRST_520_SHA256 = "6d3050e4a0923599c3694ed8823a63ab3f50694b876dbc63ca7d6dacfc6281a9"
ALL_SHA256 = "dd927ec8229e6fb382e50ab045b21809b9e81ed0b37f39dd29bed93348d2ad83"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def templates() -> Images:
    return outlines.digit_templates()


@pytest.fixture(autouse=True)
def read_fonts_once(templates: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "digit_templates", lambda: templates)


@pytest.fixture(scope="module")
def images() -> Images:
    return draw_digits(520)


def test_a_square_with_a_square_hole_is_filled_between_them() -> None:
    """Outer 40 x 40 pixels, hole 20 x 20 the other way round: 1600 - 400 pixels of 255."""
    outer = [("moveTo", ((20, 20),)), ("lineTo", ((60, 20),)), ("lineTo", ((60, 60),)),
             ("lineTo", ((20, 60),)), ("closePath", ())]
    hole = [("moveTo", ((30, 30),)), ("lineTo", ((30, 50),)), ("lineTo", ((50, 50),)),
            ("lineTo", ((50, 30),)), ("closePath", ())]
    grey = outlines.fill(outlines.outline_edges([*outer, *hole]))
    assert grey.sum(dtype=np.int64) == 1200 * 255
    assert grey[25, 25] == 255 and grey[40, 40] == 0 and grey[10, 10] == 0


def test_a_curve_of_control_points_alone_is_nearly_a_circle() -> None:
    """Four controls at (+-r, +-r) around the centre: each quarter is a parabola, area 10/3 r^2."""
    r = 20.0
    corners = [(40 - r, 40 - r), (40 + r, 40 - r), (40 + r, 40 + r), (40 - r, 40 + r)]
    edges = outlines.outline_edges([("qCurveTo", (*corners, None)), ("closePath", ())])
    area = outlines.fill(edges).sum(dtype=np.int64) / 255
    assert area == pytest.approx(10 / 3 * r * r, rel=0.01)


def test_other_outlines_are_refused() -> None:
    with pytest.raises(DataError, match="curveTo"):
        outlines.outline_edges([("moveTo", ((0, 0),)), ("curveTo", ((1, 1), (2, 2), (3, 3)))])


def test_every_font_has_ten_different_digits_with_an_empty_border(templates: Images) -> None:
    assert templates.shape == (len(outlines.FONTS), 10, 80, 80)
    assert len({digit.tobytes() for font in templates for digit in font}) == 10 * len(templates)
    assert not templates[..., [0, -1], :].any() and not templates[..., [0, -1]].any()
    rows = templates.any(axis=3)
    assert (rows.sum(axis=2) > 40).all() and (rows.sum(axis=2) <= 50).all()


def test_fonts_that_draw_other_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "DIGIT_PIXELS", 47)
    with pytest.raises(DataError, match="not those of matplotlib"):
        outlines.digit_templates()


def test_a_missing_font_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    with pytest.raises(DataError, match="DejaVuSans.ttf.*pip install"):
        outlines.digit_templates()


def test_the_first_digits_are_the_same_on_every_machine(images: Images) -> None:
    assert hashlib.sha256(images.tobytes()).hexdigest() == FIRST_520_SHA256


def test_a_digit_does_not_depend_on_how_many_are_drawn(images: Images) -> None:
    assert np.array_equal(draw_digits(30), images[:30])


def test_digits_are_visible_varied_and_mostly_inside_the_picture(images: Images) -> None:
    ink = images.astype(np.float64) / 255
    assert len({image.tobytes() for image in images}) == len(images)
    assert ink.max(axis=(1, 2)).min() > 0.4
    border = np.concatenate([ink[:, [0, -1], :].ravel(), ink[:, :, [0, -1]].ravel()])
    assert border.mean() < 0.1 < ink[:, 9:19, 9:19].mean()


def test_two_percent_of_the_training_labels_are_wrong_and_no_test_label() -> None:
    drawn = draw_glyphs(1000, 500)
    assert (drawn["y_train"] != np.arange(1000) % 10).sum() == 20
    assert drawn["y_train"].max() == 9
    assert drawn["y_test"].tolist() == [i % 10 for i in range(1000, 1500)]


def test_nearest_centre_beats_chance_by_far_but_is_not_perfect() -> None:
    """The task is learnable, and not trivial: guessing gives 0.1."""
    drawn = draw_glyphs(3000, 500)
    x, y = drawn["x_train"].reshape(3000, -1).astype(np.float64), drawn["y_train"]
    centres = np.stack([x[y == digit].mean(axis=0) for digit in range(10)])
    test = drawn["x_test"].reshape(500, -1).astype(np.float64)
    distances = ((test[:, None, :] - centres) ** 2).sum(axis=2)
    accuracy = (distances.argmin(axis=1) == drawn["y_test"]).mean()
    assert 0.4 < accuracy < 0.9


def test_load_gives_scaled_images_with_a_channel_and_says_what_they_are() -> None:
    dataset = load_glyphs(SMALL)
    assert dataset.size == SMALL
    assert dataset.train_x.dtype == np.float32 and dataset.train_y.dtype == np.int32
    assert 0 <= dataset.train_x.min() and dataset.train_x.max() <= 1
    assert dataset.source == ("500 generated 28x28 digits drawn from matplotlib's bundled fonts, "
                              "10 classes, 2 % wrong labels in the training data")
    assert describe_size("glyphs") == (60_000, 10_000, (28, 28, 1), 10)


def test_the_second_load_draws_nothing(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_glyphs(SMALL)
    assert [path.name for path in cache_folder.iterdir()] == [FILE]
    monkeypatch.setattr(glyphs, "draw_glyphs", None)
    second = load_glyphs(SMALL)
    assert np.array_equal(first.train_x, second.train_x)
    assert np.array_equal(first.train_y, second.train_y)
    assert np.array_equal(first.test_x, second.test_x)
    assert np.array_equal(first.test_y, second.test_y)


def cut_short(content: bytes) -> bytes:
    return content[:len(content) // 2]


def flip_a_pixel(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]


def replace_by_text(content: bytes) -> bytes:
    return b"no archive"


def empty(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut_short, flip_a_pixel, replace_by_text, empty])
def test_a_damaged_file_is_set_aside_named_and_drawn_again(
        cache_folder: Path, damage: Callable[[bytes], bytes]) -> None:
    whole = load_glyphs(SMALL)
    path = cache_folder / FILE
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match=f"{FILE} was not readable.*{FILE}.corrupt"):
        again = load_glyphs(SMALL)
    assert np.array_equal(again.train_x, whole.train_x)
    assert (cache_folder / f"{FILE}.corrupt").read_bytes() == damaged
    assert np.array_equal(load_glyphs(SMALL).test_x, whole.test_x)


def test_a_damaged_file_that_another_process_set_aside_first_is_drawn_again(
        cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_folder.mkdir()
    path = cache_folder / FILE
    path.write_bytes(b"no archive")
    replace = os.replace

    def after_another(source: Path, target: Path) -> None:
        if source == path:
            path.unlink()
        replace(source, target)

    monkeypatch.setattr(os, "replace", after_another)
    with pytest.warns(UserWarning, match="was not readable"):
        assert load_glyphs(SMALL).size == SMALL


def test_a_file_of_other_shapes_is_not_believed(cache_folder: Path) -> None:
    load_glyphs(SMALL)
    other = {"x": np.zeros((3, 2), np.uint8)}
    with pytest.warns(UserWarning, match=r"x is uint8\(400,.*not uint8\(3, 2\)|x is not a file"):
        found = cache.cached_arrays(FILE, {"x": (3, 2)}, lambda: other)
    assert found is other


def test_an_unwritable_cache_names_the_variable(tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="Not a directory.*set BATCHSCALE_CACHE to a folder"):
        load_glyphs(SMALL)


def test_a_failed_drawing_leaves_nothing_behind(cache_folder: Path) -> None:
    def fail() -> cache.Arrays:
        raise DataError("no fonts")

    with pytest.raises(DataError, match="no fonts"):
        cache.cached_arrays("x.npz", {"x": (1,)}, fail)
    assert list(cache_folder.iterdir()) == []


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    monkeypatch.setenv("BATCHSCALE_CACHE", "/fast/data")
    assert cache.cache_folder() == Path("/fast/data")
    monkeypatch.delenv("BATCHSCALE_CACHE")
    assert cache.cache_folder() == Path("/scratch/batchscale")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == Path("/home/someone/.cache/batchscale")


def test_two_processes_may_fill_the_cache_at_once(cache_folder: Path) -> None:
    code = ("from batchscale.benchmarks.data.sources.glyphs import load_glyphs, GLYPHS_SIZE as size\n"
            "data = load_glyphs(size._replace(train_examples=400, test_examples=100))\n"
            "print(data.train_x.sum(), data.train_y.sum())")
    both = [subprocess.Popen([sys.executable, "-W", "error::UserWarning", "-c", code], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0] == outputs[1] and outputs[0][1] == b""
    assert [path.name for path in cache_folder.iterdir()] == [FILE]


def test_drawing_needs_neither_display_nor_settings(tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "matplotlibrc").write_text("font.family: no such font\ntext.hinting: native\n")
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "matplotlibrc"))
    monkeypatch.delenv("DISPLAY", raising=False)
    code = ("import hashlib, sys\n"
            "from batchscale.benchmarks.data.sources.glyphs import Images, draw_digits\n"
            "print(hashlib.sha256(draw_digits(520).tobytes()).hexdigest(),\n"
            "      'matplotlib.pyplot' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [FIRST_520_SHA256, "False"]


@pytest.mark.slow
def test_the_whole_data_set_is_the_same_on_every_machine() -> None:
    drawn = draw_glyphs(60_000, 10_000)
    digest = hashlib.sha256()
    for name in ("x_train", "y_train", "x_test", "y_test"):
        digest.update(drawn[name].tobytes())
    assert digest.hexdigest() == ALL_SHA256
