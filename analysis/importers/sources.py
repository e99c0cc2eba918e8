"""Reading what somebody else wrote: regular files, in bounded memory, hashed as they are read, never executed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...benchmarks.errors import RecordError
from ...benchmarks.limits import nested_deeper
from ...benchmarks.records.json_files import MOST_DIGITS
from .imported_run import LONGEST_TEXT

MOST_BYTES = 64 * 2 ** 20
MOST_TOTAL_BYTES = 2 ** 30
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 2 ** 20
MOST_FILES = 200_000
MOST_LEVELS = 32
DEEPEST_FOLDER = 8
NUMBER = re.compile(r"([0-9]{1,18})")


class Sources:
    """The files of one import below `path`, a file or a folder."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes, self.files = path, 0, 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 in hexadecimal of the bytes of all files read so far, in the order of reading."""
        return self._hash.hexdigest()

    def is_folder(self) -> bool:
        """Return whether the path is a folder; False where the system cannot say."""
        try:
            return self.path.is_dir()
        except (OSError, ValueError):
            return False

    def named(self, path: Path) -> str:
        """Return a path for messages: relative to the import's folder, printable, at most LONGEST_TEXT characters."""
        inside = path.relative_to(self.path) if path != self.path and path.is_relative_to(self.path) else path
        return "".join(c if c.isprintable() else "?" for c in str(inside))[:LONGEST_TEXT]

    def content(self, path: Path, hint: str, most_bytes: int = MOST_BYTES) -> bytes:
        """Return the bytes of a whole file and add them to the hash. hint: what to give instead, for the message.

        Raises RecordError for what is no regular file or cannot be read, for more than `most_bytes`, and for more than
        MOST_TOTAL_BYTES or MOST_FILES over all files of the import.
        """
        try:
            if not path.is_file():
                raise RecordError(f"{self.named(path)} is not a file; give {hint}.")
            with open(path, "rb") as file:
                data = file.read(most_bytes + 1)
        except (OSError, ValueError) as error:
            raise RecordError(f"cannot read {self.named(path)!r}: {error}.") from None
        if len(data) > most_bytes:
            raise RecordError(f"{self.named(path)} is larger than {most_bytes // 2 ** 20} MiB; give {hint}.")
        self._take(data)
        return data

    def _take(self, data: bytes) -> None:
        self.bytes, self.files = self.bytes + len(data), self.files + 1
        if self.bytes > MOST_TOTAL_BYTES or self.files > MOST_FILES:
            raise RecordError(f"{self.named(self.path)} holds more than {MOST_TOTAL_BYTES // 2 ** 20:,} MiB or "
                              f"{MOST_FILES:,} files to read; import a part of it.")
        self._hash.update(data)

    def lines(self, path: Path, hint: str) -> Iterator[str]:
        """Yield the lines of a file without their ends; bytes that are no UTF-8 are replaced.

        Raises RecordError as `content` does, for UTF-16, which spreadsheets write as "Unicode text", and for a line
        of more than LONGEST_LINE bytes.
        """
        data = self.content(path, hint).removeprefix(b"\xef\xbb\xbf")
        if data.startswith(UTF_16):
            raise RecordError(f"{self.named(path)} is text in UTF-16; save it as UTF-8.")
        for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
            if len(line) > LONGEST_LINE:
                raise RecordError(f"{self.named(path)} has a line of {len(line):,} bytes; at most {LONGEST_LINE:,} "
                                  f"are read; give {hint}.")
            yield line.decode("utf-8", "replace")

    def below(self, *endings: str) -> list[Path]:
        """Return the files below the folder whose names end with one of `endings`, result_2 before result_10.

        Links to folders are not followed, nor folders below DEEPEST_FOLDER levels. Raises RecordError for more than
        MOST_FILES files.
        """
        found: list[Path] = []
        for folder, names, files in os.walk(self.path):
            names.sort()
            if len(Path(folder).relative_to(self.path).parts) >= DEEPEST_FOLDER:
                names.clear()
            found += [Path(folder, name) for name in sorted(files) if name.endswith(endings)]
            if len(found) > MOST_FILES:
                raise RecordError(f"{self.named(self.path)} holds more than {MOST_FILES:,} files; import a part of it.")
        return sorted(found, key=_numbered)


def _numbered(path: Path) -> list[tuple[int, int, str]]:
    """result_2 before result_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in NUMBER.split(str(path))]


def json_value(text: str, whole_text: bool = True) -> Any:
    """Return the JSON value at the start of a text; more may follow it only where whole_text is False.

    Raises RecordError, whose message is the reason, for broken JSON and for more than MOST_LEVELS levels.
    """
    decoder = json.JSONDecoder(parse_int=_whole, parse_constant=_refuse_constant)
    try:
        value, end = decoder.raw_decode(text.lstrip(" \t\r\n"))
        if whole_text and text.lstrip(" \t\r\n")[end:].strip():
            raise ValueError("more stands behind it")
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise RecordError(f"it is nested more than {MOST_LEVELS} levels deep") from None
    except ValueError as error:
        raise RecordError(f"it is not whole JSON: {str(error)[:100]}") from None
    if nested_deeper(value, MOST_LEVELS):
        raise RecordError(f"it is nested more than {MOST_LEVELS} levels deep")
    return value


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
