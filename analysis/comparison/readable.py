"""A comparison for people at a terminal: the same words as its Markdown, with the table's columns lined up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

BETWEEN_CELLS = re.compile(r"(?<!\\)\|")
ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
RULED = re.compile(r"-{3,}:?")


def readable(text: str) -> str:
    """Return Markdown as `markdown` writes it without its marks: headings and bold plain, escapes undone.

    >>> print(readable("### Passed\\n\\n| a | n |\\n| --- | ---: |\\n| x\\\\_y | 10 |\\n| **z** | 2 |"))
    Passed
    <BLANKLINE>
    a     n
    x_y  10
    z     2
    """
    lines: list[str] = []
    table: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            table.append([cell.strip() for cell in BETWEEN_CELLS.split(line)[1:-1]])
            continue
        lines += _aligned(table)
        table = []
        lines.append(_bare(line.removeprefix("### ")))
    return "\n".join([*lines, *_aligned(table)])


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with each column as wide as its widest cell; to the right where the rule below the header says so."""
    ruled = next((row for row in rows if all(map(RULED.fullmatch, row))), [])
    shown = [[_bare(cell) for cell in row] for row in rows if row is not ruled]
    widths = [max(map(len, column)) for column in zip(*shown)]
    for row in shown:
        cells = [cell.rjust(width) if rule.endswith(":") else cell.ljust(width)
                 for cell, width, rule in zip(row, widths, ruled or [""] * len(row))]
        yield "  ".join(cells).rstrip()


def _bare(text: str) -> str:
    return ESCAPED.sub(r"\1", text.replace("**", ""))
