"""mnist, fashion_mnist and cifar10: read without Keras, and never unpickled blindly."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data.sources import keras_files
from batchscale.benchmarks.errors import DataError


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and Keras home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


class Trap:
    """Makes the folder `trapped` when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("name, files", [
    ("mnist", ["mnist.npz"]),
    ("fashion_mnist", ["fashion-mnist/train-images-idx3-ubyte.gz",
                       "fashion-mnist/t10k-labels-idx1-ubyte.gz"]),
    ("cifar10", ["cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/test_batch"]),
])
def test_absent_files_are_named_with_their_place(name: str, files: list[str],
                                                 working_folder: Path) -> None:
    for ask in (data.load, data.describe_size):
        with pytest.raises(DataError, match="dataset='glyphs' needs no file") as caught:
            ask(name)
        for file in files:
            assert str(working_folder / "keras" / "datasets" / file) in str(caught.value)


def test_keras_home_is_below_the_users_home_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert keras_files.datasets_folder() == Path("/home/someone/.keras/datasets")


@pytest.fixture
def keras_datasets(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Keras' files; the true sizes are replaced by 20 + 10 examples."""
    for name in ("MNIST_SIZE", "CIFAR10_SIZE"):
        size = getattr(keras_files, name)._replace(train_examples=20, test_examples=10)
        monkeypatch.setattr(keras_files, name, size)
    folder = working_folder / "keras" / "datasets"
    folder.mkdir(parents=True)
    return folder


RNG = np.random.Generator(np.random.PCG64(0))
GREY = RNG.integers(0, 256, (30, 28, 28), np.uint8)
LABELS = (np.arange(30) % 10).astype(np.uint8)


def test_mnist_is_read_from_keras_archive(keras_datasets: Path) -> None:
    np.savez(keras_datasets / "mnist.npz", x_train=GREY[:20], y_train=LABELS[:20],
             x_test=GREY[20:], y_test=LABELS[20:])
    dataset = data.load("mnist")
    assert dataset.input_shape == (28, 28, 1)
    assert np.array_equal(dataset.train_x[..., 0], GREY[:20].astype(np.float32) / 255)
    assert dataset.test_y.tolist() == LABELS[20:].tolist()


def test_an_archive_of_another_size_is_not_mnist(keras_datasets: Path) -> None:
    np.savez(keras_datasets / "mnist.npz", x_train=GREY, y_train=LABELS, x_test=GREY, y_test=LABELS)
    with pytest.raises(DataError, match="train_examples=30.*replace the file by the official one"):
        data.load("mnist")


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def test_fashion_mnist_is_read_from_its_four_files(keras_datasets: Path) -> None:
    folder = keras_datasets / "fashion-mnist"
    folder.mkdir()
    parts = (GREY[:20], LABELS[:20], GREY[20:], LABELS[20:])
    for name, array in zip(keras_files.FASHION_FILES, parts, strict=True):
        (folder / name).write_bytes(gzip.compress(idx(array)))
    dataset = data.load("fashion_mnist")
    assert np.array_equal(dataset.test_x[..., 0], GREY[20:].astype(np.float32) / 255)
    assert dataset.train_y.tolist() == LABELS[:20].tolist()

    images = folder / keras_files.FASHION_FILES[0]
    images.write_bytes(gzip.compress(idx(GREY[:20])[:-1]))
    with pytest.raises(DataError, match=f"{images.name} is not an IDX file of bytes, or is cut"):
        data.load("fashion_mnist")
    images.write_bytes(b"text")
    with pytest.raises(DataError, match=f"{images.name} is not readable gzip"):
        data.load("fashion_mnist")


COLOUR = RNG.integers(0, 256, (30, 32, 32, 3), np.uint8)


def write_cifar(folder: Path) -> None:
    folder.mkdir(parents=True)
    planes = COLOUR.transpose(0, 3, 1, 2).reshape(30, 3072)
    sizes = [4] * 5 + [10]
    ends = np.cumsum(sizes)
    for name, size, end in zip(keras_files.CIFAR10_BATCHES, sizes, ends, strict=True):
        rows = slice(end - size, end)
        batch = {b"data": planes[rows], b"labels": LABELS[rows].tolist(), b"filenames": [b"x.png"]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=3))


@pytest.mark.parametrize("folder", keras_files.CIFAR10_FOLDERS)
def test_cifar10_is_read_from_its_batches(folder: str, keras_datasets: Path) -> None:
    write_cifar(keras_datasets / folder)
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
    assert keras_files.read_pickled_arrays(io.BytesIO(written)).tolist() == [7, 9]


@pytest.mark.parametrize("evil", [
    pickle.dumps(Trap()), b"cos\nsystem\n(S'mkdir trapped'\ntR.", pickle.dumps(np.load),
    pickle.dumps({"a": [Path("x")]})])
def test_a_pickle_that_names_anything_but_arrays_is_refused_unrun(evil: bytes,
                                                                  keras_datasets: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not a numpy array"):
        keras_files.read_pickled_arrays(io.BytesIO(evil))
    write_cifar(keras_datasets / "cifar-10-batches-py")
    (keras_datasets / "cifar-10-batches-py" / "data_batch_2").write_bytes(evil)
    with pytest.raises(DataError, match="data_batch_2 is not a CIFAR-10 batch"):
        data.load("cifar10")
    assert not Path("trapped").exists()


@pytest.mark.parametrize("broken", [b"", b"text", pickle.dumps([1]), pickle.dumps({b"data": 3})])
def test_a_broken_batch_is_named(broken: bytes, keras_datasets: Path) -> None:
    write_cifar(keras_datasets / "cifar-10-batches-py")
    (keras_datasets / "cifar-10-batches-py" / "test_batch").write_bytes(broken)
    with pytest.raises(DataError, match="test_batch is not a CIFAR-10 batch"):
        data.load("cifar10")
