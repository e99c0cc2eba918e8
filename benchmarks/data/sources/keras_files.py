"""mnist, fashion_mnist and cifar10 from the files that Keras keeps, read with numpy alone.

Importing keras.datasets costs seconds in every process, and downloads; neither happens here.
"""

from __future__ import annotations

import gzip
import os
import pickle
import zlib
from pathlib import Path
from typing import Any, IO

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..dataset import checked_dataset, Dataset, DataSize
from .npz import read_arrays

MNIST_SIZE = DataSize(60_000, 10_000, (28, 28, 1), 10)
CIFAR10_SIZE = DataSize(50_000, 10_000, (32, 32, 3), 10)
FASHION_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                 "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
CIFAR10_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
# Keras 3 unpacks the archive one folder deeper than Keras 2 did.
CIFAR10_FOLDERS = ("cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py")

Bytes = npt.NDArray[np.uint8]


def datasets_folder() -> Path:
    """Return $KERAS_HOME/datasets, or ~/.keras/datasets."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def mnist_paths() -> list[Path]:
    """Return the paths of the files of mnist, whether or not they exist."""
    return _present("mnist", [datasets_folder() / "mnist.npz"],
                    "the file is the mnist.npz of keras.datasets")


def load_mnist() -> Dataset:
    """Load mnist. Raises DataError where its files are missing."""
    path, = mnist_paths()
    arrays = read_arrays(path)
    source = "70,000 handwritten 28x28 digits (MNIST), 10 classes"
    return _checked("mnist", MNIST_SIZE, (arrays["x_train"][..., None], arrays["y_train"]),
                    (arrays["x_test"][..., None], arrays["y_test"]), source, path)


def fashion_mnist_paths() -> list[Path]:
    """Return the paths of the files of fashion_mnist, whether or not they exist."""
    return _present("fashion_mnist",
                    [datasets_folder() / "fashion-mnist" / name for name in FASHION_FILES],
                    "the files are the four official ones, still packed with gzip")


def load_fashion_mnist() -> Dataset:
    """Load fashion_mnist. Raises DataError where its files are missing."""
    paths = fashion_mnist_paths()
    train_x, train_y, test_x, test_y = (_read_idx(path) for path in paths)
    source = "70,000 grey 28x28 pictures of clothing (Fashion-MNIST), 10 classes"
    return _checked("fashion_mnist", MNIST_SIZE, (train_x[..., None], train_y),
                    (test_x[..., None], test_y), source, paths[0].parent)


def cifar10_paths() -> list[Path]:
    """Return the paths of the files of cifar10, whether or not they exist."""
    folders = [datasets_folder() / folder for folder in CIFAR10_FOLDERS]
    folder = next((folder for folder in folders if folder.is_dir()), folders[-1])
    return _present("cifar10", [folder / name for name in CIFAR10_BATCHES],
                    f"unpack the official cifar-10-python.tar.gz in {datasets_folder()}")


def load_cifar10() -> Dataset:
    """Load cifar10. Raises DataError where its files are missing."""
    paths = cifar10_paths()
    batches = [_read_cifar_batch(path) for path in paths]
    train_x, train_y = (np.concatenate(arrays) for arrays in zip(*batches[:-1], strict=True))
    source = "60,000 colour 32x32 photographs (CIFAR-10), 10 classes"
    return _checked("cifar10", CIFAR10_SIZE, (train_x, train_y), batches[-1], source,
                    paths[0].parent)


def _present(name: str, paths: list[Path], how: str) -> list[Path]:
    """The paths, if all are files. Raises DataError naming those missing and how to get them."""
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"dataset={name!r} needs what is not on this machine: "
                        f"{', '.join(missing)}; {how}. With a network, python -c 'import keras; "
                        f"keras.datasets.{name}.load_data()' puts it there; dataset='glyphs' needs "
                        "no file.")
    return paths


def _checked(name: str, size: DataSize, train: tuple[Any, Any], test: tuple[Any, Any], source: str,
             path: Path) -> Dataset:
    dataset = checked_dataset(name, train, test, source, size.classes)
    if dataset.size != size:
        raise DataError(f"{path} holds {dataset.size}, but {name} has {size}; replace the file by "
                        "the official one.")
    return dataset


def _read_idx(path: Path) -> Bytes:
    """An IDX file: bytes 0, 0, type 8, the axes' count, each axis as big-endian int32, the data."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not readable gzip ({error}); replace it by the official "
                        "file.") from None
    axes = content[3] if content[:3] == b"\x00\x00\x08" and len(content) > 3 else 0
    start = 4 + 4 * axes
    shape = tuple(np.frombuffer(content[4:start], ">i4").tolist()) if len(content) >= start else ()
    if not axes or len(shape) != axes or int(np.prod(shape)) != len(content) - start:
        raise DataError(f"{path} is not an IDX file of bytes, or is cut short; replace it by the "
                        "official file.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays and plain containers, and nothing that could run code."""

    _ADMITTED = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype,
                 # The function itself moved between numpy versions; an array knows where it is.
                 **{(f"numpy.{core}.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0]
                    for core in ("core", "_core")}}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not a numpy array")
        return self._ADMITTED[module, name]


def read_pickled_arrays(file: IO[bytes]) -> Any:
    """Read containers and numpy arrays from a pickle of Python 2 or 3. Raises pickle.UnpicklingError for all else."""
    return _ArrayUnpickler(file, encoding="bytes").load()


def _read_cifar_batch(path: Path) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """uint8[N, 32, 32, 3] and labels; in the file an example is its red, green and blue plane."""
    try:
        with path.open("rb") as file:
            batch = read_pickled_arrays(file)
        rows, labels = np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"], np.int64)
        return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
    except (OSError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError,
            AttributeError) as error:
        raise DataError(f"{path} is not a CIFAR-10 batch ({type(error).__name__}: {error}); "
                        "replace it by the official file.") from None
