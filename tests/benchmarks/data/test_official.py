"""mnist, fashion_mnist and cifar10: found where they lie, read without Keras, and never unpickled blindly."""

from __future__ import annotations

import gzip
import io
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data.sources import idx, official
from batchscale.benchmarks.errors import AbsentData, DataError


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, Keras home and cache, on a machine without Debian's data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "cache"))
    fashion = official.OFFICIAL["fashion_mnist"]
    monkeypatch.setitem(official.OFFICIAL, "fashion_mnist",
                        replace(fashion, places=(fashion.places[0], str(tmp_path / "debian" / "fashion-mnist"))))
    return tmp_path


class Trap:
    """Makes the folder `trapped` when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("name, places", [
    ("mnist", ["cache/datasets/mnist", "keras/datasets/mnist.npz"]),
    ("fashion_mnist", ["cache/datasets/fashion_mnist", "keras/datasets/fashion-mnist", "debian/fashion-mnist"]),
    ("cifar10", ["cache/datasets/cifar10", "keras/datasets/cifar-10-batches-py"]),
])
def test_where_an_absent_data_set_was_looked_for_is_said_with_what_brings_it(name: str, places: list[str],
                                                                             working_folder: Path) -> None:
    for ask in (data.load, data.describe_size):
        with pytest.raises(AbsentData, match=f"`batchscale fetch {name}` brings it.*'glyphs' needs no file") as caught:
            ask(name)
        for place in places:
            assert str(working_folder / place) in str(caught.value)


def test_an_incomplete_folder_is_named_with_what_it_lacks(datasets: Path) -> None:
    write_idx(datasets / "fashion-mnist")
    (datasets / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(AbsentData, match=r"fashion-mnist \(which lacks t10k-labels\* or test-labels\*\)"):
        data.describe_size("fashion_mnist")


def test_keras_home_is_below_the_users_home_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert official.keras_folder() == Path("/home/someone/.keras/datasets")


@pytest.fixture
def datasets(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Keras' files; the true sizes are replaced by 20 + 10 examples."""
    for name, found in list(official.OFFICIAL.items()):
        size = found.size._replace(train_examples=20, test_examples=10)
        monkeypatch.setitem(official.OFFICIAL, name, replace(found, size=size))
    folder = working_folder / "keras" / "datasets"
    folder.mkdir(parents=True)
    return folder


RNG = np.random.Generator(np.random.PCG64(0))
GREY = RNG.integers(0, 256, (30, 28, 28), np.uint8)
LABELS = (np.arange(30) % 10).astype(np.uint8)


def test_mnist_is_read_from_keras_archive(datasets: Path) -> None:
    np.savez(datasets / "mnist.npz", x_train=GREY[:20], y_train=LABELS[:20],
             x_test=GREY[20:], y_test=LABELS[20:])
    dataset = data.load("mnist")
    assert dataset.input_shape == (28, 28, 1)
    assert np.array_equal(dataset.train_x[..., 0], GREY[:20].astype(np.float32) / 255)
    assert dataset.test_y.tolist() == LABELS[20:].tolist()


def test_an_archive_of_another_size_is_not_mnist(datasets: Path) -> None:
    np.savez(datasets / "mnist.npz", x_train=GREY, y_train=LABELS, x_test=GREY, y_test=LABELS)
    with pytest.raises(DataError, match="train_examples=30.*fetch mnist --force"):
        data.load("mnist")


def write_idx(folder: Path, packed: bool = True) -> None:
    folder.mkdir(parents=True)
    for name, array in zip(official.OFFICIAL["mnist"].digests, (GREY[:20], LABELS[:20], GREY[20:], LABELS[20:])):
        content = idx.written(array)
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name, place", [
    ("mnist", "cache/datasets/mnist"), ("fashion_mnist", "cache/datasets/fashion_mnist"),
    ("fashion_mnist", "keras/datasets/fashion-mnist"), ("fashion_mnist", "debian/fashion-mnist")])
def test_four_idx_files_are_found_in_each_place(name: str, place: str, packed: bool, datasets: Path,
                                                working_folder: Path) -> None:
    write_idx(working_folder / place, packed)
    dataset = data.load(name)
    assert np.array_equal(dataset.test_x[..., 0], GREY[20:].astype(np.float32) / 255)
    assert dataset.train_y.tolist() == LABELS[:20].tolist()


