"""Reading what somebody else wrote: regular files, plain or as gz, in bounded memory, hashed as they are read, never
executed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ...benchmarks.errors import RecordError
from ...benchmarks.limits import nested_deeper
from ...benchmarks.records.json_files import MOST_DIGITS
from .imported_run import LONGEST_TEXT

MOST_BYTES = 64 * 2 ** 20
MOST_TOTAL_BYTES = 4 * 2 ** 30
CHUNK_BYTES = 2 ** 20
GZ, GZ_WINDOW = b"\x1f\x8b", 31  # zlib's word for a gz header
BOM = b"\xef\xbb\xbf"
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 2 ** 20
MOST_FILES = 200_000
MOST_LEVELS = 32
DEEPEST_FOLDER = 8
NUMBER = re.compile(r"([0-9]{1,18})")


class TooMuch(RecordError):
    """All files of an import together are more than is read; no file of them is the odd one."""


class Sources:
    """The files of one import below `path`, a file or a folder."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes, self.files = path, 0, 0
        self.notes: list[str] = []
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

    def short(self, path: Path) -> str:
        """Return a path for what is kept: as `named`, of the import's own file its name alone."""
        return self.named(path).rsplit("/", 1)[-1] if path == self.path else self.named(path)

    def content(self, path: Path, hint: str, most_bytes: int = MOST_BYTES) -> bytes:
        """Return the bytes of a whole file, unpacked where it is gz, and add the file to the hash. hint: what to give
        instead, for the message.

        Raises RecordError for what is no regular file or cannot be read, for more than `most_bytes`, and for more than
        MOST_TOTAL_BYTES or MOST_FILES over all files of the import.
        """
        found = bytearray()
        for chunk in self.chunks(path, hint):
            found += chunk
            if len(found) > most_bytes:
                raise RecordError(f"{self.named(path)} is larger than {most_bytes // 2 ** 20} MiB; give {hint}.")
        return bytes(found)

    def chunks(self, path: Path, hint: str) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces of at most CHUNK_BYTES, unpacked where it is gz; hash it on the way.

        A gz file that ends too early, as of a job that was killed, gives what is whole and a note. Raises RecordError
        for what is no regular file or cannot be read, and for more than MOST_TOTAL_BYTES or MOST_FILES in all.
        """
        try:
            if not path.is_file():
                raise RecordError(f"{self.named(path)} is not a file; give {hint}.")
            self.files += 1
            with open(path, "rb") as file:
                first = file.read(CHUNK_BYTES)
                rest = iter(lambda: file.read(CHUNK_BYTES), b"")
                yield from map(self._counted, self._unpacked(path, first, rest) if first.startswith(GZ)
                               else self._hashed(first, rest))
        except (OSError, ValueError) as error:
            raise RecordError(f"cannot read {self.named(path)!r}: {error}.") from None

    def _hashed(self, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chain([first], rest):
            self._hash.update(chunk)
            yield chunk

    def _unpacked(self, path: Path, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        """The content of the members of a gz file, one after another."""
        unpacking = zlib.decompressobj(GZ_WINDOW)
        try:
            for chunk in self._hashed(first, rest):
                while chunk and not (unpacking.eof and not chunk.startswith(GZ[:1])):  # zeros may follow
                    unpacking = zlib.decompressobj(GZ_WINDOW) if unpacking.eof else unpacking
                    yield unpacking.decompress(chunk, CHUNK_BYTES)
                    chunk = unpacking.unused_data if unpacking.eof else unpacking.unconsumed_tail
            while not unpacking.eof and (left := unpacking.decompress(b"", CHUNK_BYTES)):
                yield left
        except zlib.error as error:
            raise RecordError(f"{self.named(path)} is a damaged gz file: {str(error)[:80]}.") from None
        if not unpacking.eof:
            self.notes.append(f"{self.short(path)} is a gz file that ends too early; what is whole of it was read.")

    def _counted(self, chunk: bytes) -> bytes:
        self.bytes += len(chunk)
        if self.bytes > MOST_TOTAL_BYTES or self.files > MOST_FILES:
            raise TooMuch(f"{self.named(self.path)} holds more than {MOST_TOTAL_BYTES // 2 ** 20:,} MiB or "
                          f"{MOST_FILES:,} files to read; import a part of it.")
        return chunk

    def lines(self, path: Path, hint: str) -> Iterator[str]:
        """Yield the lines of a file without their ends and colours; bytes that are no UTF-8 are replaced. Of the file
        no more than a line and CHUNK_BYTES are in memory at a time.

        Raises RecordError as `chunks` does, for UTF-16, which spreadsheets write as "Unicode text", and for a line
        of more than LONGEST_LINE bytes.
        """
        held, begun = b"", False
        for chunk in self.chunks(path, hint):
            held += chunk
            if not begun and held:
                held, begun = held.removeprefix(BOM), True
                if held.startswith(UTF_16):
                    raise RecordError(f"{self.named(path)} is text in UTF-16; save it as UTF-8.")
            # A carriage return that ends a chunk may be half of a line's end.
            end = held.rfind(b"\n") + 1 or held.rfind(b"\r", 0, len(held) - 1) + 1
            if end:
                yield from self._split(path, hint, held[:end])
                held = held[end:]
            self._check_line(path, hint, len(held))
        if not begun or held:
            yield from self._split(path, hint, held)

    def _split(self, path: Path, hint: str, data: bytes) -> Iterator[str]:
        whole = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n")
        coloured = b"\x1b" in whole
        for line in whole.split(b"\n"):
            self._check_line(path, hint, len(line))
            text = line.decode("utf-8", "replace")
            yield COLOUR.sub("", text) if coloured else text

    def _check_line(self, path: Path, hint: str, length: int) -> None:
        if length > LONGEST_LINE:
            raise RecordError(f"{self.named(path)} has a line of {length:,} bytes; at most {LONGEST_LINE:,} are read; "
                              f"give {hint}.")

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
            found += [Path(folder, name) for name in sorted(files) if name.removesuffix(".gz").endswith(endings)]
            if len(found) > MOST_FILES:
                raise RecordError(f"{self.named(self.path)} holds more than {MOST_FILES:,} files; import a part of it.")
        return sorted(found, key=_numbered)


def _numbered(path: Path) -> list[tuple[int, int, str]]:
    """result_2 before result_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in NUMBER.split(str(path))]


