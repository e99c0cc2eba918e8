"""A published data set into the cache: from the web, or from a folder or an archive; whole and as published, or not."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ...errors import DataError
from ..sources.official import own_folder
from .collecting import collected
from .download import cannot_write, download, Progress
from .members import offered

BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


@dataclass(frozen=True)
class Address:
    """A file on the web, where Keras' own loaders have it from. sha256: of the file as it comes, "" where none is
    published; its contents are checked in any case."""

    url: str
    sha256: str = ""


ADDRESSES: Mapping[str, tuple[Address, ...]] = {
    "mnist": (Address(f"{BASE}mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),),
    "fashion_mnist": tuple(Address(f"{BASE}{part}-ubyte.gz") for part in (
        "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")),
    "cifar10": (Address("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),),
}


def from_path(name: str, path: Path) -> dict[str, int]:
    """Take a data set from a folder, an archive or a file; return its files in the cache with their bytes. Raises
    DataError, having kept nothing."""
    with offered(path) as members:
        found = collected(name, members, str(path))
    return _keep(name, found)


def from_web(name: str, progress: Progress) -> dict[str, int]:
    """Take a data set from the web; return its files in the cache with their bytes.

    What an earlier command left is gone on with, and begun again where that did not end in what was published. Raises
    DataError, having kept nothing, and what `download` raises.
    """
    partial = {address: own_folder(name).parent / ".partial" / name / os.path.basename(address.url)
               for address in ADDRESSES[name]}
    try:
        resumed = _downloaded(partial, progress)
        try:
            found = _checked(name, partial)
        except DataError:
            if not resumed:
                raise
            _remove(partial)
            _downloaded(partial, progress)
            found = _checked(name, partial)
    except DataError:
        _remove(partial)
        raise
    kept = _keep(name, found)
    _remove(partial)
    return kept


def _downloaded(partial: Mapping[Address, Path], progress: Progress) -> bool:
    """Bring every file; whether the beginning of one was there."""
    return any([download(address.url, path, progress) for address, path in partial.items()])


def _checked(name: str, partial: Mapping[Address, Path]) -> dict[str, bytes]:
    """The files of the data set out of those that have come. Raises DataError."""
    for address, path in partial.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if address.sha256 else ""
        if digest != address.sha256:
            raise DataError(f"{address.url} has the sha256 {digest} and must have {address.sha256}: another file came "
                            "than the one that was published. Nothing is kept.")
    with ExitStack() as stack:
        members = chain.from_iterable([stack.enter_context(offered(path)) for path in partial.values()])
        return collected(name, members, ", ".join(address.url for address in partial))


def _remove(partial: Mapping[Address, Path]) -> None:
    for path in partial.values():
        path.unlink(missing_ok=True)


def _keep(name: str, files: Mapping[str, bytes]) -> dict[str, int]:
    """Write each file whole, by rename: ranks that look meanwhile see it or not. Raises DataError."""
    folder = own_folder(name)
    temporary = folder / f".{socket.gethostname()}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            with temporary.open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(temporary, folder / file)
    except OSError as error:
        temporary.unlink(missing_ok=True) if folder.is_dir() else None
        raise cannot_write(folder, error) from None
    return {file: len(content) for file, content in files.items()}
