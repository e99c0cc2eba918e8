"""Arrays that are costly to make, kept on disk; safe with several processes at once."""

from __future__ import annotations

import os
import socket
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Arrays = Mapping[str, npt.NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]


def cache_folder() -> Path:
    """Return $BATCHSCALE_CACHE, or batchscale in $XDG_CACHE_HOME or in ~/.cache."""
    if own := os.environ.get("BATCHSCALE_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "batchscale"


def cached_arrays(file_name: str, shapes: Shapes, make: Callable[[], Arrays]) -> Arrays:
    """Return the uint8 arrays of these shapes from the cache, made and stored there first when absent.

    An unreadable file is set aside as FILE.corrupt, with a warning, and made again. Raises
    DataError where the cache cannot be read or written.
    """
    def check(arrays: Arrays) -> None:
        for name, shape in shapes.items():
            if arrays[name].shape != shape or arrays[name].dtype != np.uint8:
                raise ValueError(f"{name} is {arrays[name].dtype}{arrays[name].shape}, not "
                                 f"uint8{shape}")

    return cached(file_name, tuple(shapes), check, make)


def cached(file_name: str, names: Sequence[str], check: Callable[[Arrays], None],
           make: Callable[[], Arrays]) -> Arrays:
    """Return arrays from the cache, made and stored there first when absent.

    `check` raises ValueError for arrays that are not what was made; their file is set aside and made again.
    """
    path = cache_folder() / file_name
    try:
        if path.exists():
            found = _read(path, names, check)
            if found is not None:
                return found
        return _make_and_store(path, make)
    except OSError as error:
        raise DataError(f"the cache {path} cannot be read or written ({error.strerror or error}); "
                        "set BATCHSCALE_CACHE to a folder that you can write.") from None


def _read(path: Path, names: Sequence[str], check: Callable[[Arrays], None]) -> Arrays | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in names}
        check(arrays)
        return arrays
    except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        aside = path.with_name(f"{path.name}.corrupt")
        with suppress(FileNotFoundError):  # another process was faster
            os.replace(path, aside)
        warnings.warn(f"{path} was not readable ({error}); it is set aside as {aside.name} and "
                      "made again.", stacklevel=5)
        return None


def _make_and_store(path: Path, make: Callable[[], Arrays]) -> Arrays:
    """Write to a temporary file and rename it: no reader sees half a file; the last writer wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        # Opened before the work, so that an unwritable cache is found at once.
        with partial.open("wb") as file:
            arrays = make()
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return arrays
