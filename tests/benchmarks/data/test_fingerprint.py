"""Data sets that differ have other digests, and folders of files are told apart without being read."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data import fingerprint
from batchscale.benchmarks.data.dataset import checked_dataset, Dataset
from batchscale.benchmarks.data.disk import encoded


def contents(dataset: Dataset) -> str:
    return fingerprint.digests(dataset).contents


def small(seed: int = 0) -> Dataset:
    x = np.random.default_rng(seed).standard_normal((12, 4)).astype("float32")
    y = np.arange(12) % 3
    return checked_dataset("small", (x[:9], y[:9]), (x[9:], y[9:]), "made up")


def test_equal_arrays_have_equal_digests_and_one_number_changes_them() -> None:
    one, two = small(), small()
    assert contents(one) == contents(two) != contents(small(1))
    for name in ("held_train_x", "train_y", "held_test_x", "test_y"):
        changed = getattr(two, name).copy()
        changed[-1] += 1
        assert contents(replace(two, **{name: changed})) != contents(one), name
    assert fingerprint.digests(one).times == ""


def test_the_same_bytes_in_another_shape_type_or_name_are_other_data() -> None:
    one = small()
    x = one.train_x
    for other in (x.reshape(9, 2, 2), x.view("int32"), {"x": x}):
        assert contents(replace(one, held_train_x=other)) != contents(one)
    assert contents(replace(one, held_train_x=np.asfortranarray(x))) == contents(one)


def test_pixels_are_known_by_what_models_take_however_they_are_held() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(6, 4)
    held, y = checked_dataset("small", (pixels, [0, 1, 2] * 2), (pixels, [0, 1, 2] * 2), "made up"), np.arange(6) % 3
    floats = held.train_x
    assert held.held_train_x.dtype == np.uint8 and floats.dtype == np.float32
    assert contents(held) == contents(checked_dataset("small", (floats, y), (floats, y), "made up"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(3):
                (tmp_path / part / name / f"{number}.png").write_bytes(b"\x89PNG" + bytes(100 + number))
    return tmp_path


def test_a_folder_is_known_by_names_sizes_and_times_and_not_read(pictures: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> tuple[str, str]:
        found = data.load(f"images:{pictures},size=8x8")
        monkeypatch.setattr(encoded.Reader, "read", lambda *_: pytest.fail("a picture was read"))
        return fingerprint.digests(found)

    first, times = seen()
    assert seen() == (first, times) and times
    picture = pictures / "train" / "dog" / "1.png"
    size = picture.stat().st_size
    picture.write_bytes(b"\x89PNG" + b"x" * (size - 4))
    os.utime(picture, ns=(5, 5))
    assert seen()[0] == first and seen()[1] != times
    picture.write_bytes(b"\x89PNG" + b"x" * size)
    assert seen()[0] != first
    picture.rename(picture.with_name("9.png"))
    assert seen()[0] != first


def test_ten_gigabytes_of_pictures_are_known_within_a_second(pictures: Path) -> None:
    for number in range(200):  # sparse, and seconds of work to whoever reads them
        path = pictures / "train" / ("cat", "dog")[number % 2] / f"large{number}.png"
        path.write_bytes(b"\x89PNG")
        os.truncate(path, 50 * 2**20)
    began = time.process_time()
    fingerprint.digests(data.load(f"images:{pictures},size=8x8"))
    assert time.process_time() - began < 1


def test_what_a_data_set_is_made_from_is_found_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(b"anything")
    found = fingerprint.witness(f"npz:{path}")
    assert found is not None and found[0][:2] == [str(path.resolve()), 8]
    os.utime(path, ns=(7, 7))
    assert fingerprint.witness(f"npz:{path}") != found
    assert fingerprint.witness("digits") == fingerprint.witness("synthetic:8x8x1") == []
    for unknown in ("mine:load", f"images:{tmp_path}", f"tfrecord:{tmp_path}", f"npz:{tmp_path / 'absent.npz'}"):
        assert fingerprint.witness(unknown) is None
    assert [fingerprint.is_own(name) for name in ("mine:load", "digits", f"npz:{path}", "images:x")] == [
        True, False, False, False]
