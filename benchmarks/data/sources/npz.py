"""npz: a data set in one numpy archive of x_train, y_train, x_test and y_test."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any, IO

import numpy as np
import psutil
from numpy.lib import format as npy

from ...errors import AbsentData, DataError
from ..dataset import checked_dataset, Dataset

KEYS = ("x_train", "y_train", "x_test", "y_test")
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_RECIPE = "write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)"


def load_npz(name: str) -> Dataset:
    """Load `npz:PATH`, relative to the working directory."""
    path = path_of(name)
    arrays = read_arrays(path)
    train, test = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    count = len(train[1]) + len(test[1]) if train[1].ndim and test[1].ndim else 0
    return checked_dataset(name, train, test, f"{count:,} examples from the file {path}")


def path_of(name: str) -> Path:
    """Return the file of `npz:PATH`. Raises AbsentData where there is none, DataError for a path that can be none."""
    try:
        path = Path(name.partition(":")[2]).expanduser()
        if path.is_file():
            return path
    except (OSError, ValueError, RuntimeError) as error:  # too long, NUL, the home of nobody
        raise DataError(f"dataset={name!r} names no file: {str(error)[:100]}; {_RECIPE}.") from None
    raise AbsentData(f"dataset={name!r}: there is no file {path.absolute()}; {_RECIPE}.")


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read the four arrays of an archive, never unpickling. Raises DataError for anything else."""
    try:
        with path.open("rb") as file:
            return read_archive(file, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_archive(file: IO[bytes], path: str) -> dict[str, np.ndarray[Any, Any]]:
    """Read the four arrays of an open archive, which messages call by its path, as `read_arrays` does."""
    try:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path} is a single array, not an archive; {_RECIPE}.")
        missing = [key for key in KEYS if key not in archive.files]
        if missing:
            raise DataError(f"{path} lacks {', '.join(missing)}; it has "
                            f"{', '.join(archive.files) or 'nothing'}; {_RECIPE}.")
        _check_memory(path, archive)
        return {key: archive[key] for key in KEYS}
    except DataError:
        raise
    except Exception as error:  # a damaged archive raises a dozen kinds, from BadZipFile to TokenError
        raise DataError(f"{path} cannot be read as a numpy archive of plain arrays ({str(error)[:200]}); "
                        f"{_RECIPE}.") from None


def _check_memory(path: str, archive: Any) -> None:
    """Check that the sizes in the headers are present in the file and fit in memory. Raises DataError."""
    needed = sum(_array_bytes(archive.zip, key) for key in KEYS)
    available = psutil.virtual_memory().available
    if needed > available:
        raise DataError(f"{path} holds {needed / 2**30:,.1f} GiB of arrays and this machine has "
                        f"{available / 2**30:,.1f} GiB of memory left; use fewer examples or a smaller type.")


def _array_bytes(archive: zipfile.ZipFile, key: str) -> int:
    """Bytes of one array by its header. Raises ValueError where the archive's member is smaller."""
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"{key} has version {version} of the npy format")
        shape, _, dtype = HEADERS[version](file)
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > member.file_size - file.tell():
            raise ValueError(f"{key} says that it has shape {str(shape)[:60]}, for which its data is too short")
    return size
