"""`batchscale import FORMAT PATH`: read another tool's results into the same table and report."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawTextHelpFormatter
from pathlib import Path

from ....analysis.importers.registry import IMPORTERS
from ....benchmarks.errors import EXIT_OK


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    parser.formatter_class = RawTextHelpFormatter
    parser.add_argument("format", choices=tuple(IMPORTERS), metavar="FORMAT",
                        help="\n".join(f"{name}: {one.help}" for name, one in IMPORTERS.items()))
    parser.add_argument("path", type=Path, help="the file or folder")
    parser.add_argument("--to", type=Path, default=Path("results"), help="results folder (default: results)")
    parser.add_argument("--train-examples", type=int, metavar="N", help="examples of one epoch, where the format does "
                        "not say it: gives steps\n(default: the benchmark's own where it is known)")
    parser.add_argument("--target", default="", help="what ends a run, for batch-science and dawnbench, such as\n"
                        "'val/classification_error<0.3' (default: the benchmark's own where it is known)")


def run(arguments: Namespace) -> int:
    """Import the file or folder, and print what a reader must know of it and where it is kept."""
    from ....analysis.importers import imported_store  # after the arguments are known to be good
    store = imported_store.write(arguments.path, arguments.to, arguments.format, arguments.train_examples,
                                 arguments.target)
    for note in imported_store.notes(store.manifest):
        print(f"note: {note}")
    print(f"imported into {store.folder}\nto read it: batchscale report {store.folder}")
    return EXIT_OK
