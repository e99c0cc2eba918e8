"""Which format a file or folder has, found by its content."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

from ...benchmarks.errors import RecordError
from .registry import IMPORTERS
from .sources import BOM, COLOUR, Sources

HEAD_BYTES = 64 * 1024
SEARCHED_BYTES = 64 * 2 ** 20  # of a file whose beginning tells nothing, such as a job's log
MOST_LISTED = 5_000
MOST_TRIED = 40
HINT = "a file or folder that another tool left"


@dataclass(frozen=True)
class Sample:
    """The beginning of a file, or what lies in a folder. `whole`: whether to look for marks beyond the head too, up to
    SEARCHED_BYTES."""

    path: Path
    whole: bool = False

    @cached_property
    def is_folder(self) -> bool:
        """Return whether the path is a folder."""
        return Sources(self.path).is_folder()

    @cached_property
    def names(self) -> list[str]:
        """Return the paths of the files below a folder, relative to it, at most MOST_LISTED; none of a file."""
        found: list[str] = []
        for folder, inside, files in os.walk(self.path) if self.is_folder else ():
            inside.sort()
            found += [os.path.relpath(Path(folder, name), self.path) for name in sorted(files)]
            if len(found) > MOST_LISTED:
                break
        return found[:MOST_LISTED]

    @cached_property
    def head(self) -> str:
        """Return the first HEAD_BYTES of a file as text, unpacked and without colours; "" of a folder."""
        return "" if self.is_folder else self._text(HEAD_BYTES)

    @cached_property
    def first_line(self) -> str:
        """Return the first line that is not empty."""
        return next((line for line in self.head.splitlines() if line.strip()), "")

    def holds(self, *marks: str) -> bool:
        """Return whether all marks stand in the head, or in what is searched of the whole file."""
        missing = [mark for mark in marks if mark not in self.head]
        return not missing or self.whole and all(mark.encode() in self._searched for mark in missing)

    @cached_property
    def _searched(self) -> bytes:
        """Read once, for all formats; none of a folder."""
        return b"" if self.is_folder else bytes(self._first(SEARCHED_BYTES))

    def has(self, *endings: str) -> bool:
        """Return whether a file below the folder has a name that ends so."""
        return any(name.removesuffix(".gz").endswith(endings) for name in self.names)

    def _text(self, most: int) -> str:
        return COLOUR.sub("", self._first(most).removeprefix(BOM).decode("utf-8", "replace"))

    def _first(self, most: int) -> bytearray:
        found = bytearray()
        for chunk in Sources(self.path).chunks(self.path, HINT):
            found += chunk
            if len(found) >= most:
                break
        return found[:most]


def detect(path: Path) -> tuple[str, list[str]]:
    """Return the name of the format that a path has, and notes on files of other formats in it.

    A folder has that of its files where it is none of a format's own. Raises RecordError where no format fits.
    """
    sample = Sample(path)
    if not sample.is_folder and not path.is_file():
        raise RecordError(f"{path} is no file and no folder; give {HINT}.")
    found = _format_of(sample) or ("" if sample.is_folder else _format_of(Sample(path, whole=True)))
    if found:
        return found, []
    inside: dict[str, str] = {}
    for name in sample.names[:MOST_TRIED]:
        if form := _format_of(Sample(path / name)):
            inside.setdefault(form, name)
    if not inside:
        raise RecordError(f"{Sources(path).named(path)} has no format that is known. The formats are "
                          f"{', '.join(IMPORTERS)}; batchscale import -h says what each is, and batchscale import "
                          "FORMAT PATH reads it as one of them, with the reason where it is not.")
    first, *others = sorted(inside, key=list(IMPORTERS).index)
    return first, [f"{inside[form]} and its like are {form}, not {first}, and were not read; import them on their own."
                   for form in others]


def _format_of(sample: Sample) -> str:
    for name, importer in IMPORTERS.items():
        recognizes: Callable[[Sample], bool] = import_module(f".{importer.module}", __package__).recognizes
        try:
            if recognizes(sample):
                return name
        except RecordError:
            continue  # such as a damaged gz file; the importer that is named says so
    return ""
