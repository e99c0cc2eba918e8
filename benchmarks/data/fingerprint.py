"""What tells one data set from another: the contents of arrays, or the names, sizes and times of files left on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .arrays import by_name
from .dataset import Dataset
from .disk.encoded import EncodedImages
from .disk.names import is_on_disk
from .sources import idx, official

DIGITS = 16
GENERATED = ("digits", "glyphs", "tokens")

FileIdentity = list[Any]
"""[path, bytes, time of change in ns, inode]"""


class Digests(NamedTuple):
    """Tells a data set from others. `times`: when files of examples on disk were changed, "" of those in memory; a copy
    of the same files has other times, so it counts where a data set is described, and not between nodes."""

    contents: str
    times: str


def digests(dataset: Dataset) -> Digests:
    """Return the digests of all examples in memory; of examples on disk those of their labels and of their files'
    names, sizes and times, so that a folder of any size is not read."""
    found, times = hashlib.sha256(), hashlib.sha256()
    on_disk = False
    for name in ("train_x", "train_y", "test_x", "test_y"):
        for what, values in by_name(getattr(dataset, name), name):
            found.update(f"{what} {tuple(values.shape)}".encode())
            if isinstance(values, EncodedImages):
                on_disk = True
                _add_files(values, found, times)
            else:
                found.update(str(values.dtype).encode())
                found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return Digests(found.hexdigest()[:DIGITS], times.hexdigest()[:DIGITS] if on_disk else "")


def _add_files(images: EncodedImages, found: Any, times: Any) -> None:
    """Names and sizes of the files, and where in them the images lie, to one digest; times to the other."""
    folder = os.open(images.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in images.paths.tolist():
            status = os.stat(path, dir_fd=folder)
            found.update(b"%b %d\n" % (path, status.st_size))
            times.update(b"%d\n" % status.st_mtime_ns)
    finally:
        os.close(folder)
    for rows in (images.file, images.offset, images.length):
        found.update(np.ascontiguousarray(rows).data)


def witness(name: str) -> list[FileIdentity] | None:
    """Return what the examples of this name are made from, without reading them: the identity of each file, none for
    those that the suite generates; None where that is not known, as of a user's own function."""
    scheme, colon, path = name.partition(":")
    if name in GENERATED or scheme == "synthetic":
        return []
    if name in official.OFFICIAL:
        return _identities(official.paths(name))
    if colon and scheme == "idx":
        return _identities(list(idx.idx_paths(name).values()))
    return _identities([Path(path).expanduser()]) if colon and scheme == "npz" else None


def is_own(name: str) -> bool:
    """Return whether a user's function makes the examples."""
    scheme, colon, _ = name.partition(":")
    return bool(colon) and scheme not in ("idx", "npz", "synthetic") and not is_on_disk(name)


def _identities(paths: Sequence[Path]) -> list[FileIdentity] | None:
    try:
        return [[str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino]
                for path in paths for status in [path.stat()]]
    except OSError:
        return None
