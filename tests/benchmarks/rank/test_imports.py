"""What is loaded before TensorFlow so that it finds its GPUs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from batchscale.benchmarks.rank import imports


def library() -> Path:
    """A small shared library that this process has loaded already."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return next(Path(line.split()[-1]) for line in lines if "/libm.so" in line or "/libm-" in line)


def test_cusolver_is_loaded_from_where_pip_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / imports.FORGOTTEN_LIBRARY
    place.parent.mkdir(parents=True)
    shutil.copy(library(), place)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    imports.load_forgotten_library()
    assert str(place) in Path("/proc/self/maps").read_text()


def test_a_library_that_cannot_be_loaded_is_passed_over_for_one_that_can(tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    broken, good = (tmp_path / name / imports.FORGOTTEN_LIBRARY for name in ("broken", "good"))
    for place in (broken, good):
        place.parent.mkdir(parents=True)
    broken.write_text("no library")
    shutil.copy(library(), good)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "broken"), str(tmp_path / "good")])
    imports.load_forgotten_library()
    loaded = Path("/proc/self/maps").read_text()
    assert str(good) in loaded and str(broken) not in loaded
