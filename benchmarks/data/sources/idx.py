"""IDX, the format of MNIST's files: the reader of all of them, and idx:FOLDER, a data set of four such files.

An IDX file holds two bytes 0, the type of its numbers, how many axes it has, each axis as big-endian int32, and then
the numbers, big-endian too; gzip may be around it.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, IO

import numpy as np
import numpy.typing as npt
import psutil

from ...errors import AbsentData, DataError
from ..dataset import checked_dataset, Dataset

EXAMPLE = "idx:FOLDER"
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
MOST_AXES = 8
PIECE_BYTES = 2**24
TRAIN, TEST = ("train",), ("t10k", "test")
PARTS = {"x_train": (TRAIN, "images"), "y_train": (TRAIN, "labels"), "x_test": (TEST, "images"),
         "y_test": (TEST, "labels")}
"""What the names of the four files begin with: one of the words, then the other."""

Array = npt.NDArray[Any]


def load_idx(name: str) -> Dataset:
    """Load `idx:FOLDER`, relative to the working directory. Raises DataError."""
    paths = idx_paths(name)
    arrays = {part: read_path(path) for part, path in paths.items()}
    images = {part: grey(arrays[part]) for part in ("x_train", "x_test")}
    count = sum(len(arrays[part]) for part in ("y_train", "y_test"))
    return checked_dataset(name, (images["x_train"], arrays["y_train"]), (images["x_test"], arrays["y_test"]),
                           f"{count:,} examples from the IDX files in {paths['x_train'].parent}")


def grey(images: Array) -> Array:
    """Return (examples, height, width) with an axis of one channel at the end; all else as it is."""
    return images[..., None] if images.ndim == 3 else images


def idx_paths(name: str) -> dict[str, Path]:
    """Return the four files of `idx:FOLDER` by the array that each holds. Raises DataError naming what is absent."""
    try:
        folder = Path(name.partition(":")[2]).expanduser()
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        raise AbsentData(f"dataset={name!r}: there is no folder {folder.absolute()}; write it as {EXAMPLE}.") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, NUL, the home of nobody
        raise DataError(f"dataset={name!r} names no folder: {str(error)[:100]}; write it as {EXAMPLE}.") from None
    found = chosen(names)
    if missing := [wanted(part) for part in PARTS if part not in found]:
        raise AbsentData(f"dataset={name!r}: {folder.absolute()} has no file {', none '.join(missing)}; the four are "
                         "named as MNIST's, packed with gzip or not.")
    return {part: folder / found[part] for part in PARTS}


def chosen(names: Iterable[str]) -> dict[str, str]:
    """Return the name of the file for each array that is there, the plain one where it is also packed. Raises DataError
    where two different ones could be meant."""
    found: dict[str, str] = {}
    for name in sorted(names):
        part = part_of(name)
        if part and name.removesuffix(".gz") != found.setdefault(part, name).removesuffix(".gz"):
            raise DataError(f"both {found[part]} and {name} could be the file {wanted(part)}; leave one of them.")
    return found


def part_of(name: str) -> str:
    """Return which array a file of this name holds: x_train, y_train, x_test or y_test; "" for another file."""
    return next((part for part, (begins, what) in PARTS.items()
                 if name.startswith(tuple(f"{word}-{what}" for word in begins))), "")


def wanted(part: str) -> str:
    """Return what the name of an array's file looks like."""
    begins, what = PARTS[part]
    return " or ".join(f"{word}-{what}*" for word in begins)


def read_path(path: Path) -> Array:
    """Read one file. Raises DataError for what is no IDX file, is cut short or is longer than it says."""
    try:
        with path.open("rb") as file:
            return read(file, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def read(file: IO[bytes], name: str, most_bytes: float = math.inf) -> Array:
    """Read an array of at most so many bytes from an open file, packed or not, which messages call by its name. Raises
    DataError."""
    start = file.read(len(GZIP))
    file.seek(0)
    try:
        return _unpacked(gzip.GzipFile(fileobj=file) if start == GZIP else file, name, most_bytes)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is damaged or cut short: gzip cannot unpack it ({error}); replace it by a whole "
                        "one.") from None


def _unpacked(file: IO[bytes] | gzip.GzipFile, name: str, most_bytes: float) -> Array:
    head = file.read(4)
    if head[:2] != b"\0\0" or len(head) < 4 or head[2] not in TYPES or not 1 <= head[3] <= MOST_AXES:
        raise DataError(f"{name} is not an IDX file: it begins with {head.hex(' ') or 'nothing'}, not with 00 00, a "
                        "type and a number of axes.")
    dtype, lengths = np.dtype(TYPES[head[2]]), file.read(4 * head[3])
    shape = tuple(np.frombuffer(lengths, ">u4").tolist()) if len(lengths) == 4 * head[3] else ()
    size = math.prod(shape) * dtype.itemsize
    if shape and size > min(most_bytes, psutil.virtual_memory().available):
        raise DataError(f"{name} says that it has shape {shape}, {size / 2**30:,.1f} GiB, which is more than "
                        f"{'any file wanted here' if size > most_bytes else 'the memory that this machine has left'}.")
    content = _at_most(file, size) if shape else b""
    if not shape or len(content) < size:
        raise DataError(f"{name} is cut short: it says that it has shape {shape or 'that is not there'}, {size:,} "
                        f"bytes, and holds {len(content):,}; replace it by a whole one.")
    if file.read(1):
        raise DataError(f"{name} is longer than the shape {shape} that it says; replace it by a right one.")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _at_most(file: IO[bytes] | gzip.GzipFile, size: int) -> bytearray:
    """So many bytes or all that there are: memory is taken for what comes, and not for what a file says of itself."""
    content = bytearray()
    while piece := file.read(min(PIECE_BYTES, size - len(content))):
        content += piece
    return content


def written(array: Array) -> bytes:
    """Return uint8[...] as the bytes of an IDX file."""
    head = bytes((0, 0, 0x08, array.ndim)) + np.asarray(array.shape, ">u4").tobytes()
    return head + np.ascontiguousarray(array, np.uint8).tobytes()
