"""What tells one data set from another: the contents of arrays, or the names, sizes and times of files left on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import by_name
from .dataset import Dataset
from .disk.encoded import EncodedImages
from .disk.names import is_on_disk
from .sources import keras_files

DIGITS = 16
FILES: dict[str, Callable[[], Sequence[Path]]] = {
    "mnist": keras_files.mnist_paths, "fashion_mnist": keras_files.fashion_mnist_paths,
    "cifar10": keras_files.cifar10_paths}
GENERATED = ("digits", "glyphs", "tokens")

FileIdentity = list[Any]
"""[path, bytes, time of change in ns, inode]"""


def contents(dataset: Dataset) -> str:
    """The digest of all examples in memory; of examples on disk, that of their labels and of their files' names and
    sizes, so that a folder of any size is not read."""
    digest = hashlib.sha256()
    for name in ("train_x", "train_y", "test_x", "test_y"):
        for what, values in by_name(getattr(dataset, name), name):
            digest.update(f"{what} {tuple(values.shape)}".encode())
            if isinstance(values, EncodedImages):
                digest.update(repr([(path, status.st_size) for path, status in _files(values)]).encode())
                for rows in (values.file, values.offset, values.length):
                    digest.update(np.ascontiguousarray(rows).data)
            else:
                digest.update(str(values.dtype).encode())
                digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:DIGITS]


def times(dataset: Dataset) -> str:
    """The digest of when the files of examples on disk were changed; "" for examples in memory.

    A copy of the same files has other times, so this is looked at where the data set was described, not by ranks.
    """
    images = [values for name in ("train_x", "test_x") for _, values in by_name(getattr(dataset, name), name)
              if isinstance(values, EncodedImages)]
    if not images:
        return ""
    changed = [status.st_mtime_ns for values in images for _, status in _files(values)]
    return hashlib.sha256(repr(changed).encode()).hexdigest()[:DIGITS]


def _files(images: EncodedImages) -> list[tuple[bytes, os.stat_result]]:
    folder = os.fsencode(images.folder)
    return [(path, os.stat(os.path.join(folder, path))) for path in map(bytes, images.paths)]


def witness(name: str) -> list[FileIdentity] | None:
    """What the examples of this name are made from, found without reading them: the identity of each file, none for
    those that the suite generates; None where that is not known, as of a user's own function."""
    scheme, colon, path = name.partition(":")
    if name in GENERATED or scheme == "synthetic":
        return []
    if name in FILES:
        return _identities(FILES[name]())
    return _identities([Path(path).expanduser()]) if colon and scheme == "npz" else None


def is_own(name: str) -> bool:
    """Whether a user's function makes the examples."""
    scheme, colon, _ = name.partition(":")
    return bool(colon) and scheme not in ("npz", "synthetic") and not is_on_disk(name)


def _identities(paths: Sequence[Path]) -> list[FileIdentity] | None:
    try:
        return [[str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino]
                for path in paths for status in [path.stat()]]
    except OSError:
        return None
