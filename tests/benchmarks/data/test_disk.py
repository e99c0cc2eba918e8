"""Data sets on disk: what their names mean, where their images lie, and one clear sentence for each thing wrong."""

from __future__ import annotations

import os
import resource
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data.disk import augmentation, names, tfrecord_format, write_images
from batchscale.benchmarks.data.disk.encoded import EncodedImages, Reader
from batchscale.benchmarks.data.disk.tfrecord_format import IMAGE, LABEL, framed, message
from batchscale.benchmarks.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


@pytest.fixture
def records(tmp_path: Path, digits: data.Dataset) -> tuple[Path, str]:
    folder = tmp_path / "records"
    return folder, write_images.write(folder, digits, 401, "tfrecord", "png", files=3)


@pytest.fixture
def pictures(tmp_path: Path, digits: data.Dataset) -> tuple[Path, str]:
    folder = tmp_path / "pictures"
    return folder, write_images.write(folder, digits, 400, "folder", "jpeg")


def record(label: int = 3) -> bytes:
    return framed(message({IMAGE: b"\x89PNG not really", LABEL: label}))


def images(part: object) -> EncodedImages:
    assert isinstance(part, EncodedImages)
    return part


# Names

def test_a_name_gives_size_labels_and_augmentation(tmp_path: Path) -> None:
    found = names.parse(f"tfrecord:{tmp_path},size=32x48,labels=0,augment=crop,flip")
    assert (found.folder, found.shape, found.first_label, found.augment) == (tmp_path, (32, 48, 3), 0, ("flip", "crop"))
    assert names.parse(f"images:{tmp_path}").shape == (224, 224, 3)
    assert names.parse(f"images:{tmp_path},size=28x28x1").shape == (28, 28, 1)


