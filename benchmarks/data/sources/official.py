"""mnist, fashion_mnist and cifar10 as they were published, from wherever they lie on this machine, by numpy alone.

Importing keras.datasets costs seconds in every process, downloads, and deletes a mnist.npz of other bytes; nothing of
that happens here. `batchscale fetch` puts the files into the cache, where they are found first.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, IO

import numpy as np
import numpy.typing as npt

from ...errors import AbsentData, DataError
from ..cache import cache_folder
from ..dataset import checked_dataset, Dataset, DataSize
from . import idx
from .npz import read_arrays

DEBIAN_FOLDER = Path("/usr/share/datasets")
CIFAR10_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Official:
    """A published data set. digests: the name of each of its files in the cache, unpacked -> how it was published, as
    "algorithm:hexadecimal". places: where it is looked for after the cache, below Keras' folder unless absolute."""

    size: DataSize
    source: str
    digests: Mapping[str, str]
    places: tuple[str, ...]
    debian: str = ""


OFFICIAL = {
    "mnist": Official(
        DataSize(60_000, 10_000, (28, 28, 1), 10), "70,000 handwritten 28x28 digits (MNIST), 10 classes",
        {"train-images-idx3-ubyte": "sha256:ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
         "train-labels-idx1-ubyte": "sha256:65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
         "t10k-images-idx3-ubyte": "sha256:0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
         "t10k-labels-idx1-ubyte": "sha256:ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
        ("mnist.npz",)),
    "fashion_mnist": Official(
        DataSize(60_000, 10_000, (28, 28, 1), 10), "70,000 grey 28x28 pictures of clothing (Fashion-MNIST), 10 classes",
        {"train-images-idx3-ubyte": "sha256:c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
         "train-labels-idx1-ubyte": "sha256:bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
         "t10k-images-idx3-ubyte": "sha256:5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
         "t10k-labels-idx1-ubyte": "sha256:0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
        ("fashion-mnist", str(DEBIAN_FOLDER / "fashion-mnist")), "dataset-fashion-mnist"),
    "cifar10": Official(
        DataSize(50_000, 10_000, (32, 32, 3), 10), "60,000 colour 32x32 photographs (CIFAR-10), 10 classes",
        {"data_batch_1": "md5:c99cafc152244af753f735de768cd75f", "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
         "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751", "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
         "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb", "test_batch": "md5:40351d587109b95175f43aff81a1287e"},
        # Keras 3 unpacks the archive one folder deeper than Keras 2 did.
        ("cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py")),
}


def digest_of(content: bytes, like: str) -> str:
    """Return the digest of a file's content, by the algorithm of another digest.

    >>> digest_of(b"", "md5:")
    'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()}"


def keras_folder() -> Path:
    """Return $KERAS_HOME/datasets, or ~/.keras/datasets."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def own_folder(name: str) -> Path:
    """Return the folder in the cache that `batchscale fetch` puts a data set's files into."""
    return cache_folder() / "datasets" / name


def places(name: str) -> list[Path]:
    """Return the folders, or archive, that a data set is looked for in, in this order."""
    return [own_folder(name), *(keras_folder() / place for place in OFFICIAL[name].places)]


def paths(name: str) -> list[Path]:
    """Return the files of a data set in the first place that has all of them. Raises AbsentData where none has."""
    looked = {place: _files(name, place) for place in places(name)}
    for place, found in looked.items():
        if all(found.values()):
            return [path for path in found.values() if path]
    told = ", ".join(str(place) + _lacking(place, found) for place, found in looked.items())
    debian = f" (or apt-get install {OFFICIAL[name].debian})" if OFFICIAL[name].debian else ""
    raise AbsentData(f"dataset={name!r} is not on this machine; it was looked for in {told}. `batchscale fetch {name}` "
                     f"brings it{debian}, and with --from PATH from a folder or an archive; dataset='glyphs' needs no "
                     "file.")


def _files(name: str, place: Path) -> dict[str, Path | None]:
    """Each file that the data set needs in a place, in the order of its arrays; None where it is not there."""
    if place.suffix == ".npz":
        return {place.name: place if place.is_file() else None}
    names = _names(place)
    if name == "cifar10":
        return {batch: place / batch if batch in names else None for batch in CIFAR10_BATCHES}
    found = idx.chosen(names)
    return {idx.wanted(part): place / found[part] if part in found else None for part in idx.PARTS}


def _names(folder: Path) -> list[str]:
    """The names of its files; none of a folder that is not there or may not be looked into."""
    try:
        return [path.name for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []


def _lacking(place: Path, found: Mapping[str, Path | None]) -> str:
    absent = [what for what, path in found.items() if path is None]
    return f" (which lacks {', '.join(absent)})" if place.is_dir() and len(absent) < len(found) else ""


def load(name: str) -> Dataset:
    """Load a data set. Raises AbsentData where its files are missing, DataError where they are not what was published.
    """
    files = paths(name)
    arrays = _cifar10(files) if name == "cifar10" else _grey(files)
    official = OFFICIAL[name]
    dataset = checked_dataset(name, (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"]),
                              official.source, official.size.classes)
    if dataset.size != official.size:
        raise DataError(f"{files[0]} holds {dataset.size}, but {name} has {official.size}; `batchscale fetch {name} "
                        "--force` brings the official files.")
    return dataset


def size(name: str) -> DataSize:
    """Return a data set's size, once its files are seen to be there. Raises AbsentData."""
    paths(name)
    return OFFICIAL[name].size


def _grey(files: list[Path]) -> Mapping[str, npt.NDArray[Any]]:
    """The four arrays of a numpy archive or of IDX files, with an axis of one channel."""
    found = read_arrays(files[0]) if len(files) == 1 else dict(zip(idx.PARTS, map(idx.read_path, files)))
    return {name: idx.grey(array) for name, array in found.items()}


def _cifar10(files: list[Path]) -> Mapping[str, npt.NDArray[Any]]:
    *batches, (test_x, test_y) = map(_read_cifar_batch, files)
    train_x, train_y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return {"x_train": train_x, "y_train": train_y, "x_test": test_x, "y_test": test_y}


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
                        "`batchscale fetch cifar10 --force` brings the official files.") from None
