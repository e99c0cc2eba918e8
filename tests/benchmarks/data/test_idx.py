"""idx:FOLDER and the reader of IDX files: any type, size and number of classes; nothing believed that is not there."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data import fingerprint
from batchscale.benchmarks.data.sources import idx
from batchscale.benchmarks.errors import AbsentData, DataError

PICTURES = np.arange(12 * 4 * 5, dtype=np.uint8).reshape(12, 4, 5)
LABELS = (np.arange(12) % 3).astype(np.uint8)
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def write(folder: Path, names: tuple[str, ...] = NAMES) -> str:
    folder.mkdir(exist_ok=True)
    for name, array in zip(names, (PICTURES[:9], LABELS[:9], PICTURES[9:], LABELS[9:])):
        content = idx.written(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return f"idx:{folder}"


@pytest.mark.parametrize("names", [
    NAMES, tuple(f"{name}.gz" for name in NAMES),
    ("train-images.idx3-ubyte", "train-labels.gz", "test-images", "test-labels.idx1-ubyte")])
def test_four_files_of_ones_own_are_a_data_set(tmp_path: Path, names: tuple[str, ...]) -> None:
    dataset = data.load(write(tmp_path / "mine", names))
    assert dataset.size == data.describe_size(f"idx:{tmp_path / 'mine'}") == (9, 3, (4, 5, 1), 3)
    assert np.array_equal(dataset.test_x[..., 0], PICTURES[9:].astype(np.float32) / 255)
    assert dataset.test_y.tolist() == LABELS[9:].tolist() and "12 examples from the IDX files in" in dataset.source


def test_a_file_that_is_also_there_packed_is_read_once_and_two_different_ones_are_refused(tmp_path: Path) -> None:
    name = write(tmp_path / "mine")
    (tmp_path / "mine" / f"{NAMES[0]}.gz").write_bytes(b"never read")
    data.load(name)
    (tmp_path / "mine" / "train-images-2").touch()
    with pytest.raises(DataError, match="both train-images-2 and train-images-idx3-ubyte could be"):
        data.load(name)


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(AbsentData, match=f"there is no folder {tmp_path / 'none'}; write it as idx:FOLDER"):
        data.load(f"idx:{tmp_path / 'none'}")
    name = write(tmp_path / "mine")
    (tmp_path / "mine" / NAMES[3]).unlink()
    with pytest.raises(AbsentData, match=r"has no file t10k-labels\* or test-labels\*;"):
        data.describe_size(name)


@pytest.mark.parametrize("name", ["idx:", "idx:" + "x" * 5000, "idx:~nobody_of_this_name/x", "idx:a\0b"])
def test_an_odd_folder_is_one_of_our_errors(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="idx:FOLDER|has no file"):
        data.load(name)


def test_the_files_tell_when_the_data_changed(tmp_path: Path) -> None:
    name = write(tmp_path / "mine")
    before = fingerprint.witness(name)
    assert before is not None and len(before) == 4 and not fingerprint.is_own(name)
    (tmp_path / "mine" / NAMES[1]).write_bytes(idx.written(LABELS[:9][::-1]) + b"")
    assert fingerprint.witness(name) != before


@pytest.mark.parametrize("code, kind", [(0x09, "i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")])
def test_every_type_of_the_format_is_read_as_it_is(tmp_path: Path, code: int, kind: str) -> None:
    array = np.arange(-3, 3).reshape(2, 3).astype(kind)
    (tmp_path / "x").write_bytes(struct.pack(">HBBII", 0, code, 2, 2, 3) + array.tobytes())
    found = idx.read_path(tmp_path / "x")
    assert np.array_equal(found, array) and found.dtype == np.dtype(kind).newbyteorder("=")


GOOD = idx.written(PICTURES)


@pytest.mark.parametrize("content, message", [
    (b"", "is not an IDX file: it begins with nothing"), (b"text", "begins with 74 65 78 74"),
    (b"\0\0\x07\x01", "is not an IDX file"), (b"\0\0\x08\0", "is not an IDX file"), (b"\0\0\x08\xff", "is not an IDX"),
    (GOOD[:9], "is cut short"), (GOOD[:-1], r"shape \(12, 4, 5\), 240 bytes, and holds 239"),
    (GOOD + b"x", "is longer than the shape"), (gzip.compress(GOOD)[:-30], "gzip cannot unpack it"),
    (gzip.compress(GOOD)[:-6] + b"wrong!", "gzip cannot unpack it"), (b"\x1f\x8bzz", "gzip cannot unpack it"),
    (b"\0\0\x08\x03" + b"\xff" * 12, "more than the memory"),
    (gzip.compress(b"\0\0\x0e\x02" + b"\0\0\x0f\xff" * 2 + b"\0" * 99), "is cut short"),
], ids=itertools.count())  # the content is no name: gzip writes the time into it
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        idx.read_path(tmp_path / "broken")
    assert str(tmp_path / "broken") in str(caught.value) and str(caught.value).count("\n") == 0