def json_value(text: str, whole_text: bool = True, constants: bool = False) -> Any:
    """Return the JSON value at the start of a text; more may follow it only where whole_text is False. constants:
    whether NaN and infinity may stand in it, which are None.

    Raises RecordError, whose message is the reason, for broken JSON and for more than MOST_LEVELS levels.
    """
    stripped = text.lstrip(" \t\r\n")
    try:
        value, end = (LENIENT if constants else STRICT).raw_decode(stripped)
        if whole_text and stripped[end:].strip():
            raise ValueError("more stands behind it")
        if "\\u" in stripped or not stripped.isascii():  # half a character, which no file can hold
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise RecordError(f"it is nested more than {MOST_LEVELS} levels deep") from None
    except ValueError as error:
        raise RecordError(f"it is not whole JSON: {str(error)[:100]}") from None
    if stripped.count("[") + stripped.count("{") > MOST_LEVELS and nested_deeper(value, MOST_LEVELS):
        raise RecordError(f"it is nested more than {MOST_LEVELS} levels deep")
    return value


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _no_value(text: str) -> None:
    return None


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


STRICT = json.JSONDecoder(parse_int=_whole, parse_constant=_refuse_constant)
LENIENT = json.JSONDecoder(parse_int=_whole, parse_constant=_no_value)


def json_text(sources: Sources, path: Path, hint: str) -> Any:
    """Return the JSON value of a file; NaN and infinity, which Python writes, are None.

    Raises RecordError, which names the file, for what is no whole JSON.
    """
    text = sources.content(path, hint).decode("utf-8-sig", "replace")
    try:
        return json_value(text, constants=True)
    except RecordError as error:
        raise RecordError(f"{sources.named(path)}: {str(error).rstrip('.')}; give {hint}.") from None
