"""The files that someone offers: those of a folder or an archive, or one alone.

Archives are not trusted: nothing is unpacked to disk, no name in one becomes a path, links are passed over, and what is
read of one has limits.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from ...errors import DataError
from ..sources.idx import GZIP

MOST_MEMBERS = 100_000
MOST_BYTES = 256 * 2**20  # of one file; the largest that is wanted, CIFAR-10's archive, has 163 MiB
MOST_UNPACKED_BYTES = 4 * 2**30  # of a whole archive
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, ValueError,
           LookupError, OverflowError, NotImplementedError)


@dataclass(frozen=True)
class Member:
    """A file that is offered. name: the last part of its path; place: where it lies, for messages."""

    name: str
    place: str
    open: Callable[[], IO[bytes]]

    def read(self) -> bytes:
        """Return the whole content. Raises DataError where it is longer than any file that is wanted."""
        with self.open() as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DataError(f"{self.place} is larger than {MOST_BYTES // 2**20} MiB, which no file of a data set is.")
        return content


@contextmanager
def offered(path: Path) -> Iterator[Iterator[Member]]:
    """Give the files of a folder, a .tar, .tar.gz, .tgz or .zip archive, or the one file, open meanwhile.

    Raises DataError where there is nothing at the path, and where an archive turns out to be damaged.
    """
    try:
        if path.is_dir():
            yield _in_folder(path)
        elif path.suffix != ".npz" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _in_zip(archive, path)
        else:
            with path.open("rb") as file:
                yield _in_file(file, path)
    except DataError:
        raise
    except DAMAGED as error:
        raise DataError(f"{path} is damaged or cut short ({str(error)[:100] or type(error).__name__}); nothing of it "
                        "is kept.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; give a folder, or a .tar.gz, .tgz or .zip "
                        "archive.") from None


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


def _in_folder(folder: Path) -> Iterator[Member]:
    seen = 0
    for place, _, names in os.walk(folder):
        seen += len(names)
        if seen > MOST_MEMBERS:
            raise DataError(f"{folder} holds more than {MOST_MEMBERS:,} files; give the folder of the data set alone.")
        for path in (Path(place) / name for name in sorted(names)):
            if path.is_file():
                yield Member(path.name, str(path), partial(_opened, path))


def _in_zip(archive: zipfile.ZipFile, path: Path) -> Iterator[Member]:
    for info in archive.infolist()[:MOST_MEMBERS]:
        if not info.is_dir():
            name = info.filename.rpartition("/")[2]
            yield Member(name, f"{name} in {path}", partial(archive.open, info))


def _in_file(file: IO[bytes], path: Path) -> Iterator[Member]:
    """What a tar archive holds, read within limits; the file itself where it is none."""
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    bounded = cast(IO[bytes], _Bounded(gzip.GzipFile(fileobj=file) if packed else file, path))
    try:
        archive = tarfile.open(fileobj=bounded, mode="r:")
    except tarfile.ReadError:
        if ".tar" in path.suffixes or path.suffix == ".tgz":
            raise
        yield Member(path.name, str(path), partial(_opened, path))
        return
    for info in archive:
        if info.isreg():
            name = info.name.rpartition("/")[2]
            yield Member(name, f"{name} in {path}", partial(_extracted, archive, info))


def _extracted(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    assert file is not None, "it is a plain file"
    return file


class _Bounded:
    """A file of which no more is read at once, and in all, than the limits allow, whatever its headers say."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, path: Path) -> None:
        self._file, self._path, self.tell = file, path, file.tell

    def read(self, size: int = -1) -> bytes:
        self._check(0 <= size <= MOST_BYTES)
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._check(whence != os.SEEK_SET or place <= MOST_UNPACKED_BYTES)
        return self._file.seek(place, whence)

    def seekable(self) -> bool:
        return True

    def _check(self, within: bool) -> None:
        if not within or self._file.tell() > MOST_UNPACKED_BYTES:
            raise DataError(f"{self._path} says that it holds a file of more than {MOST_BYTES // 2**20} MiB, or "
                            f"{MOST_UNPACKED_BYTES // 2**30} GiB in all, which no data set here has; nothing is kept.")
