"""JSON files: written whole by rename, read in bounded memory, hashed by what they say."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import uuid
from pathlib import Path
from typing import Any

import msgspec

from ..errors import RecordError
from ..limits import nested_deeper
from .schema import finite

MOST_BYTES = 64 * 2**20
MOST_LEVELS = 32
WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
MOST_DIGITS = 30
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Unreadable(RecordError):
    """A file that could not be looked at, which says nothing against what is in it."""


def write_json(path: Path, value: Any) -> None:
    """Write by rename, so that a reader sees the whole file or none. Raises RecordError if the folder refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:6]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(indented(finite(value)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise cannot_write(path, error) from None


def indented(value: Any) -> bytes:
    """Return what JSON can hold as json.dumps writes it with indent=1, four times as fast: Python's encoder in C knows
    no indent, and msgspec's gives numbers other digits.

    >>> indented({"rates": [0.1, 1e-05], "none": {}}).decode()
    '{\\n "rates": [\\n  0.1,\\n  1e-05\\n ],\\n "none": {}\\n}'
    """
    text = json.dumps(value, allow_nan=False).encode()
    if SURROGATE.search(text):  # half of a pair, which a name may hold, is no text to msgspec
        return json.dumps(value, indent=1).encode()
    return msgspec.json.format(text, indent=1)


def put(source: Path, target: Path) -> None:
    """Move a whole file to a path that must be free; `source` may remain. Raises FileExistsError, OSError.

    A hard link does this atomically. Where the file system has none, the path is checked first; and where a network
    repeats a request that was done, the path may already hold this very file.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        if os.path.islink(target) or not os.path.samefile(source, target):
            raise
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)


def cannot_write(path: Path, error: OSError, instead: str = "another folder with --results") -> RecordError:
    """Return the error for a file or folder that the system refuses; `instead`: what the user may choose."""
    return RecordError(f"cannot write {path}: {error.strerror}. Free space or choose {instead}.")


def load_json(path: Path) -> Any:
    """Return the JSON in `path`. Raises RecordError, its message the reason alone, for a file that cannot be used."""
    try:
        data = read_bytes(path, MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise Unreadable(f"it is larger than {MOST_BYTES // 2**20} MiB")
        value = json.loads(data, parse_int=_whole)
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None
    except RecursionError:
        raise RecordError(f"it is nested more than {MOST_LEVELS} levels deep") from None
    except ValueError as error:
        raise RecordError(f"it is not whole JSON: {str(error)[:120]}") from None
    if SURROGATE.search(data) and not _is_unicode(value):
        raise RecordError("it holds half of a surrogate pair, which is no text")
    if nested_deeper(value, MOST_LEVELS):
        raise RecordError(f"it is nested more than {MOST_LEVELS} levels deep")
    return value


def read_bytes(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of a plain file. Raises OSError, and RecordError for anything else.

    A pipe would block and a device may have no end.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise RecordError("it is no plain file")
        return file.read(most)


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:  # no number of ours, and too large to become a float
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
        return True
    except UnicodeEncodeError:
        return False


def read_json(path: Path) -> Any:
    """Return the JSON in `path`; None when it is absent, truncated, not JSON, too large or nested too deeply."""
    try:
        return load_json(path)
    except RecordError:
        return None


def content_hash(value: Any) -> str:
    """Return the SHA-256, in hexadecimal, of the value as JSON with sorted keys and no spaces.

    >>> content_hash({"b": 1, "a": [2.0]}) == content_hash({"a": [2.0], "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
