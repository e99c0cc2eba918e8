"""Simulates every topic of this folder and writes what was seen beside what the intervals claim.

    python -m simulation.table --studies 300

A topic is a module of this folder with CELLS, the names of its cells, and simulate(cell, studies, seed), which returns
a Coverage. The first paragraph of its docstring stands above its table.
"""

from __future__ import annotations

import argparse
import importlib
import math
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simulation.coverage import Coverage

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "accuracy-of-these-numbers.md"
STUDIES = 300
SEED = 20180614


@dataclass(frozen=True)
class Topic:
    """One module of this folder: its name, what it simulates, its cells and the function that simulates one."""

    name: str
    text: str
    cells: tuple[str, ...]
    simulate: Callable[[str, int, int], Coverage]


def topics() -> Iterator[Topic]:
    """Yield the modules of this folder that have CELLS, by name."""
    for found in sorted(pkgutil.iter_modules([str(Path(__file__).parent)]), key=lambda module: module.name):
        module = importlib.import_module(f"simulation.{found.name}")
        if hasattr(module, "CELLS"):
            text = " ".join((module.__doc__ or "").split("\n\n")[0].split())
            yield Topic(found.name, text, tuple(module.CELLS), module.simulate)


def page(tables: dict[str, tuple[str, list[Coverage]]], studies: int) -> str:
    """Return the page in Markdown from each topic's text and cells."""
    parts = ["# Accuracy of these numbers", "",
             "Each row is a cell of simulated studies whose truth is known. The studies go through the same tables and "
             "the same code as measured ones, down to the number that is printed. *Nominal* is what the number claims, "
             "*seen* is how often it held, with the standard error of that share, and *width* is the median width of "
             f"the interval. At {studies} studies a cell, written by", "",
             f"    PYTHONPATH=tests python -m simulation.table --studies {studies}", ""]
    for name, (text, rows) in tables.items():
        parts += [f"## {name.replace('_', ' ').capitalize()}", "", text, "",
                  "| cell | nominal | seen | width | studies | note |", "|---|---|---|---|---|---|"]
        parts += [_row(row) for row in rows]
        parts.append("")
    return "\n".join(parts)


def _row(row: Coverage) -> str:
    width = "none" if math.isnan(row.width) else "unbounded" if math.isinf(row.width) else f"{row.width:.2g}"
    return (f"| {row.name} | {row.nominal:.1%} | {row.seen:.1%} ± {row.standard_error:.1%} | {width} | {row.studies} "
            f"| {row.note} |")


def main() -> None:
    """Simulate the topics asked for and write the page, or print it where only some are asked for."""
    parser = argparse.ArgumentParser(description="Simulate studies with known truth and write docs/"
                                     "accuracy-of-these-numbers.md.")
    parser.add_argument("--studies", type=int, default=STUDIES, help=f"studies of each cell ({STUDIES})")
    parser.add_argument("--topic", action="append", help="only this topic, printed and not written; may be repeated")
    given = parser.parse_args()
    found = list(topics())
    if absent := set(given.topic or ()) - {topic.name for topic in found}:
        parser.error(f"no topic {', '.join(sorted(absent))}; there are {', '.join(topic.name for topic in found)}")
    tables: dict[str, tuple[str, list[Coverage]]] = {}
    for topic in found:
        if given.topic and topic.name not in given.topic:
            continue
        rows = tables.setdefault(topic.name, (topic.text, []))[1]
        for cell in topic.cells:
            begun = time.monotonic()
            rows.append(topic.simulate(cell, given.studies, SEED))
            print(f"{topic.name}: {_row(rows[-1])} {time.monotonic() - begun:.0f} s", flush=True)
    if not given.topic:
        PAGE.write_text(page(tables, given.studies))
        print(f"{PAGE} written")


if __name__ == "__main__":
    main()
