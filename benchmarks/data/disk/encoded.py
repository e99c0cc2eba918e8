"""Images that stay on disk, as JPEG or PNG: where each one lies, and reading it."""

from __future__ import annotations

import os
import resource
import weakref
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError

LARGEST_IMAGE_BYTES = 64 * 1024**2
WHOLE_FILE = -1
MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """N images of one part of a data set, in the place of an array of them: it has a shape, a length and rows.

    folder: that `paths` bytes[files] start from. file int32[N]: each image's file; offset, length int64[N]: its bytes
    there, WHOLE_FILE for a file of its own; record int32[N]: its number in the file, for messages; number int32[N]:
    its own in the whole part, which the split leaves as it was. example_shape: height, width and channels that it is
    brought to.
    """

    folder: str
    paths: npt.NDArray[np.bytes_]
    file: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    record: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    example_shape: tuple[int, int, int]
    augment: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.file)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that these images stand for: (N, height, width, channels)."""
        return (len(self), *self.example_shape)

    def __getitem__(self, rows: Any) -> EncodedImages:
        return replace(self, file=self.file[rows], offset=self.offset[rows], length=self.length[rows],
                       record=self.record[rows], number=self.number[rows])

    def path(self, row: int) -> str:
        """Return the path of the file that holds the image of this row."""
        return os.path.join(self.folder, os.fsdecode(self.paths[self.file[row]]))

    def where(self, row: int) -> str:
        """Return file and record of the image of this row, for messages."""
        whole = self.length[row] == WHOLE_FILE
        return self.path(row) if whole else f"{self.path(row)}, record {self.record[row]} (counted from 0)"


class Reader:
    """Reads images by row, from several threads at once. Files that hold many images stay open, as far as allowed: all
    readers of a process together keep a quarter of the files that it may have open."""

    readers: weakref.WeakSet[Reader] = weakref.WeakSet()

    def __init__(self, images: EncodedImages) -> None:
        self._images = images
        self._open: dict[int, int] = {}
        self.readers.add(self)
        self._close = weakref.finalize(self, _close_all, self._open)

    def read(self, row: int) -> bytes:
        """Read the encoded image of this row. Raises DataError naming file and record."""
        images = self._images
        length = int(images.length[row])
        try:
            if length == WHOLE_FILE:
                with open(images.path(row), "rb") as file:
                    data = file.read(LARGEST_IMAGE_BYTES + 1)
                length = len(data)
            else:
                data = self._part(row, length)
        except OSError as error:
            raise DataError(f"{images.where(row)} cannot be read: {error.strerror or error}.") from None
        if len(data) != length or not 0 < length <= LARGEST_IMAGE_BYTES:
            raise DataError(f"{images.where(row)} has {len(data):,} bytes of an image; expected: from 1 to "
                            f"{LARGEST_IMAGE_BYTES:,}" + (f", here {length:,}" if length != len(data) else "")
                            + ". The file changed or is damaged: write it again, then run the plan again.")
        return data

    def _part(self, row: int, length: int) -> bytes:
        """Read bytes with pread, which moves no position, so that threads can share a descriptor.

        No descriptor is closed while it may be in use.
        """
        file, offset = int(self._images.file[row]), int(self._images.offset[row])
        descriptor = self._open.get(file)
        if descriptor is not None:
            return os.pread(descriptor, length, offset)
        opened = os.open(self._images.path(row), os.O_RDONLY | os.O_CLOEXEC)
        kept = self._may_keep() and self._open.setdefault(file, opened) == opened
        try:
            return os.pread(opened, length, offset)
        finally:
            if not kept:
                os.close(opened)

    def _may_keep(self) -> bool:
        most = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        return sum(len(reader._open) for reader in self.readers) < most

    def close(self) -> None:
        """Close all files that are open."""
        self._close()


def _close_all(descriptors: dict[int, int]) -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])
