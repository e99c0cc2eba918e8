"""`batchscale plans`: the plans that come with Batchscale, a line each, and where they lie."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from itertools import takewhile
from pathlib import Path

from ....benchmarks.errors import EXIT_OK
from ....benchmarks.planning.plan import bundled


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser: it has none."""


def run(arguments: Namespace) -> int:
    """Print each bundled plan's name and what it answers, as its file says at the top."""
    plans = bundled()
    width = max(map(len, plans))
    for name, path in plans.items():
        print(f"{name:{width}}  {summary(path)}")
    print("\nto run one: batchscale study NAME; to see what it would run: batchscale plan NAME\n"
          f"their files, to copy from: {next(iter(plans.values())).parent}\n"
          "for a model and data of your own: batchscale new --help")
    return EXIT_OK


def summary(path: Path) -> str:
    """Return the first paragraph of the comment that a plan begins with, as one line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[1:].strip() for line in takewhile(lambda line: line.strip("# "), lines))
