"""Tables as text: cells between commas, semicolons, tabs or bars, with decimal points or commas, read row by row."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ....benchmarks.errors import RecordError
from ..imported_run import as_number, label, largest
from ..sources import Sources

SEPARATORS = (";", "\t", "|")
MOST_COLUMNS = 2_000
LARGEST_CELL = largest("train_loss")


@dataclass(frozen=True)
class Dialect:
    """Separator of the cells of a table, and whether its numbers have a decimal comma."""

    separator: str
    decimal_comma: bool

    @classmethod
    def of(cls, header: str) -> Dialect:
        """Return the dialect of a header: names hold no commas where another separator is there more often."""
        counts = Counter(header)
        other = max(SEPARATORS, key=lambda mark: counts[mark])
        return cls(other, other == ";") if counts[other] > counts[","] else cls(",", False)

    def plain(self, cell: str) -> str:
        """Return a cell with a point in the place of a decimal comma."""
        text = cell.strip()
        if self.decimal_comma and text.count(",") == 1 and "." not in text:
            return text.replace(",", ".")
        return text

    def number(self, cell: str) -> float:
        """Return the number of a cell; NaN for any other text, and for infinity."""
        found = as_number(self.plain(cell), LARGEST_CELL)
        return math.nan if found is None else found


def header_of(line: str) -> list[str]:
    """Return the names of a header line, by its own dialect; none where the line is no row of a table."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=Dialect.of(line).separator), [])]
    except csv.Error:
        return []


def table_rows(sources: Sources, path: Path, hint: str) -> Iterator[tuple[Dialect, Mapping[str, str]]]:
    """Yield each row of a table as names -> cells that are not empty, with the table's dialect, as `table` reads it."""
    dialect, _, rows = table(sources, path, hint)
    for row in rows:
        yield dialect, row


def table(sources: Sources, path: Path, hint: str) -> tuple[Dialect, list[str], Iterator[dict[str, str]]]:
    """Return the dialect, the names and the rows of a table; a row is its cells that are not empty, by name.

    Rows that repeat the header are passed over. A last row that is cut off is left out with a note. Raises RecordError
    for a name that is there twice, and while reading for a row of another length than the header.
    """
    lines = (line for line in sources.lines(path, hint) if line.strip())
    first = next(lines, "")
    dialect, header, where = Dialect.of(first), header_of(first), sources.named(path)
    if len(set(header)) < len(header) or len(header) > MOST_COLUMNS:
        twice = next((name for name in header if header.count(name) > 1), "")
        raise RecordError(f"{where} has the column {label(twice)[:40]!r} twice." if twice else
                          f"{where} has {len(header):,} columns; at most {MOST_COLUMNS:,} are read.")
    return dialect, header, _rows(sources, path, hint, _cells(lines, dialect, where), header)


def _rows(sources: Sources, path: Path, hint: str, rows: Iterator[list[str]],
          header: list[str]) -> Iterator[dict[str, str]]:
    wrong, length, kept = 0, 0, False
    for index, cells in enumerate(rows, 1):
        if wrong:
            raise RecordError(f"{sources.named(path)}, row {wrong} has {length} cells; the header has {len(header)}. "
                              f"Give {hint}.")
        first = [cell.strip() for cell in cells[:1]]
        if first == header[:1] and [cell.strip() for cell in cells] == header:
            continue
        if len(cells) != len(header):
            wrong, length = index, len(cells)
            continue
        kept = True
        yield {name: text for name, cell in zip(header, cells) if (text := cell.strip())}
    if length > len(header) or wrong and not kept:
        raise RecordError(f"{sources.named(path)}, row {wrong} has {length} cells; the header has {len(header)}. "
                          f"Give {hint}.")
    if wrong:
        sources.notes.append(f"{sources.short(path)}: the last row is cut off and was left out.")


def _cells(lines: Iterator[str], dialect: Dialect, where: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader((f"{line}\n" for line in lines), delimiter=dialect.separator, strict=True)
    except csv.Error as error:
        raise RecordError(f"{where} is no table: {str(error)[:80]}.") from None
