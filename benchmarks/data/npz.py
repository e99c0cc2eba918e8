"""npz: a data set in one numpy archive of x_train, y_train, x_test and y_test."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .dataset import Dataset, checked_dataset

KEYS = ("x_train", "y_train", "x_test", "y_test")
_RECIPE = "write it with numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)"


def load_npz(name: str) -> Dataset:
    """`npz:PATH`, relative to the working directory."""
    path = Path(name.partition(":")[2]).expanduser()
    if not path.is_file():
        raise DataError(f"dataset={name!r}: there is no file {path.absolute()}; {_RECIPE}.")
    arrays = read_arrays(path)
    train, test = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    count = len(train[1]) + len(test[1]) if train[1].ndim and test[1].ndim else 0
    return checked_dataset(name, train, test, f"{count:,} examples from the file {path}")


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The four arrays of an archive, never unpickling. Raises DataError for anything else."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is a single array, not an archive; {_RECIPE}.")
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise DataError(f"{path} lacks {', '.join(missing)}; it has "
                                f"{', '.join(archive.files) or 'nothing'}; {_RECIPE}.")
            return {key: archive[key] for key in KEYS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} cannot be read as a numpy archive of plain arrays ({error}); "
                        f"{_RECIPE}.") from None