@pytest.mark.parametrize(("options", "expected"), [
    ("size=0x3", "HEIGHTxWIDTH"), ("size=9999x9999", "at most 4096"), ("size=3x3x2", "HEIGHTxWIDTH"),
    ("labels=one", "number of the first class"), ("labels=99999999999999", "number of the first class"),
    ("augment=flop", "Did you mean 'flip'"), ("colour=1", "not known"), ("size=2x2,size=3x3", "given twice"),
    ("b", "must not hold a comma"),
])
def test_an_option_that_is_wrong_is_told(tmp_path: Path, options: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        data.describe_size(f"tfrecord:{tmp_path},{options}")


@pytest.mark.parametrize("path", ["", "/no/such/folder", "~nobody_here/x", "\0", "x" * 5000])
def test_no_such_folder_is_one_sentence(path: str) -> None:
    for scheme in names.SCHEMES:
        with pytest.raises(DataError, match="folder"):
            data.load(f"{scheme}:{path}")


# TFRecord files

def test_sizes_and_labels_are_known_without_decoding(records: tuple[Path, str], digits: data.Dataset) -> None:
    loaded = data.load(records[1])
    assert data.describe_size(records[1]) == data.DataSize(401, 100, (8, 8, 1), 10)
    assert np.array_equal(loaded.train_y, digits.train_y[:401])
    assert np.array_equal(loaded.test_y, digits.test_y[:100])
    found = images(loaded.train_x)
    assert found.where(140).endswith("train-00001-of-00003, record 7 (counted from 0)")  # 133 records come before


def test_the_index_is_made_once_and_again_when_a_file_changes(records: tuple[Path, str], own_cache: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    data.load(records[1])
    assert len(list(own_cache.iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(tfrecord_format.Window, "bytes", None)  # no file is read again
        assert data.describe_size(records[1]).train_examples == 401
    path = records[0] / "train-00002-of-00003"
    path.write_bytes(path.read_bytes() + record(1))
    assert data.describe_size(records[1]).train_examples == 402


def test_a_damaged_index_is_made_again(records: tuple[Path, str], own_cache: Path) -> None:
    data.load(records[1])
    for path in own_cache.iterdir():
        path.write_bytes(b"PK nonsense")
    with pytest.warns(UserWarning, match="not readable"):
        assert data.describe_size(records[1]).train_examples == 401


def test_a_missing_file_is_told_by_number(records: tuple[Path, str]) -> None:
    (records[0] / "train-00001-of-00003").unlink()
    with pytest.raises(DataError, match="2 train files of 3; number 1 is missing"):
        data.describe_size(records[1])


def test_files_of_two_writings_are_refused(records: tuple[Path, str]) -> None:
    (records[0] / "train-00000-of-00007").write_bytes(record())
    with pytest.raises(DataError, match="files of 3 and of 7"):
        data.describe_size(records[1])


@pytest.mark.parametrize(("train", "test", "expected"), [
    ([1, 2, 2], [], "has no files validation"), ([1, 2], [1], "validation lacks 1 of them: 2"),
    ([1, 2], [1, 2, 3], "train lacks 1 of them: 3"), ([1, 3, 3], [1, 3, 3], "no training record, the label 2"),
    ([0, 1], [0, 1], "set labels=0"), ([-7, 1], [1], "from -7 to 1"), ([1, 900], [1], "from 1 to 900"),
    ([1, 1], [1], "has 1 class"),
])
def test_classes_that_do_not_fit_are_told(tmp_path: Path, train: list[int], test: list[int], expected: str) -> None:
    for part, labels in (("train", train), ("validation", test)):
        if labels:
            (tmp_path / f"{part}-00000-of-00001").write_bytes(b"".join(record(y) for y in labels))
    with pytest.raises(DataError, match=expected):
        data.load(f"tfrecord:{tmp_path}")


def test_a_file_without_records_is_told(records: tuple[Path, str]) -> None:
    (records[0] / "train-00001-of-00003").write_bytes(b"")
    with pytest.raises(DataError, match="train-00001-of-00003 has no record"):
        data.load(records[1])


# Folders of images

def test_classes_are_the_folders_by_name(pictures: tuple[Path, str]) -> None:
    loaded = data.load(pictures[1])
    assert data.describe_size(pictures[1]) == data.DataSize(400, 100, (8, 8, 1), 10)
    assert np.array_equal(np.sort(loaded.train_y), loaded.train_y)
    first = images(loaded.train_x)
    assert [f"class_{y:04}" in first.path(row) for row, y in enumerate(loaded.train_y)] == [True] * 400


def test_the_split_is_that_of_every_data_set(pictures: tuple[Path, str]) -> None:
    loaded, split = data.load(pictures[1]), data.split(data.load(pictures[1]), 0.2, 30)
    parts = [images(part[0]) for part in (split.train, split.validation)]
    assert [len(part) for part in parts] == [320, 80] and len(images(split.train_subset[0])) == 30
    assert sorted([*parts[0].number, *parts[1].number]) == list(range(400))
    assert np.array_equal(split.validation[1], loaded.train_y[parts[1].number])
    assert split.input_shape == (8, 8, 1)


def remove_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(("change", "expected"), [
    (lambda folder: remove_all(folder / "train" / "class_0004"), "class_0004 has no image"),
    (lambda folder: (folder / "train" / "extra").mkdir(), "test lacks 1 of them: extra"),
    (lambda folder: (folder / "test" / "extra").mkdir(), "train lacks 1 of them: extra"),
    (lambda folder: (folder / "train").rename(folder / "training"), "has test, training"),
    (lambda folder: (folder / "test").rename(folder / "tests"), "val/<class>/"),
    (lambda folder: min((folder / "train" / "class_0001").iterdir()).write_text("hello"), "neither JPEG nor PNG"),
])
def test_a_folder_that_does_not_fit_is_told(pictures: tuple[Path, str], change: Callable[[Path], object],
                                            expected: str) -> None:
    change(pictures[0])
    with pytest.raises(DataError, match=expected):
        data.load(pictures[1])


@pytest.mark.parametrize("name", ["val", "validation"])
def test_the_test_folder_has_three_names(pictures: tuple[Path, str], name: str) -> None:
    (pictures[0] / "test").rename(pictures[0] / name)
    assert data.describe_size(pictures[1]).test_examples == 100


# Reading

def open_below(folder: Path) -> int:
    """Files below ``folder`` that this process holds open; what other tests left open closes whenever it likes."""
    links = [Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
    return sum(os.path.realpath(link).startswith(f"{folder.resolve()}/") for link in links)


def test_a_reader_gives_the_bytes_and_closes_its_files(records: tuple[Path, str]) -> None:
    found = images(data.load(records[1]).train_x)
    reader = Reader(found)
    content = b"".join(path.read_bytes() for path in sorted(records[0].glob("train-*")))
    assert all(reader.read(row) in content for row in range(401))
    assert open_below(records[0]) == 3
    reader.close()
    assert open_below(records[0]) == 0


def test_all_readers_together_keep_few_files_open(tmp_path: Path, digits: data.Dataset,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has several readers, of its parts, and a library that opens files of its own."""
    dataset = write_images.write(tmp_path / "many", digits, 401, "tfrecord", "png", files=10)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 64))
    monkeypatch.setattr(Reader, "readers", weakref.WeakSet())  # not those of other tests in this process
    found = images(data.load(dataset).train_x)
    readers = [Reader(found), Reader(found)]
    assert [readers[1].read(row) for row in range(401)] == [readers[0].read(row) for row in range(401)]
    assert open_below(tmp_path / "many") == 16
    for reader in readers:
        reader.close()
    assert open_below(tmp_path / "many") == 0


def test_what_changed_since_the_index_is_named(records: tuple[Path, str], pictures: tuple[Path, str]) -> None:
    found = images(data.load(records[1]).train_x)
    os.truncate(records[0] / "train-00002-of-00003", 100)
    with pytest.raises(DataError, match=r"train-00002-of-00003, record 133 \(counted from 0\) has 0 bytes"):
        Reader(found).read(400)
    (records[0] / "train-00000-of-00003").unlink()
    with pytest.raises(DataError, match="train-00000-of-00003, record 0 .* No such file"):
        Reader(found).read(0)
    folder = images(data.load(pictures[1]).train_x)
    Path(folder.path(7)).write_bytes(b"")
    with pytest.raises(DataError, match="has 0 bytes"):
        Reader(folder).read(7)


# Augmentation's random numbers

def test_draws_are_of_seed_epoch_and_example_alone() -> None:
    whole = augmentation.draws(5, 2, np.arange(1000))
    assert whole.shape == (1000, augmentation.DRAWS) and whole.dtype == np.float32
    chosen = np.array([999, 3, 500], np.int32)
    assert np.array_equal(augmentation.draws(5, 2, chosen), whole[chosen])
    for other in (augmentation.draws(6, 2, chosen), augmentation.draws(5, 3, chosen)):
        assert not np.isclose(other, whole[chosen]).all(axis=1).any()


def test_draws_are_uniform_and_independent() -> None:
    """Mean and variance of each draw, and correlations between draws and neighbours, within five standard errors."""
    found = augmentation.draws(0, 0, np.arange(20_000)).astype(np.float64)
    assert found.min() >= 0 and found.max() < 1
    assert np.abs(found.mean(axis=0) - 0.5).max() < 5 * np.sqrt(1 / 12 / 20_000)
    assert np.abs(found.var(axis=0) - 1 / 12).max() < 5 * np.sqrt(1 / 180 / 20_000)
    correlations = np.corrcoef(found.T) - np.eye(augmentation.DRAWS)
    assert np.abs(correlations).max() < 5 / np.sqrt(20_000)
    assert abs(np.corrcoef(found[1:, 0], found[:-1, 0])[0, 1]) < 5 / np.sqrt(20_000)


# Writing

def test_the_writer_prints_the_name_for_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--to", str(tmp_path / "made"), "--from", "digits", "--examples", "400", "--size", "20x16"]
    assert write_images.main(words) == 0
    name = capsys.readouterr().out.split('"')[1]
    assert name == f"tfrecord:{tmp_path / 'made'},size=20x16x1"
    assert data.describe_size(name).input_shape == (20, 16, 1)
    assert write_images.main(words) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "expected"), [
    (["--examples", "5000"], "1,433 training examples"), (["--examples", "2"], "number of files"),
    (["--examples", "20"], "take more"),
    (["--size", "big"], "HEIGHTxWIDTH"), (["--from", "synthetic:4"], "only images"),
])
def test_what_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str],
                                        expected: str) -> None:
    assert write_images.main(["--to", str(tmp_path / "made"), "--from", "digits", *words]) == 2
    assert expected in capsys.readouterr().err