def test_the_cache_comes_before_keras_folder(datasets: Path, working_folder: Path) -> None:
    np.savez(datasets / "mnist.npz", x_train=GREY[:20], y_train=LABELS[::-1][:20], x_test=GREY[20:], y_test=LABELS[20:])
    assert official.paths("mnist") == [datasets / "mnist.npz"]
    write_idx(working_folder / "cache" / "datasets" / "mnist")
    assert data.load("mnist").train_y.tolist() == LABELS[:20].tolist()


def test_what_debian_packs_is_fashion_mnist_as_published() -> None:
    """The digests are of the unpacked files, so that who packed them does not matter."""
    assert {name: len(found.digests) for name, found in official.OFFICIAL.items()} == {
        "mnist": 4, "fashion_mnist": 4, "cifar10": 6}
    folder = official.DEBIAN_FOLDER / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip("dataset-fashion-mnist is not installed")
    for name, digest in official.OFFICIAL["fashion_mnist"].digests.items():
        content = gzip.decompress((folder / f"{name}.gz").read_bytes())
        assert official.digest_of(content, digest) == digest


COLOUR = RNG.integers(0, 256, (30, 32, 32, 3), np.uint8)


def write_cifar(folder: Path) -> None:
    folder.mkdir(parents=True)
    planes = COLOUR.transpose(0, 3, 1, 2).reshape(30, 3072)
    sizes = [4] * 5 + [10]
    ends = np.cumsum(sizes)
    for name, size, end in zip(official.CIFAR10_BATCHES, sizes, ends, strict=True):
        rows = slice(end - size, end)
        batch = {b"data": planes[rows], b"labels": LABELS[rows].tolist(), b"filenames": [b"x.png"]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=3))


@pytest.mark.parametrize("folder", official.OFFICIAL["cifar10"].places)
def test_cifar10_is_read_from_its_batches(folder: str, datasets: Path) -> None:
    write_cifar(datasets / folder)
    dataset = data.load("cifar10")
    assert np.array_equal(dataset.train_x, COLOUR[:20].astype(np.float32) / 255)
    assert np.array_equal(dataset.test_x, COLOUR[20:].astype(np.float32) / 255)
    assert dataset.train_y.tolist() == LABELS[:20].tolist()


def test_a_pickle_of_python_2_is_read() -> None:
    """As numpy under Python 2 wrote array([7, 9], uint8): protocol 2, names from numpy.core."""
    written = (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00"
               b"\x85q\x03U\x01bq\x04\x87q\x05Rq\x06(K\x01K\x02\x85q\x07cnumpy\ndtype\nq\x08U\x02u1"
               b"q\tK\x00K\x01\x87q\nRq\x0b(K\x03U\x01|q\x0cNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
               b"K\x00tq\rb\x89U\x02\x07\tq\x0etq\x0fb.")
    assert official.read_pickled_arrays(io.BytesIO(written)).tolist() == [7, 9]


@pytest.mark.parametrize("evil", [
    pickle.dumps(Trap()), b"cos\nsystem\n(S'mkdir trapped'\ntR.", pickle.dumps(np.load),
    pickle.dumps({"a": [Path("x")]})])
def test_a_pickle_that_names_anything_but_arrays_is_refused_unrun(evil: bytes,
                                                                  datasets: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not a numpy array"):
        official.read_pickled_arrays(io.BytesIO(evil))
    write_cifar(datasets / "cifar-10-batches-py")
    (datasets / "cifar-10-batches-py" / "data_batch_2").write_bytes(evil)
    with pytest.raises(DataError, match="data_batch_2 is not a CIFAR-10 batch"):
        data.load("cifar10")
    assert not Path("trapped").exists()


@pytest.mark.parametrize("broken", [b"", b"text", pickle.dumps([1]), pickle.dumps({b"data": 3})])
def test_a_broken_batch_is_named(broken: bytes, datasets: Path) -> None:
    write_cifar(datasets / "cifar-10-batches-py")
    (datasets / "cifar-10-batches-py" / "test_batch").write_bytes(broken)
    with pytest.raises(DataError, match="test_batch is not a CIFAR-10 batch"):
        data.load("cifar10")
