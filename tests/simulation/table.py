"""Simulates every topic of this folder and writes what was seen beside what the intervals claim.

    python -m simulation.table --studies 300

A topic is a module of this folder with CELLS, the names of its cells, and simulate(cell, studies, seed), which returns
a Coverage. The first paragraph of its docstring stands above its table. Every cell is kept as it ends, so that topics
can be simulated apart (--topic) or go on after an end from outside, and the page is written from what is kept.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import pkgutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from simulation.coverage import Coverage

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "accuracy-of-these-numbers.md"
KEPT = ROOT / "build" / "accuracy"
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
        if hasattr(module, "CELLS") and not found.name.startswith("test_"):
            text = " ".join((module.__doc__ or "").split("\n\n")[0].split())
            yield Topic(found.name, text, tuple(module.CELLS), module.simulate)


def page(tables: dict[str, tuple[str, list[Coverage]]]) -> str:
    """Return the page in Markdown from each topic's text and cells."""
    parts = ["# Accuracy of these numbers", "",
             "Each row is a cell of simulated studies whose truth is known. The studies go through the same tables and "
             "the same code as measured ones, down to the number that is printed. *Nominal* is what the number claims, "
             "*seen* is how often it held, with the standard error of that share, *width* is the median width of the "
             "interval, and *studies* is how many were simulated. Written by", "",
             "    make accuracy", ""]
    for name, (text, rows) in ((name, topic) for name, topic in tables.items() if topic[1]):
        parts += [f"## {name.replace('_', ' ').capitalize()}", "", text, "",
                  "| cell | nominal | seen | width | studies | note |", "|---|---|---|---|---|---|"]
        parts += [_row(row) for row in rows]
        parts.append("")
    return "\n".join(parts)


def _row(row: Coverage) -> str:
    width = "none" if math.isnan(row.width) else "unbounded" if math.isinf(row.width) else f"{row.width:.2g}"
    return (f"| {row.name} | {row.nominal:.1%} | {row.seen:.1%} ± {row.standard_error:.1%} | {width} | {row.studies} "
            f"| {row.note} |")


def _kept(topic: str) -> dict[str, Coverage]:
    """Return the cells of a topic that were simulated before, by name."""
    path = KEPT / f"{topic}.jsonl"
    rows = [Coverage(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    return {row.name: row for row in rows}


def _simulated(topic: Topic, studies: int, go_on: bool, named: str) -> list[Coverage]:
    """Return every cell of a topic whose name has `named` in it, each kept as it ends. go_on: those kept of so many
    studies stand as they are, and those of fewer until they are simulated anew."""
    kept = _kept(topic.name) if go_on else {}
    path = KEPT / f"{topic.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    for cell in topic.cells:
        if not studies or named not in cell or (cell in kept and kept[cell].studies >= studies):
            continue
        begun = time.monotonic()
        kept[cell] = topic.simulate(cell, studies, SEED)
        path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in kept.values()))
        print(f"{topic.name}: {_row(kept[cell])} {time.monotonic() - begun:.0f} s", flush=True)
    return [kept[cell] for cell in topic.cells if cell in kept]


def main() -> None:
    """Simulate all topics and write the page, or those asked for, whose cells are printed and kept."""
    parser = argparse.ArgumentParser(description="Simulate studies with known truth and write docs/"
                                     "accuracy-of-these-numbers.md.")
    parser.add_argument("--studies", type=int, default=STUDIES, help=f"studies of each cell ({STUDIES})")
    parser.add_argument("--topic", action="append", help="only this topic, kept and not written; may be repeated")
    parser.add_argument("--cell", default="", help="only cells with this in their names, kept and not written")
    parser.add_argument("--go-on", action="store_true", help="take the cells that build/accuracy keeps of so many "
                        "studies or more; without it all are simulated anew")
    parser.add_argument("--page", action="store_true", help="simulate nothing, write the page from what is kept")
    given = parser.parse_args()
    found = list(topics())
    if absent := set(given.topic or ()) - {topic.name for topic in found}:
        parser.error(f"no topic {', '.join(sorted(absent))}; there are {', '.join(topic.name for topic in found)}")
    tables = {topic.name: (topic.text, _simulated(topic, 0 if given.page else given.studies, given.go_on or given.page,
                                                  given.cell))
              for topic in found if not given.topic or topic.name in given.topic}
    if not given.topic and not given.cell:
        PAGE.write_text(page(tables))
        print(f"{PAGE} written")


if __name__ == "__main__":
    main()
